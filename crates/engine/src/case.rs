//! Drives privacy cases: asks the kernel what is next, does it, and journals what came of it before it goes on. A case
//! orders a saga and looks at its recipients; every act can be done twice, so a crash between two of them repeats one.

mod clocks;
mod look;
mod statement;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use writ_kernel::case::clock::{self, Standing};
use writ_kernel::case::{self, Fact, Next, Terms};
use writ_model::case::{Case, Right, Says};
use writ_model::code;
use writ_model::control::ControlFact;
use writ_model::saga::SagaKind;
use writ_statutes::table::Table;
use writ_store::state::State;

use crate::clock as wall;
use crate::config::compliance::{Approvals, Compliance, public_key};
use crate::error::EngineError;
use crate::handle::{EngineHandle, SagaRequest};
use crate::looks::Looks;
use crate::metric;
use crate::open::Open;

pub(crate) use clocks::{Asked, clocks, refused as unanswerable, table};
pub(crate) use statement::{Statement, verify};

/// The cases that have not ended, and what the operator says of them.
pub(crate) struct Cases {
    pub(crate) open: Open<Case>,
    pub(crate) table: Table,
    rules: Compliance,
}

impl Cases {
    /// What an earlier run left open.
    pub(crate) fn new(state: &dyn State, rules: Compliance) -> Result<Self, EngineError> {
        let open = Open::read(|after, limit| state.cases(after, limit));
        let open = open.map_err(|error| crate::recovery::failed("read the privacy cases", &error))?;
        Ok(Self { open, table: table(rules.statutes.as_deref())?, rules })
    }

    /// What is demanded of a recipient.
    pub(crate) fn terms(&self, recipient: &str) -> Terms {
        let said = self.rules.recipients.get(recipient);
        Terms {
            says: said.map_or(Says::Receipt, |said| said.says),
            demand: said.and_then(|said| said.demand).unwrap_or(self.rules.demand),
            behind: said.and_then(|said| said.behind.as_ref()).map(ToString::to_string),
        }
    }

    /// The configuration names this recipient.
    pub(crate) fn declares(&self, recipient: &str) -> bool {
        self.rules.recipients.contains_key(recipient)
    }

    /// The key under which a recipient signs.
    pub(crate) fn key(&self, recipient: &str) -> Option<[u8; 32]> {
        let key = self.rules.recipients.get(recipient)?.key.as_deref()?;
        public_key(key)
    }

    /// The recipients that stand behind one of these subscribers.
    pub(crate) fn behind<'a>(
        &'a self,
        subscribers: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = &'a String> + 'a {
        let stands = move |said: &crate::config::compliance::RecipientTerms| {
            said.behind.as_ref().is_some_and(|behind| subscribers(behind.as_str()))
        };
        self.rules.recipients.iter().filter(move |(_, said)| stands(said)).map(|(name, _)| name)
    }

    /// Who asks for an exception may approve it.
    pub(crate) fn approves_alone(&self) -> bool {
        self.rules.approvals == Approvals::One
    }

    /// How long keys stay, and whether suppressing comes before erasing, where a request does not say.
    pub(crate) fn usual(&self) -> (Duration, bool) {
        (self.rules.observe.0, self.rules.suppress_first)
    }
}

/// Until told to stop.
pub(crate) async fn drive(engine: EngineHandle, mut stop: watch::Receiver<bool>) {
    let (mut looks, mut told) = (Looks::default(), BTreeMap::new());
    while !*stop.borrow() {
        engine.turn_cases(&mut looks).await;
        tell_late(&engine.shared.cases.open, &mut told);
        looks.rest(&engine.shared.cases.open.wake, &mut stop).await;
    }
}

/// A case whose dates pass is told of once for each worse standing, and counted as long as it is so.
fn tell_late(open: &Open<Case>, told: &mut BTreeMap<String, Standing>) {
    let now = wall::wall();
    let standings = open.map(|case| (case.id.clone(), clock::worst(case, now)));
    let count = standings.len();
    let late: BTreeMap<String, Standing> = standings
        .into_iter()
        .filter_map(|(id, worst)| Some((id, worst.filter(|worst| *worst >= Standing::AtRisk)?)))
        .collect();
    for (id, standing) in &late {
        if told.get(id) != Some(standing) {
            tracing::warn!(case = %id, standing = standing.as_str(), "a privacy case is late");
        }
    }
    let overdue = late.values().filter(|standing| **standing == Standing::Overdue).count();
    metric::cases(count, late.len() - overdue, overdue);
    *told = late;
}

