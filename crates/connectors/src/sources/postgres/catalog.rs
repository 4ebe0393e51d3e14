//! The mapped tables as the catalog has them now: for the check and for the snapshot, never for the stream.

use writ_model::code;
use writ_model::mapping::{TableMapping, Tables};

use super::identity::cell;
use super::pgoutput::{Column, Relation};
use super::relations::{TableName, quote_text};
use super::session::{Answer, Session, protocol};
use crate::source::SourceError;

/// A mapped table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// As the mapping names it.
    pub(super) mapped_as: String,
    pub(super) name: TableName,
    pub(super) is_partitioned: bool,
    /// `d`: primary key, `i`: an index, `f`: full, `n`: nothing.
    pub(super) replica_identity: char,
    /// The planner's estimate.
    pub(super) rows: Option<u64>,
    pub(super) columns: Vec<TableColumn>,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) type_id: u32,
    /// Computed by the server; such columns are not in the stream.
    pub(super) is_generated: bool,
    pub(super) is_identity: bool,
}

impl Table {
    /// The table as a message would describe it, with the columns that a snapshot reads.
    pub(super) fn relation(&self, read: &[&str]) -> Relation {
        let columns = self.columns.iter().filter(|c| read.contains(&c.name.as_str()) && !c.is_generated);
        let column =
            |c: &TableColumn| Column { name: c.name.clone(), type_id: c.type_id, is_identity: c.is_identity };
        Relation {
            id: 0,
            schema: self.name.schema.clone(),
            name: self.name.name.clone(),
            columns: columns.map(column).collect(),
        }
    }
}

/// Reads the mapped tables. All are there with all mapped columns, or it is an error that names what is not.
pub(super) async fn tables(session: &mut Session, mapping: &Tables) -> Result<Vec<Table>, SourceError> {
    let mut found = Vec::with_capacity(mapping.len());
    for (mapped_as, table) in mapping {
        let read = read_table(session, mapped_as).await?;
        let Some(read) = read else { return Err(no_table(session, mapped_as).await?) };
        columns_fit(&read, table)?;
        found.push(read);
    }
    Ok(found)
}

async fn read_table(session: &mut Session, mapped_as: &str) -> Result<Option<Table>, SourceError> {
    let name = TableName::of_mapping(mapped_as);
    let sql = format!(
        "SELECT c.relkind, c.relreplident, c.reltuples::bigint, a.attname, a.atttypid, a.attgenerated <> '', \
         c.relreplident = 'f' OR EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid \
         AND a.attnum = ANY (i.indkey) AND CASE c.relreplident WHEN 'd' THEN i.indisprimary \
         WHEN 'i' THEN i.indisreplident ELSE false END) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p') AND a.attnum > 0 \
         AND NOT a.attisdropped ORDER BY a.attnum",
        quote_text(&name.schema),
        quote_text(&name.name)
    );
    let rows = session.rows(&sql).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let read = || {
        Some(Table {
            mapped_as: mapped_as.to_owned(),
            name,
            is_partitioned: cell(first, 0)? == "p",
            replica_identity: cell(first, 1)?.chars().next()?,
            rows: cell(first, 2)?.parse().ok(),
            columns: rows.iter().map(column).collect::<Option<_>>()?,
        })
    };
    let unreadable =
        || protocol(format!("read table {mapped_as}"), "the catalog answers in another form".to_owned());
    read().map(Some).ok_or_else(unreadable)
}

fn column(row: &Answer) -> Option<TableColumn> {
    Some(TableColumn {
        name: cell(row, 3)?.to_owned(),
        type_id: cell(row, 4)?.parse().ok()?,
        is_generated: cell(row, 5)? == "t",
        is_identity: cell(row, 6)? == "t",
    })
}

async fn no_table(session: &mut Session, mapped_as: &str) -> Result<SourceError, SourceError> {
    let sql = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')";
    let rows = session.rows(sql).await?;
    let wanted = TableName::of_mapping(mapped_as);
    let wanted = format!("{}.{}", wanted.schema, wanted.name);
    let near = nearest(&wanted, rows.iter().filter_map(|row| cell(row, 0)));
    Ok(unfit(mapped_as, format!("there is no table {wanted}"), near))
}

fn columns_fit(table: &Table, mapping: &TableMapping) -> Result<(), SourceError> {
    let names = || table.columns.iter().map(|column| column.name.as_str());
    for wanted in mapping.columns() {
        let Some(column) = table.columns.iter().find(|column| column.name == wanted) else {
            let cause = format!("there is no column {wanted}");
            return Err(unfit(&table.mapped_as, cause, nearest(wanted, names())));
        };
        if column.is_generated {
            let cause = format!("column {wanted} is generated, and generated columns are not in the stream");
            return Err(unfit(&table.mapped_as, cause, None));
        }
    }
    Ok(())
}

fn unfit(table: &str, cause: String, near: Option<&str>) -> SourceError {
    let remedy = match near {
        Some(near) => format!("did you mean {near}? correct the mapping"),
        None => "correct the mapping or the table".to_owned(),
    };
    let tried = format!("hold the mapping against table {table}");
    SourceError { code: code::MAPPING_UNFIT, tried, cause, remedy, is_passing: false }
}

/// The name with the fewest edits, when they are few.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = names.map(|name| (edits(wanted, name), name)).min();
    ranked.filter(|(edits, _)| *edits <= wanted.len().div_ceil(3)).map(|(_, name)| name)
}

/// Levenshtein's distance, in bytes.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let names = ["email_addr", "phone", "id"];
        assert_eq!(nearest("emial_addr", names.into_iter()), Some("email_addr"));
        assert_eq!(nearest("loyalty_tier", names.into_iter()), None);
    }

    #[test]
    fn edits_are_counted_once_each() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "ab"), 2);
    }
}
