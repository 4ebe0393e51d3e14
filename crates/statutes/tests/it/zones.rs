//! Every zone that changes its clocks, at every change of four centuries.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use writ_statutes::zone;

const FROM: &str = "1975-01-01T00:00:00Z";
const TO: &str = "2375-01-01T00:00:00Z";

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// Zones in which some moment of these centuries is in daylight saving time, one for each set of rules.
pub(crate) fn with_daylight_saving() -> Vec<(&'static str, TimeZone)> {
    let mut seen = BTreeSet::new();
    let mut zones = Vec::new();
    for name in zone::names() {
        let zone = zone::find(name).expect("a name of the database");
        let changes: Vec<(Timestamp, bool, i32)> =
            changes(&zone).take(60).map(|change| (change.0, change.1, change.2)).collect();
        if changes.iter().any(|(_, is_saving, _)| *is_saving) && seen.insert(changes) {
            zones.push((name, zone));
        }
    }
    zones
}

fn changes(zone: &TimeZone) -> impl Iterator<Item = (Timestamp, bool, i32)> + '_ {
    let to = moment(TO);
    let following = zone.following(moment(FROM)).take_while(move |change| change.timestamp() < to);
    following.map(|change| (change.timestamp(), change.dst().is_dst(), change.offset().seconds()))
}

#[test]
fn no_change_of_the_clocks_loses_or_doubles_a_day() {
    let second = SignedDuration::from_secs(1);
    let zones = with_daylight_saving();
    assert!(zones.len() > 50, "{} zones observe daylight saving", zones.len());
    for (name, zone) in &zones {
        for (at, ..) in changes(zone) {
            let days = [at - second * 3_600, at + second * 3_600].map(|around| zone::day_of(around, zone));
            for day in [days[0].yesterday().expect("in range"), days[0], days[1]] {
                let begins =
                    zone::end_of(day.yesterday().expect("in range"), zone).expect("in range").timestamp();
                let ends = zone::end_of(day, zone).expect("in range").timestamp();
                // A zone that crossed the date line had no such day at all.
                if begins == ends {
                    continue;
                }
                assert!(begins < ends, "{name} {day}");
                assert_eq!(zone::day_of(begins, zone), day, "{name}: {day} begins in another day");
                assert_eq!(zone::day_of(ends - second, zone), day, "{name}: {day} ends in another day");
                let next = zone::day_of(ends, zone);
                assert!(next > day, "{name}: {day} goes on after its end");
            }
        }
    }
}

#[test]
fn the_database_is_linked_in_and_says_its_release() {
    assert!(zone::release().starts_with("20"), "{}", zone::release());
    assert!(zone::find("Europe/Brussels").is_some());
    assert!(zone::find("Europe/Nowhere").is_none());
}
