//! What is wrong with a list of rules: what can never fit, and what is never reached.

use super::{HeaderTest, RULES_MAX, Rule, Rules};

/// A rule, or the place of the results, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There are more than [`RULES_MAX`].
    #[error("there are more than {RULES_MAX} rules")]
    TooMany,
    /// A rule can never fit.
    #[error("rule {rule} never fits: {why}")]
    NeverFits {
        /// Its number, from 1.
        rule: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An earlier rule takes everything that this one would.
    #[error("rule {rule} is never reached: rule {by} takes all that it would")]
    Unreachable {
        /// Its number, from 1.
        rule: usize,
        /// The earlier one's.
        by: usize,
    },
    /// Two rules with the same conditions mean different things.
    #[error("rule {rule} contradicts rule {by}: the same conditions, another meaning")]
    Contradiction {
        /// The later one's number, from 1.
        rule: usize,
        /// The earlier one's.
        by: usize,
    },
    /// The results per item are no JSON pointers.
    #[error("the place of the results is no JSON pointer: write it as /results, or leave it empty")]
    Results,
}

impl Rules {
    /// Everything that is wrong with them, in order.
    pub fn check(&self) -> Result<(), Vec<Unusable>> {
        let mut found = Vec::new();
        if self.rules.len() > RULES_MAX {
            found.push(Unusable::TooMany);
        }
        for (at, rule) in self.rules.iter().enumerate().take(RULES_MAX) {
            let number = at + 1;
            found.extend(never_fits(rule).map(|why| Unusable::NeverFits { rule: number, why }));
            let by = self.rules[..at].iter().position(|earlier| covers(earlier, rule));
            found.extend(by.map(|by| unreached(&self.rules[by], by + 1, rule, number)));
        }
        let pointers = self.items.iter().flat_map(|items| [Some(&items.at), items.status.as_ref()]);
        if pointers.flatten().any(|pointer| !is_pointer(pointer)) {
            found.push(Unusable::Results);
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

fn unreached(earlier: &Rule, by: usize, later: &Rule, rule: usize) -> Unusable {
    let is_same = Rule { then: later.then, ..earlier.clone() } == *later;
    if is_same && earlier.then != later.then {
        Unusable::Contradiction { rule, by }
    } else {
        Unusable::Unreachable { rule, by }
    }
}

fn never_fits(rule: &Rule) -> Option<&'static str> {
    if let Some(statuses) = &rule.status {
        if statuses.0.is_empty() {
            return Some("its range of statuses is empty");
        }
        if *statuses.0.start() < 100 || *statuses.0.end() > 599 {
            return Some("a status is from 100 to 599");
        }
    }
    if let Some(header) = &rule.header {
        if header.equals.is_some() == header.contains.is_some() {
            return Some("a header test has either `equals` or `contains`");
        }
        if !header.name.bytes().all(is_header_byte) || header.name.is_empty() {
            return Some("a header's name is in lower case");
        }
    }
    if rule.body.as_ref().is_some_and(|body| !is_pointer(&body.at)) {
        return Some("a place in the body is a JSON pointer: /error/code");
    }
    None
}

fn is_header_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

/// Whether everything that fits `later` fits `earlier` too.
fn covers(earlier: &Rule, later: &Rule) -> bool {
    let statuses = match (&earlier.status, &later.status) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => one.0.contains(other.0.start()) && one.0.contains(other.0.end()),
    };
    let header = match (&earlier.header, &later.header) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => implies(other, one),
    };
    let types = match (earlier.change_types.is_empty(), later.change_types.is_empty()) {
        (true, _) => true,
        (false, true) => false,
        (false, false) => later.change_types.is_subset(&earlier.change_types),
    };
    statuses && header && types && (earlier.body.is_none() || earlier.body == later.body)
}

/// Whether every value that the one takes is taken by the other.
fn implies(one: &HeaderTest, other: &HeaderTest) -> bool {
    let (Some(given), true) = (one.equals.as_ref().or(one.contains.as_ref()), one.name == other.name) else {
        return false;
    };
    let equals = other.equals.as_ref().is_none_or(|text| one.equals.is_some() && given == text);
    equals && other.contains.as_ref().is_none_or(|text| given.contains(text.as_str()))
}