impl EngineHandle {
    /// Takes every open case that is due as far as it goes now.
    async fn turn_cases(&self, looks: &mut Looks) {
        for id in looks.due(&self.shared.cases.open.changes(), (Instant::now(), wall::wall())) {
            let turned = self.turn_case(&id).await;
            if let Err(error) = &turned {
                tracing::warn!(case = %id, code = error.code.id, error = %error, "a privacy case does not get on; it is tried again");
            }
            if let Some(case) = self.shared.cases.open.get(&id) {
                looks.looked(&id, Instant::now(), (case.changed_at, turned.is_err()));
            }
        }
    }

    async fn turn_case(&self, id: &str) -> Result<(), EngineError> {
        loop {
            let _turn = self.shared.cases.open.turn.lock().await;
            let Some(mut case) = self.shared.cases.open.get(id) else { return Ok(()) };
            let Some(fact) = self.carry_out_case(&case).await? else { return Ok(()) };
            let terms = |name: &str| self.shared.cases.terms(name);
            if !case::took(&mut case, fact, &terms, wall::wall()) {
                return Ok(());
            }
            self.keep_case(case).await?;
        }
    }

    /// Journals a case as it is now; durable when this returns. The caller has the turn.
    pub(crate) async fn keep_case(&self, case: Case) -> Result<(), EngineError> {
        self.journal(ControlFact::Case(Box::new(case.clone()))).await?;
        let (settled, of) = case::count(&case, wall::wall());
        tracing::info!(case = %case.id, right = %case.right, state = %case.state, settled, of, "a privacy case got on");
        self.shared.cases.open.put(case);
        Ok(())
    }

    /// Does what is next; `None` when there is nothing to do, or nothing can be said of it yet.
    async fn carry_out_case(&self, case: &Case) -> Result<Option<Fact>, EngineError> {
        match case::next(case) {
            Next::Nothing => Ok(None),
            Next::Order => self.order_saga_of(case).await.map(Some),
            Next::Look => self.look_at_case(case).await,
            Next::Release => self.release_saga_of(case).await,
        }
    }

    /// Its saga's id follows from the case's, so that it is ordered once whatever happens in between.
    async fn order_saga_of(&self, case: &Case) -> Result<Fact, EngineError> {
        let id = saga_id(case);
        match self.saga(&id) {
            Ok(_) => return Ok(Fact::Ordered(id)),
            Err(error) if error.code == code::SAGA_UNKNOWN => {}
            // It may be there: ordered anew, it would begin again.
            Err(error) => return Err(error),
        }
        let request = SagaRequest {
            kind: if case.right == Right::Erasure { SagaKind::Erasure } else { SagaKind::OptOut },
            subject: case.subject,
            other: None,
            suppress_first: case.suppress_first,
            keep_keys: Duration::from_secs(case.observe_seconds),
            reason: format!("privacy case {}", case.id),
            actor: case.opened.actor.clone(),
            case: Some((case.id.clone(), id.clone())),
        };
        match self.begin_saga(request).await {
            Ok(saga) => Ok(Fact::Ordered(saga.id)),
            Err(error) if error.code == code::SAGA_REFUSED => Ok(Fact::Barred(error.cause)),
            Err(error) => Err(error),
        }
    }

    /// Lets the saga destroy the keys; the fact is that it has ended.
    async fn release_saga_of(&self, case: &Case) -> Result<Option<Fact>, EngineError> {
        let Some(id) = &case.saga else { return Ok(Some(Fact::Ended)) };
        let saga = self.release_saga(id).await?;
        Ok(writ_kernel::saga::has_ended(&saga).then_some(Fact::Ended))
    }
}

fn saga_id(case: &Case) -> String {
    format!("saga-{}", case.id.trim_start_matches("case-"))
}
