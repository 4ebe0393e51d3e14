//! Finds what is wrong in the table's files. A finding names the file, the law, the duty and what is wrong with it.

mod rows;

use std::collections::BTreeMap;
use std::fmt;

use crate::calendar::Calendar;
use crate::law::{Confidence, Law, Retention, Verification};
use crate::table::Table;
use crate::zone;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// `laws/gdpr.yaml`.
    pub file: String,
    /// The law's id.
    pub law: Option<String>,
    /// The duty's id.
    pub duty: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    /// About a whole file.
    pub fn in_file(file: &str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), law: None, duty: None, what: what.into() }
    }

    fn in_law(law: &Law, what: impl Into<String>) -> Self {
        Self { law: Some(law.id.clone()), ..Self::in_file(&format!("laws/{}.yaml", law.id), what) }
    }

    fn in_duty(law: &Law, duty: &str, what: impl Into<String>) -> Self {
        Self { duty: Some(duty.to_owned()), ..Self::in_law(law, what) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let Some(law) = &self.law {
            write!(f, "law {law}: ")?;
        }
        if let Some(duty) = &self.duty {
            write!(f, "duty {duty}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// Every mistake in the table.
pub fn lint(table: &Table) -> Vec<Finding> {
    let mut findings = names(table);
    if table.edition.review_by <= table.edition.as_of {
        findings.push(Finding::in_file("table.yaml", "review_by must lie after as_of"));
    }
    findings.extend(table.calendars.values().flat_map(|calendar| of_calendar(table, calendar)));
    for law in table.laws.values() {
        findings.extend(of_law(table, law).into_iter().map(|what| Finding::in_law(law, what)));
        for duty in &law.duties {
            let found = rows::of_duty(table, law, duty);
            findings.extend(found.into_iter().map(|what| Finding::in_duty(law, &duty.id, what)));
        }
    }
    findings
}

/// Every law and every right goes by its own words only.
fn names(table: &Table) -> Vec<Finding> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    let laws = table.laws.values().map(|law| (&law.id, &law.aliases, "laws"));
    let mut twice = |word, owner, file: &str| {
        if let Some(other) = owners.insert(word, owner) {
            findings.push(Finding::in_file(file, format!("{word} is the name of both {other} and {owner}")));
        }
    };
    for (id, aliases, folder) in laws {
        let file = format!("{folder}/{id}.yaml");
        std::iter::once(id).chain(aliases).for_each(|word| twice(word, id, &file));
    }
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for right in table.rights.values() {
        for word in std::iter::once(&right.id).chain(&right.aliases) {
            if let Some(other) = owners.insert(word, &right.id) {
                let what = format!("{word} is the name of both {other} and {}", right.id);
                findings.push(Finding::in_file("rights.yaml", what));
            }
        }
    }
    let ids = table.laws.keys().chain(table.calendars.keys()).chain(table.rights.keys());
    let odd = ids.filter(|id| !is_plain(id));
    findings
        .extend(odd.map(|id| Finding::in_file("table.yaml", format!("{id:?} is no plain lower-case name"))));
    findings
}

fn of_calendar(table: &Table, calendar: &Calendar) -> Vec<Finding> {
    let mut found = unsourced(table, &calendar.sources, calendar.confidence, calendar.verification);
    if calendar.valid.from > calendar.valid.to {
        found.push("the last valid year lies before the first".to_owned());
    }
    if calendar.closed.len() >= 7 {
        found.push("it is never open".to_owned());
    }
    let file = format!("calendars/{}.yaml", calendar.id);
    found.into_iter().map(|what| Finding::in_file(&file, what)).collect()
}

fn of_law(table: &Table, law: &Law) -> Vec<String> {
    let mut found = Vec::new();
    if !(1..=5).contains(&law.anchor) {
        found.push(format!("anchor {} is none of the five", law.anchor));
    }
    let zones = std::iter::once(&law.zone).chain(&law.span).filter(|name| zone::find(name).is_none());
    found.extend(zones.map(|name| format!("no time zone is called {name:?}")));
    if let Err(unknown) = table.calendar(&law.calendar) {
        found.push(unknown.to_string());
    }
    found.extend(law.grants.iter().filter_map(|right| unlisted(table, right)));
    if law.citation.trim().is_empty() {
        found.push("the citation is empty".to_owned());
    }
    let carries = !law.duties.is_empty() || !law.retention.is_empty();
    match (&law.reference, law.duties.is_empty()) {
        (Some(_), false) => {
            found.push("`reference` is for laws without duties; each row says its own".to_owned())
        }
        (Some(reference), true) => {
            found.extend(unsourced(table, &reference.sources, reference.confidence, reference.verification));
        }
        (None, _) if !carries => found.push("neither duties nor retention nor a `reference`".to_owned()),
        (None, _) => {}
    }
    if law.effective.is_none() && !law.duties.is_empty() {
        found.push("a law with duties says since when it is in force".to_owned());
    }
    found.extend(repeated(law.duties.iter().map(|duty| duty.id.as_str()), "duty"));
    found.extend(repeated(law.retention.iter().map(|row| row.record.as_str()), "record"));
    found.extend(law.retention.iter().flat_map(|retention| of_retention(table, retention)));
    found
}

fn of_retention(table: &Table, retention: &Retention) -> Vec<String> {
    let mut found = unsourced(table, &retention.sources, retention.confidence, retention.verification);
    let bounds = [&retention.floor, &retention.ceiling].into_iter().flatten();
    let periods = bounds.filter_map(|bound| bound.period);
    found.extend(periods.filter_map(rows::out_of_bounds));
    if retention.law.trim().is_empty() || retention.finding.trim().is_empty() {
        found.push("it says what the law says, and what follows".to_owned());
    }
    found.into_iter().map(|what| format!("retention of {}: {what}", retention.record)).collect()
}

/// Sources that nobody knows, and confidence that nothing was read for.
fn unsourced(
    table: &Table,
    sources: &[String],
    confidence: Confidence,
    verification: Verification,
) -> Vec<String> {
    let unknown = sources.iter().filter(|name| !table.sources.contains_key(*name));
    let mut found: Vec<String> = unknown.map(|name| format!("no source is called {name:?}")).collect();
    if verification == Verification::NotOpened && confidence == Confidence::High {
        found.push("high confidence, though nothing was opened".to_owned());
    }
    found
}

fn unlisted(table: &Table, right: &str) -> Option<String> {
    (!table.rights.contains_key(right)).then(|| format!("{right:?} is not in rights.yaml"))
}

fn repeated<'a>(names: impl Iterator<Item = &'a str>, what: &str) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    names.for_each(|name| *seen.entry(name).or_default() += 1);
    let twice = seen.into_iter().filter(|(_, count)| *count > 1);
    twice.map(|(name, _)| format!("the {what} {name} stands twice")).collect()
}

fn is_plain(id: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !id.is_empty() && id.chars().all(is_plain)
}

#[cfg(test)]
mod tests;
