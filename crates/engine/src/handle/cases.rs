//! Privacy cases and what is asked of them.

use std::time::Duration;

use tokio::sync::oneshot;
use writ_kernel::case::{self, Order, Step, recipient};
use writ_model::case::{Act, Case, Grade, Outcome, Report, Right};
use writ_model::code;
use writ_model::control::{ControlFact, Readmitted};
use writ_model::id::{EventId, Generation, SubjectId, hex};
use writ_model::time::Timestamp;

use super::replays::stopping;
use super::{EngineHandle, state_failed};
use crate::case::{Asked, Statement, clocks, verify};
use crate::clock;
use crate::error::EngineError;
use crate::writer::{Work, random};

/// A case to be opened.
#[derive(Debug, Clone)]
pub struct CaseRequest {
    /// What is asked for.
    pub right: Right,
    /// Whose data.
    pub subject: SubjectId,
    /// Under which law: an id or alias of the statute table.
    pub law: String,
    /// The right in the table's words, where the law has another than the usual one.
    pub statute_right: Option<String>,
    /// When the person asked.
    pub received_at: Timestamp,
    /// Whose days are counted, in place of the law's.
    pub zone: Option<String>,
    /// Whose holidays are counted, in place of the law's.
    pub calendar: Option<String>,
    /// How it came in.
    pub intake: String,
    /// Its id there.
    pub reference: Option<String>,
    /// Of a rectification: the event that corrects.
    pub event_id: Option<EventId>,
    /// Suppress before erase; as configured when absent.
    pub suppress_first: Option<bool>,
    /// How long keys stay when it is fulfilled; as configured when absent.
    pub observe: Option<Duration>,
    /// Why; no personal data.
    pub note: String,
    /// Who asks.
    pub actor: String,
}

/// A recipient's word, or what somebody saw there.
#[derive(Debug, Clone)]
pub struct Said {
    /// What came of it.
    pub outcome: Outcome,
    /// The recipient's Ed25519 signature over the statement, base64.
    pub signature: Option<String>,
    /// It comes under a credential of the recipient's own.
    pub is_own: bool,
    /// Somebody looked at the recipient itself.
    pub is_checked: bool,
    /// How it reached us; no personal data.
    pub note: String,
    /// Who brings it.
    pub actor: String,
}

impl EngineHandle {
    /// The case that a request would open. Nothing is done and nothing is written.
    pub async fn plan_case(&self, request: CaseRequest) -> Result<Case, EngineError> {
        let now = clock::wall();
        if request.received_at > now {
            return Err(refused("open a case", "it was received in the future"));
        }
        let generation = self.known_generation(request.subject)?;
        if request.right == Right::Rectification {
            self.check_correction(&request).await?;
        } else if request.event_id.is_some() {
            return Err(refused("open a case", "only a rectification follows an event"));
        }
        let law = self.shared.cases.table.law(&request.law).map_err(crate::case::unanswerable)?.id.clone();
        let statute_right = request.statute_right.unwrap_or_else(|| usual(request.right).to_owned());
        let asked = Asked {
            law: &law,
            right: &statute_right,
            received_at: request.received_at,
            zone: request.zone.as_deref(),
            calendar: request.calendar.as_deref(),
            extensions: &[],
        };
        let clocks = clocks(&self.shared.cases.table, asked)?;
        let (observe, suppress_first) = self.shared.cases.usual();
        Ok(case::open(Order {
            id: format!("case-{}", hex(&random::<6>()?)),
            right: request.right,
            subject: request.subject,
            generation,
            law,
            statute_right,
            intake: request.intake,
            reference: request.reference,
            received_at: request.received_at,
            zone: request.zone,
            calendar: request.calendar,
            clocks,
            observe_seconds: request.observe.unwrap_or(observe).as_secs(),
            suppress_first: request.suppress_first.unwrap_or(suppress_first),
            event_id: request.event_id,
            opened: Act { actor: request.actor, note: request.note, at: now },
        }))
    }

    /// Opens a case. Durable when this returns; nothing is sent before who asks is verified. The same reference of the
    /// same intake again gives the case that it opened, while that is open.
    pub async fn open_case(&self, request: CaseRequest) -> Result<Case, EngineError> {
        let _turn = self.shared.cases.open.turn.lock().await;
        let is_same = |case: &&Case| {
            case.reference.is_some() && case.reference == request.reference && case.intake == request.intake
        };
        if let Some(known) = self.shared.cases.open.all().iter().find(is_same) {
            return Ok(known.clone());
        }
        let opened = self.plan_case(request).await?;
        self.keep_case(opened.clone()).await?;
        self.shared.cases.open.wake.notify_one();
        Ok(opened)
    }

    /// Cases by id, ended ones too: at most `limit`, from behind `after`.
    pub fn cases(&self, after: Option<&str>, limit: usize) -> Result<Vec<Case>, EngineError> {
        self.shared.state.cases(after, limit).map_err(state_failed)
    }

