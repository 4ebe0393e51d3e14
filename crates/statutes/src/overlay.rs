//! An operator's own decisions, laid over the table: figures that counsel decided, rows that counsel confirmed, the
//! operator's part of each period, calendars of its own. Each says who wrote it, who approved it, when and why.
//!
//! The table itself is not changed: a decision adds a row beside those of the law. An overlay cannot make a minimum of
//! retention that holds back an erasure, because what it says about retention is a wish and has no other basis.

use jiff::civil::Date;
use serde::Deserialize;

use crate::calendar::Calendar;
use crate::law::{
    Basis, Bound, Confidence, Duty, Extension, Law, Period, Retention, Row, Status, Verification,
};
use crate::lint::Finding;
use crate::table::{Table, parse};

/// An operator's file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Its name, which answers carry.
    #[serde(rename = "overlay")]
    pub name: String,
    /// The part of each period after which the operator wants to be done, in hundredths.
    pub window_percent: Option<u32>,
    /// Decisions on duties.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// The operator's calendars.
    #[serde(default)]
    pub calendars: Vec<OwnCalendar>,
    /// How long the operator wants to keep records.
    #[serde(default)]
    pub retention: Vec<OwnRetention>,
}

/// Who decided what, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Who wrote it.
    pub by: String,
    /// Who approved it: somebody else.
    pub approved_by: String,
    /// When.
    pub on: Date,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub until: Option<Date>,
}

/// A decision on one duty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The law's id.
    pub law: String,
    /// The duty's id.
    pub duty: String,
    /// Clocks that start on this day or later are under it.
    pub from: Date,
    /// Who, when and why.
    pub act: Act,
    /// Counsel has confirmed the row, so that it may carry a legal date although the table alone would not let it.
    #[serde(default)]
    pub confirm: bool,
    /// The figure by which counsel wants it counted.
    pub due: Option<Period>,
    /// By how much that can be extended.
    pub extension: Option<Extension>,
    /// Whether it binds.
    pub status: Option<Status>,
    /// The operator's own period, in place of its part of the law's.
    pub policy: Option<Period>,
}

/// A calendar and who is behind it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnCalendar {
    /// Who, when and why.
    pub act: Act,
    /// The calendar.
    pub calendar: Calendar,
}

/// How long the operator wants to keep a class of records.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnRetention {
    /// The law's id.
    pub law: String,
    /// The class of records.
    pub record: String,
    /// At least.
    pub keep: Period,
    /// Who, when and why.
    pub act: Act,
}

impl Overlay {
    /// Reads an operator's file.
    pub fn read(file: &str, text: &str) -> Result<Self, Finding> {
        parse(text).map_err(|what| Finding::in_file(file, what))
    }

    /// The table with these decisions over it, or every reason why that cannot be.
    pub fn over(&self, table: &Table, file: &str) -> Result<Table, Vec<Finding>> {
        let mut laid = table.clone();
        let mut wrong: Vec<String> = Vec::new();
        if let Some(percent) = self.window_percent {
            laid.window_percent = percent;
            if !(1..=100).contains(&percent) {
                wrong.push(format!("window_percent {percent} is not from 1 to 100"));
            }
        }
        for own in &self.calendars {
            let id = &own.calendar.id;
            wrong.extend(act_problems(&own.act).map(|what| format!("calendar {id}: {what}")));
            if laid.calendars.insert(id.clone(), own.calendar.clone()).is_some() {
                wrong.push(format!("calendar {id}: the table has one of this name; choose another"));
            }
        }
        for change in &self.changes {
            let place = format!("law {}: duty {}", change.law, change.duty);
            wrong.extend(act_problems(&change.act).map(|what| format!("{place}: {what}")));
            wrong.extend(change.lay(&mut laid).err().map(|what| format!("{place}: {what}")));
        }
        for own in &self.retention {
            let place = format!("law {}: retention of {}", own.law, own.record);
            wrong.extend(act_problems(&own.act).map(|what| format!("{place}: {what}")));
            wrong.extend(own.lay(&mut laid).err().map(|what| format!("{place}: {what}")));
        }
        laid.overlay = Some(self.name.clone());
        let findings: Vec<Finding> = wrong.into_iter().map(|what| Finding::in_file(file, what)).collect();
        if findings.is_empty() { Ok(laid) } else { Err(findings) }
    }
}

