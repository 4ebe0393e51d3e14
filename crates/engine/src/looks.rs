//! When is each of many open things looked at again? One that changed lately often, one that has waited long seldom: for a
//! subscriber that is down, or for an operator. Thousands may be open at once, and a look costs reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use writ_model::time::Timestamp;

use crate::clock;

/// A fresh one is looked at this often, and one that has waited long this seldom.
const OFTEN: Duration = Duration::from_millis(250);
const SELDOM: Duration = Duration::from_secs(5);

/// It is looked at after this share of the time since it last changed.
const SHARE_OF_AGE: u32 = 8;

/// The last look at each, and when what was seen then had last changed.
#[derive(Debug, Default)]
pub(crate) struct Looks(BTreeMap<String, (Instant, Timestamp)>);

impl Looks {
    /// Of the open ones, with when each last changed, those to look at now. The others are forgotten that are not open.
    pub(crate) fn due(&mut self, open: &[(String, Timestamp)], now: (Instant, Timestamp)) -> Vec<String> {
        let mut kept = BTreeMap::new();
        let mut due = Vec::new();
        for (id, changed_at) in open {
            match self.0.get(id) {
                Some((at, seen)) if seen == changed_at && now.0 < *at + pause(*changed_at, now.1) => {
                    kept.insert(id.clone(), (*at, *seen));
                }
                Some(_) | None => due.push(id.clone()),
            }
        }
        self.0 = kept;
        due
    }

    /// One was looked at, as it last changed then; `failed`: not again before long.
    pub(crate) fn looked(&mut self, id: &str, at: Instant, (changed_at, failed): (Timestamp, bool)) {
        let at = if failed { at + SELDOM } else { at };
        self.0.insert(id.to_owned(), (at, changed_at));
    }

    /// Waits until the next is due, somebody wakes, or the engine stops.
    pub(crate) async fn rest(&self, wake: &Notify, stop: &mut watch::Receiver<bool>) {
        let wait = self.wait((Instant::now(), clock::wall()));
        let next = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next => {}
            () = wake.notified() => {}
            _ = stop.changed() => {}
        }
    }

    /// How long until the next is due; `None` when nothing is open.
    fn wait(&self, now: (Instant, Timestamp)) -> Option<Duration> {
        let left =
            |(at, seen): &(Instant, Timestamp)| (*at + pause(*seen, now.1)).saturating_duration_since(now.0);
        self.0.values().map(left).min()
    }
}

fn pause(changed_at: Timestamp, now: Timestamp) -> Duration {
    let age = u64::try_from(now.0.saturating_sub(changed_at.0)).unwrap_or_default();
    (Duration::from_micros(age) / SHARE_OF_AGE).clamp(OFTEN, SELDOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_fresh_one_is_looked_at_often_and_one_that_waits_seldom() {
        let after = |seconds: i64| pause(Timestamp(SECOND), Timestamp(SECOND + seconds * SECOND));
        assert_eq!((after(0), after(1)), (OFTEN, OFTEN));
        assert_eq!(after(16), Duration::from_secs(2));
        assert_eq!(after(3600), SELDOM);
        assert_eq!(after(-5), OFTEN, "a clock that went back");
    }

    #[test]
    fn each_is_due_by_its_own_age_and_at_once_when_it_changed() {
        let (mut looks, begun) = (Looks::default(), Instant::now());
        let open = |changed: i64| [("new".to_owned(), Timestamp(changed)), ("old".to_owned(), Timestamp(0))];
        let at = |millis: u64| {
            let wall = Timestamp(3600 * SECOND + i64::try_from(millis).expect("small") * 1000);
            (begun + Duration::from_millis(millis), wall)
        };
        let fresh = 3600 * SECOND;
        assert_eq!(looks.due(&open(fresh), at(0)), ["new", "old"]);
        looks.looked("new", at(0).0, (Timestamp(fresh), false));
        looks.looked("old", at(0).0, (Timestamp(0), false));
        assert_eq!(looks.wait(at(0)), Some(OFTEN));
        assert_eq!(looks.due(&open(fresh), at(100)), Vec::<String>::new());
        assert_eq!(looks.due(&open(fresh), at(300)), ["new"]);
        looks.looked("new", at(300).0, (Timestamp(fresh), false));
        assert_eq!(looks.due(&open(fresh + 1), at(310)), ["new"], "it changed");
        looks.looked("new", at(310).0, (Timestamp(fresh + 1), true));
        assert_eq!(looks.due(&open(fresh + 1), at(4000)), Vec::<String>::new(), "the look had failed");
        assert_eq!(looks.due(&[], at(9000)), Vec::<String>::new());
        assert_eq!(looks.wait(at(9000)), None);
    }
}