    /// One case.
    pub fn case(&self, id: &str) -> Result<Case, EngineError> {
        match self.shared.cases.open.get(id) {
            Some(case) => Ok(case),
            None => self.shared.state.case(id).map_err(state_failed)?.ok_or_else(|| unknown(id)),
        }
    }

    /// A case with what follows from it now: how each clock stands, what may be said of it as a whole.
    pub fn described_case(&self, id: &str) -> Result<serde_json::Value, EngineError> {
        let (case, now) = (self.case(id)?, clock::wall());
        let clocks: Vec<_> = case
            .clocks
            .iter()
            .map(|one| {
                let mut clock = serde_json::json!(one);
                clock["standing"] = case::clock::standing(&case, one, now).as_str().into();
                clock
            })
            .collect();
        let (settled, of) = case::count(&case, now);
        let mut described = serde_json::json!(case);
        described["clocks"] = clocks.into();
        described["grade"] = serde_json::json!(case::grade(&case));
        described["settled"] = serde_json::json!({ "recipients": settled, "of": of });
        Ok(described)
    }

    /// Records a person's act. Durable when this returns.
    pub async fn act_on_case(
        &self,
        id: &str,
        step: Step,
        (actor, note): (&str, &str),
    ) -> Result<Case, EngineError> {
        let act = act(actor, note);
        self.change_case(id, "act on", |case| acted(case, step, act)).await
    }

    /// Records that the person was told that it takes longer: the dates are counted anew. Durable when this returns.
    pub async fn extend_case(&self, id: &str, (actor, note): (&str, &str)) -> Result<Case, EngineError> {
        let act = act(actor, note);
        self.change_case(id, "extend", |case| {
            let clocks = self.extended(case, &act)?;
            acted(case, Step::Extend(clocks), act)
        })
        .await
    }

    fn extended(&self, case: &Case, act: &Act) -> Result<Vec<writ_model::case::Clock>, EngineError> {
        let extensions: Vec<Act> = case.extensions.iter().chain([act]).cloned().collect();
        let asked = Asked {
            law: &case.law,
            right: &case.statute_right,
            received_at: case.received_at,
            zone: case.zone.as_deref(),
            calendar: case.calendar.as_deref(),
            extensions: &extensions,
        };
        clocks(&self.shared.cases.table, asked)
    }

    /// Records what a recipient said, or what somebody saw there. Durable when this returns. A signature that does not
    /// verify is refused (`WRIT-9012`) and changes nothing.
    pub async fn report_to_case(&self, id: &str, recipient: &str, said: Said) -> Result<Case, EngineError> {
        let cases = &self.shared.cases;
        let terms = cases.terms(recipient);
        self.change_case(id, "report to", |case| {
            if !case.recipients.contains_key(recipient) && !self.is_recipient(recipient) {
                return Err(refused(
                    &format!("report to {}", case.id),
                    format!("nobody knows a recipient {recipient:?}"),
                ));
            }
            let grade = self.graded(case, recipient, &said)?;
            let report = Report { outcome: said.outcome, grade, act: act(&said.actor, &said.note) };
            let taken = recipient::report(case, recipient, terms, report);
            taken.map_err(|why| refused(&format!("report to {}", case.id), why))
        })
        .await
    }

    /// It is configured: as a subscriber, or as standing behind one.
    fn is_recipient(&self, name: &str) -> bool {
        self.subscribers().iter().any(|known| known.as_str() == name) || self.shared.cases.declares(name)
    }

    /// How well a report shows what it says.
    fn graded(&self, case: &Case, recipient: &str, said: &Said) -> Result<Grade, EngineError> {
        let shown = case.recipients.get(recipient).into_iter().flat_map(|one| &one.reports);
        let shown = shown.filter(|report| report.outcome == said.outcome).map(|report| report.grade).max();
        let Some(signature) = &said.signature else {
            let is_evidenced = said.is_checked && shown >= Some(Grade::E4);
            let word = if said.is_own { Grade::E2 } else { Grade::E1 };
            return Ok(if is_evidenced { Grade::E5 } else { word });
        };
        if case.event_id.is_none() {
            return Err(unsigned(recipient, "nothing was announced yet that it could have signed for"));
        }
        let tenant = &self.shared.tenant;
        let statement = Statement { tenant, case, recipient, outcome: said.outcome };
        let key = self
            .shared
            .cases
            .key(recipient)
            .ok_or_else(|| unsigned(recipient, "no key is configured for it"))?;
        if !verify(&key, &statement, signature) {
            return Err(unsigned(recipient, "the signature is not of its key over this statement"));
        }
        Ok(if said.outcome == Outcome::Accepted { Grade::E3 } else { Grade::E4 })
    }

    /// The text that a recipient signs to say what came of a case.
    pub fn statement_of_case(
        &self,
        id: &str,
        recipient: &str,
        outcome: Outcome,
    ) -> Result<String, EngineError> {
        let case = self.case(id)?;
        Ok(Statement { tenant: &self.shared.tenant, case: &case, recipient, outcome }.text())
    }