fn act_problems(act: &Act) -> impl Iterator<Item = String> {
    let words = [("by", &act.by), ("approved_by", &act.approved_by), ("reason", &act.reason)];
    let empty: Vec<String> = words
        .iter()
        .filter(|(_, word)| word.trim().is_empty())
        .map(|(name, _)| format!("`{name}` is empty"))
        .collect();
    let alone = (act.by.trim() == act.approved_by.trim())
        .then(|| "`approved_by` is the author; somebody else approves".to_owned());
    let lapsed = act.until.filter(|until| *until < act.on).map(|_| "`until` lies before `on`".to_owned());
    empty.into_iter().chain(alone).chain(lapsed)
}

impl Change {
    fn lay(&self, table: &mut Table) -> Result<(), String> {
        let duty = duty_of(table, &self.law, &self.duty)?;
        if let Some(policy) = self.policy {
            bounded(policy)?;
            duty.policy = Some(policy);
        }
        if !self.confirm && self.due.is_none() && self.extension.is_none() && self.status.is_none() {
            return if self.policy.is_some() { Ok(()) } else { Err("it decides nothing".to_owned()) };
        }
        let base = duty.row_on(self.from).or_else(|| duty.row_after(self.from));
        let row = self.row(base.ok_or("the duty has no row to decide on")?)?;
        let at = duty.rows.iter().rposition(|row| row.from <= self.from).map_or(0, |at| at + 1);
        duty.rows.insert(at, row);
        Ok(())
    }

    fn row(&self, base: &Row) -> Result<Row, String> {
        let mut row = Row { from: self.from, act: Some(self.act.clone()), ..base.clone() };
        if row.due.period.is_none() {
            return Err("the law has no number for this duty; a date for it is house policy: give `policy`"
                .to_owned());
        }
        if let Some(period) = self.due {
            bounded(period)?;
            row.due.period = Some(period);
            // An extension of another unit than the period's has lost its meaning.
            row.extension = row.extension.filter(|extension| extension.unit == period.unit);
        }
        if let Some(extension) = &self.extension {
            row.extension = Some(extension.clone());
        }
        if let (Some(extension), period) = (&row.extension, row.due.period)
            && period.is_none_or(|period| period.unit != extension.unit)
        {
            return Err("the extension is not of the period's unit".to_owned());
        }
        row.status = self.status.unwrap_or(row.status);
        if self.confirm {
            row.confidence = Confidence::High;
        }
        Ok(row)
    }
}

impl OwnRetention {
    fn lay(&self, table: &mut Table) -> Result<(), String> {
        bounded(self.keep)?;
        let law = table.law(&self.law).map_err(|unknown| unknown.to_string())?.id.clone();
        let law: &mut Law = table.laws.get_mut(&law).expect("it was just found");
        law.retention.push(Retention {
            record: self.record.clone(),
            spec: None,
            law: "Nothing: this is the operator's own wish.".to_owned(),
            floor: Some(Bound { period: Some(self.keep), scope: None, standard: None }),
            ceiling: None,
            basis: Basis::Policy,
            citation: format!("decided by {} on {}", self.act.approved_by, self.act.on),
            finding: self.act.reason.clone(),
            confidence: Confidence::High,
            verification: Verification::PrimaryTextSeen,
            sources: Vec::new(),
        });
        Ok(())
    }
}

fn bounded(period: Period) -> Result<(), String> {
    let most = period.unit.most();
    let is_bounded = (1..=most).contains(&period.n);
    if is_bounded { Ok(()) } else { Err(format!("{period} is no period: from 1 to {most}")) }
}

fn duty_of<'a>(table: &'a mut Table, law: &str, duty: &str) -> Result<&'a mut Duty, String> {
    let law = table.law(law).map_err(|unknown| unknown.to_string())?;
    law.duty(duty).map_err(|unknown| unknown.to_string())?;
    let id = law.id.clone();
    let law = table.laws.get_mut(&id).expect("it was just found");
    Ok(law.duties.iter_mut().find(|known| known.id == duty).expect("it was just found"))
}

#[cfg(test)]
mod tests;
