//! What does a configuration leave open? Facts go in, gaps come out, the worst first, each with what to do. Nothing is read
//! and nothing is asked here; what the facts are is said by whoever assembles them.

pub mod facts;
pub mod gap;

mod rules;

#[cfg(test)]
mod tests;

use facts::Facts;
use gap::Gap;

/// Every gap, in the order in which to close them: by severity, then by what is wrong, then by whom it is about.
pub fn assess(facts: &Facts) -> Vec<Gap> {
    let mut gaps = rules::all(facts);
    gaps.sort_by(|one, other| {
        let key = |gap: &Gap| (gap.severity, gap.kind, gap.about.clone());
        key(one).cmp(&key(other))
    });
    gaps
}