    /// Asks that a recipient is not waited for. Counts when it is approved. Durable when this returns.
    pub async fn except_in_case(
        &self,
        id: &str,
        (recipient, until): (&str, Timestamp),
        (actor, note): (&str, &str),
    ) -> Result<Case, EngineError> {
        let asked = act(actor, note);
        self.change_case(id, "except", |case| {
            let taken = recipient::except(case, recipient, until, asked);
            taken.map_err(|why| refused(&format!("except {recipient} in {}", case.id), why))
        })
        .await
    }

    /// Approves an exception. Durable when this returns.
    pub async fn approve_in_case(
        &self,
        id: &str,
        recipient: &str,
        (actor, note): (&str, &str),
    ) -> Result<Case, EngineError> {
        let (approved, alone) = (act(actor, note), self.shared.cases.approves_alone());
        self.change_case(id, "approve", |case| {
            let taken = recipient::approve(case, recipient, alone, approved);
            taken.map_err(|why| refused(&format!("approve an exception in {}", case.id), why))
        })
        .await
    }

    /// Takes an erased subject's changes again, in another life, for a stated reason. Durable when this returns.
    pub async fn readmit(
        &self,
        subject: SubjectId,
        (basis, evidence): (&str, &str),
        actor: &str,
    ) -> Result<Generation, EngineError> {
        let present = self.known_generation(subject)?;
        let generation = Generation(present.0.checked_add(1).ok_or_else(|| not_erased(subject))?);
        if self
            .shared
            .cases
            .open
            .all()
            .iter()
            .any(|case| case.subject == subject && case.right == Right::Erasure)
        {
            return Err(refused("begin another life", "a case of its erasure is open"));
        }
        if !self.is_erased(subject, present)? {
            return Err(not_erased(subject));
        }
        let text = str::to_owned;
        self.journal(ControlFact::Readmitted(Readmitted {
            subject_id: subject,
            generation,
            basis: text(basis),
            evidence: text(evidence),
            actor: text(actor),
            at: clock::wall(),
        }))
        .await?;
        let (done, answer) = oneshot::channel();
        self.shared.writer.send(Work::Readmit { subject, generation, done });
        match answer.await.map_err(|_| stopping())? {
            true => Ok(generation),
            false => Err(not_erased(subject)),
        }
    }

    fn known_generation(&self, subject: SubjectId) -> Result<Generation, EngineError> {
        let present = self.present_life(subject)?;
        present.ok_or_else(|| refused("find the subject", "nobody with this internal id is known"))
    }

    async fn check_correction(&self, request: &CaseRequest) -> Result<(), EngineError> {
        let tried = "open a case of rectification";
        let Some(event_id) = request.event_id else {
            return Err(refused(tried, "name the event that corrects: change the master record first"));
        };
        match self.trace_event(event_id).await? {
            Some(trace) if trace.subject_id == request.subject => Ok(()),
            Some(_) => Err(refused(tried, "the event is about another subject")),
            None => Err(refused(tried, "there is no such event")),
        }
    }

    async fn change_case(
        &self,
        id: &str,
        what: &str,
        act: impl FnOnce(&mut Case) -> Result<(), EngineError>,
    ) -> Result<Case, EngineError> {
        let _turn = self.shared.cases.open.turn.lock().await;
        let Some(mut case) = self.shared.cases.open.get(id) else {
            self.case(id)?;
            return Err(refused(&format!("{what} {id}"), "it has ended"));
        };
        act(&mut case)?;
        self.keep_case(case.clone()).await?;
        self.shared.cases.open.wake.notify_one();
        Ok(case)
    }
}

fn acted(case: &mut Case, step: Step, act: Act) -> Result<(), EngineError> {
    case::act(case, step, act).map_err(|why| refused(&format!("act on {}", case.id), why))
}

fn act(actor: &str, note: &str) -> Act {
    Act { actor: actor.to_owned(), note: note.to_owned(), at: clock::wall() }
}

/// The right in the statute table's words, where a law has no other.
fn usual(right: Right) -> &'static str {
    match right {
        Right::Erasure => "erasure",
        Right::OptOut => "opt-out-sale-sharing",
        Right::Rectification => "rectification",
        Right::Access => "access",
        Right::Restriction => "restriction",
    }
}

fn unknown(id: &str) -> EngineError {
    let tried = format!("find privacy case {id:?}");
    EngineError::new(code::CASE_UNKNOWN, &tried, "there is none", "see `writ requests list`")
}

fn refused(tried: &str, cause: impl std::fmt::Display) -> EngineError {
    EngineError::new(code::CASE_REFUSED, tried, cause, "see `writ requests show` for how the case stands")
}

fn unsigned(recipient: &str, cause: &str) -> EngineError {
    let remedy = "sign the text of `writ requests statement`, with the key in `compliance.recipients`";
    EngineError::new(code::REPORT_SIGNATURE, &format!("verify the word of {recipient}"), cause, remedy)
}

fn not_erased(subject: SubjectId) -> EngineError {
    let tried = format!("begin another life of {subject}");
    EngineError::new(code::NOT_ERASED, &tried, "it is not erased", "its changes are taken as they are")
}
