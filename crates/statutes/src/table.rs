//! The whole table: laws, calendars, rights and sources, read from texts, and how a person's word finds its entry.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::calendar::Calendar;
use crate::embedded::FILES;
use crate::law::{Duty, Law};
use crate::lint::Finding;
use crate::nearest::nearest;

/// The part of a period after which the operator wants to be done, in hundredths, unless an overlay says otherwise.
pub const WINDOW_PERCENT: u32 = 50;

/// Everything that is known, with an operator's own decisions laid over it if there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// When it was last held against its sources.
    pub edition: Edition,
    /// By id.
    pub laws: BTreeMap<String, Law>,
    /// By id.
    pub calendars: BTreeMap<String, Calendar>,
    /// By id.
    pub rights: BTreeMap<String, Right>,
    /// Names of sources, and what is behind each.
    pub sources: BTreeMap<String, Source>,
    /// The operator's part of a period, in hundredths.
    pub window_percent: u32,
    /// The overlay that was laid over it.
    pub overlay: Option<String>,
}

/// When the table was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// The day on which every file was last held against its sources.
    pub as_of: Date,
    /// The day by which that has to be done again.
    pub review_by: Date,
}

/// A word for what people can ask for, or what is owed to them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Right {
    /// Its id.
    #[serde(rename = "right")]
    pub id: String,
    /// Other words for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it means.
    pub means: String,
}

/// A page on which something was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What kind of page it is.
    pub kind: String,
    /// Where it is.
    pub url: String,
}

/// A word that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unknown {
    /// What kind of word: `law`, `right`.
    pub what: &'static str,
    /// The word.
    pub word: String,
    /// The nearest that is known.
    pub nearest: Option<String>,
    /// Those that are known, if they are few.
    pub known: Vec<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} is called {:?}", self.what, self.word)?;
        if let Some(near) = &self.nearest {
            write!(f, "; did you mean {near:?}?")?;
        }
        if !self.known.is_empty() {
            write!(f, "; there are {}", self.known.join(", "))?;
        }
        Ok(())
    }
}

impl Table {
    /// The table that Writ comes with.
    pub fn shipped() -> Result<Self, Vec<Finding>> {
        Self::read(FILES)
    }

    /// Reads paths (`laws/gdpr.yaml`) and texts. Answers every file that cannot be read; what the files say is not
    /// judged here.
    pub fn read(files: &[(&str, &str)]) -> Result<Self, Vec<Finding>> {
        let mut reading = Reading::default();
        for (path, text) in files {
            if let Err(what) = reading.take(path, text) {
                reading.findings.push(Finding::in_file(path, what));
            }
        }
        let Some(edition) = reading.edition else {
            reading.findings.push(Finding::in_file("table.yaml", "missing: it says when the table was made"));
            return Err(reading.findings);
        };
        if !reading.findings.is_empty() {
            return Err(reading.findings);
        }
        Ok(Self {
            edition,
            laws: reading.laws,
            calendars: reading.calendars,
            rights: reading.rights,
            sources: reading.sources,
            window_percent: WINDOW_PERCENT,
            overlay: None,
        })
    }

    /// The law of this id or alias.
    pub fn law(&self, word: &str) -> Result<&Law, Unknown> {
        let is_meant = |law: &&Law| law.id == word || law.aliases.iter().any(|alias| alias == word);
        self.laws.values().find(is_meant).ok_or_else(|| {
            let names = self.laws.values().flat_map(|law| std::iter::once(&law.id).chain(&law.aliases));
            unknown("law", word, names.map(String::as_str), &[])
        })
    }

    /// The right of this id or alias.
    pub fn right(&self, word: &str) -> Result<&Right, Unknown> {
        let is_meant = |right: &&Right| right.id == word || right.aliases.iter().any(|alias| alias == word);
        self.rights.values().find(is_meant).ok_or_else(|| {
            let names =
                self.rights.values().flat_map(|right| std::iter::once(&right.id).chain(&right.aliases));
            unknown("right", word, names.map(String::as_str), &[])
        })
    }

    /// The duties of a law that serve a right, by its id or alias; there is at least one.
    pub fn duties<'a>(&self, law: &'a Law, word: &str) -> Result<Vec<&'a Duty>, Unknown> {
        let served: Vec<&str> =
            self.rights.keys().map(String::as_str).filter(|right| law.serves(right)).collect();
        let missing = || unknown("right with a duty under this law", word, served.iter().copied(), &served);
        let right = match self.right(word) {
            Ok(right) => right.id.as_str(),
            Err(_) => return Err(missing()),
        };
        let duties: Vec<&Duty> = law.duties.iter().filter(|duty| duty.serves(right)).collect();
        if duties.is_empty() { Err(missing()) } else { Ok(duties) }
    }

    /// The calendar of this id.
    pub fn calendar(&self, word: &str) -> Result<&Calendar, Unknown> {
        self.calendars.get(word).ok_or_else(|| {
            let known: Vec<&str> = self.calendars.keys().map(String::as_str).collect();
            unknown("calendar", word, known.iter().copied(), &known)
        })
    }
}

impl Law {
    /// The duty of this id.
    pub fn duty(&self, word: &str) -> Result<&Duty, Unknown> {
        self.duties.iter().find(|duty| duty.id == word).ok_or_else(|| {
            let known: Vec<&str> = self.duties.iter().map(|duty| duty.id.as_str()).collect();
            unknown("duty of this law", word, known.iter().copied(), &known)
        })
    }

    /// A duty of it serves this right.
    pub fn serves(&self, right: &str) -> bool {
        self.duties.iter().any(|duty| duty.serves(right))
    }
}

impl Duty {
    /// It serves this right.
    pub fn serves(&self, right: &str) -> bool {
        self.rights.iter().any(|served| served == right)
    }
}

fn unknown<'a>(
    what: &'static str,
    word: &str,
    names: impl Iterator<Item = &'a str>,
    known: &[&str],
) -> Unknown {
    Unknown {
        what,
        word: word.to_owned(),
        nearest: nearest(word, names).map(str::to_owned),
        known: known.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    edition: Option<Edition>,
    laws: BTreeMap<String, Law>,
    calendars: BTreeMap<String, Calendar>,
    rights: BTreeMap<String, Right>,
    sources: BTreeMap<String, Source>,
    findings: Vec<Finding>,
}

impl Reading {
    fn take(&mut self, path: &str, text: &str) -> Result<(), String> {
        let (folder, file) = path.split_once('/').unwrap_or(("", path));
        match (folder, file) {
            ("laws", file) => {
                let law: Law = parse(text)?;
                named_after(file, &law.id)?;
                self.laws.insert(law.id.clone(), law);
            }
            ("calendars", file) => {
                let calendar: Calendar = parse(text)?;
                named_after(file, &calendar.id)?;
                self.calendars.insert(calendar.id.clone(), calendar);
            }
            ("", "rights.yaml") => {
                for right in parse::<Vec<Right>>(text)? {
                    let id = right.id.clone();
                    if self.rights.insert(id.clone(), right).is_some() {
                        return Err(format!("the right {id} stands twice"));
                    }
                }
            }
            ("", "sources.yaml") => self.sources = parse(text)?,
            ("", "table.yaml") => self.edition = Some(parse(text)?),
            _ => return Err("no such file belongs here".to_owned()),
        }
        Ok(())
    }
}

fn named_after(file: &str, id: &str) -> Result<(), String> {
    let wanted = format!("{id}.yaml");
    if file == wanted { Ok(()) } else { Err(format!("a file that holds {id} is called {wanted}")) }
}

/// One YAML document; an error names line and column.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
