//! Findings open once, count, close, and run out of time.

use writ_model::time::Timestamp;

use super::*;

const HOUR: u64 = 3600;

fn at(seconds: u64) -> Now {
    Now { moment: Moment(seconds * 1_000_000), wall: Timestamp(seconds as i64 * 1_000_000) }
}

fn crm() -> SubscriberName {
    SubscriberName::new("crm").expect("a name")
}

fn tell(findings: &mut Findings, seconds: u64, sign: Sign) -> Vec<Effect> {
    let mut effects = Vec::new();
    findings.on(at(seconds), Fact { subscriber: crm(), sign }, &mut effects);
    effects
}

fn pass(findings: &mut Findings, seconds: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    findings.on_time(at(seconds), &mut effects);
    effects
}

#[test]
fn a_finding_opens_once_counts_and_closes_and_then_may_open_again() {
    let mut findings = Findings::default();
    let opened = tell(&mut findings, 0, Sign::Seen(FindingKind::Down));
    assert!(matches!(opened.as_slice(), [Effect::Journal(one), Effect::Alert(_)] if one.seen == 1));
    assert_eq!(tell(&mut findings, 1, Sign::Seen(FindingKind::Down)), []);
    assert_eq!(findings.open().map(|one| one.seen).collect::<Vec<_>>(), [2]);
    let over = tell(&mut findings, 2, Sign::Over(FindingKind::Down));
    assert!(matches!(over.as_slice(), [Effect::Journal(one)] if one.closed_at == Some(at(2).wall)));
    assert_eq!(tell(&mut findings, 3, Sign::Over(FindingKind::Down)), [], "it is closed already");
    assert_eq!(findings.next_deadline(), None);
    assert_eq!(tell(&mut findings, 4, Sign::Seen(FindingKind::Down)).len(), 2);
}

#[test]
fn what_is_seen_again_and_again_is_journaled_once_a_minute() {
    let mut findings = Findings::default();
    let (mut records, mut second) = (0, 0);
    while second < 600 {
        records += tell(&mut findings, second, Sign::Seen(FindingKind::Rejecting)).len();
        while let Some(due) = findings.next_deadline().filter(|due| *due <= at(second).moment) {
            records += pass(&mut findings, due.0 / 1_000_000).len();
        }
        second += 1;
    }
    assert!((10..=12).contains(&records), "{records}");
    assert_eq!(findings.open().map(|one| one.seen).collect::<Vec<_>>(), [600]);
}

#[test]
fn each_severity_has_its_time_and_its_passing_is_told_once() {
    let days = |severity| time_for(severity).map(|time| time.as_secs() / (24 * HOUR));
    use Severity::*;
    assert_eq!([P0, P1, P2, P3, P4].map(days), [Some(0), Some(3), Some(7), Some(30), None]);
    let mut findings = Findings::default();
    tell(&mut findings, 0, Sign::Seen(FindingKind::Rejecting));
    assert_eq!(findings.next_deadline(), Some(at(72 * HOUR).moment));
    assert_eq!(pass(&mut findings, 72 * HOUR - 1), []);
    let passed = pass(&mut findings, 72 * HOUR);
    assert!(matches!(passed.as_slice(), [Effect::Alert(one), Effect::Journal(_)] if one.is_overdue));
    assert_eq!((pass(&mut findings, 99 * HOUR), findings.next_deadline()), (Vec::new(), None));
}

#[test]
fn a_restart_takes_the_clock_up_where_it_was_and_closes_what_is_nobodys_any_more() {
    let mut before = Findings::default();
    tell(&mut before, 0, Sign::Seen(FindingKind::Rejecting));
    let journaled: Vec<Finding> = before.open().cloned().collect();
    let mut effects = Vec::new();
    let now = Now { moment: Moment(0), wall: at(70 * HOUR).wall };
    let after = Findings::start(now, journaled.clone(), |_| true, &mut effects);
    assert_eq!((after.next_deadline(), effects.len()), (Some(at(2 * HOUR).moment), 0));
    let after = Findings::start(now, journaled, |_| false, &mut effects);
    assert!(after.open().next().is_none());
    assert!(matches!(effects.as_slice(), [Effect::Journal(one)] if one.closed_at.is_some()));
}

#[test]
fn every_kind_that_a_note_opens_is_closed_by_another() {
    let throttled = Note::Throttled { asked: Duration::ZERO, until: Moment(0), bounded: true };
    let dead = |why| Note::DeadLettered { offset: writ_model::id::Offset(1), cause: String::new(), why };
    let notes = [
        Note::Disorder,
        dead(GivenUp::Rejected),
        dead(GivenUp::Exhausted),
        Note::DeadLettersFull,
        Note::NoneParked,
        Note::Breaker("open"),
        Note::Breaker("closed"),
        Note::Late,
        Note::InTime,
        Note::Gone,
        Note::Resumed,
        throttled,
        Note::Acknowledged(1),
    ];
    let all: Vec<Sign> = notes.iter().flat_map(|note| signs(note)).copied().collect();
    for sign in &all {
        if let Sign::Seen(kind) = sign {
            assert!(all.contains(&Sign::Over(*kind)), "nothing closes {}", kind.as_str());
        }
    }
}
