//! Card numbers of every network, length and writing, none of which may be missed; and numbers that only look like
//! one, with the rate at which each kind is taken for a card.

mod look_alikes;
mod numbers;
mod writings;

use super::{KEY, envelope, scan};
use writ_model::value::Value;

/// A generator of numbers that is the same everywhere (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `from` on, below `to`.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from)
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + (self.roll() % 10) as u8)).collect()
    }
}

/// Whether the scanner finds something in an attribute, asked of one event again and again.
fn finder(name: &'static str) -> impl FnMut(Value) -> bool {
    let mut event = envelope();
    move |value| {
        event.private.data.after = Some([(name.to_owned(), value)].into());
        !scan(&KEY, &event).is_empty()
    }
}

#[test]
fn no_card_number_is_missed_however_it_is_written() {
    let mut dice = Dice(1);
    let mut tried = 0_usize;
    let mut missed = Vec::new();
    let mut is_found = finder("note");
    for number in numbers::all(&mut dice) {
        for (writing, value) in writings::of(&number, &mut dice) {
            tried += 1;
            if !is_found(value) {
                missed.push(format!("{} {}: {writing}", number.network, number.digits));
            }
        }
    }
    println!("{tried} writings of card numbers");
    assert!(tried > 50_000, "only {tried} writings were tried");
    assert!(
        missed.is_empty(),
        "{} of {tried} missed, among them\n{}",
        missed.len(),
        missed[..missed.len().min(40)].join("\n")
    );
}

#[test]
fn the_rates_are_stated_on_their_page() {
    const PAGE: &str = include_str!("../../../../../../docs/reference/card-numbers.md");
    for kind in look_alikes::KINDS {
        let row = format!("| {} | {} |", kind.name, kind.alarms_per_mille_max);
        assert!(PAGE.contains(&row), "docs/reference/card-numbers.md has no row {row}");
    }
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| kind |")).skip(2);
    assert_eq!(rows.take_while(|line| line.starts_with('|')).count(), look_alikes::KINDS.len());
}

#[test]
fn numbers_that_are_no_cards_are_taken_for_one_no_more_often_than_stated() {
    const EACH: u64 = 100_000;
    let mut dice = Dice(2);
    let mut broken = Vec::new();
    let mut is_found = finder("ref");
    for kind in look_alikes::KINDS {
        let alarms = (0..EACH).filter(|_| is_found((kind.make)(&mut dice))).count();
        let per_mille = alarms as f64 * 1_000.0 / EACH as f64;
        println!("{:<52}{per_mille:>8.2} of 1000, at most {}", kind.name, kind.alarms_per_mille_max);
        if per_mille > kind.alarms_per_mille_max {
            broken.push(format!("{}: {per_mille} of 1000", kind.name));
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}
