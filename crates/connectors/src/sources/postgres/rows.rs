//! From tuples to images and keys. What the server did not send stays unseen; nothing is invented for it.

use writ_model::change::RowChange;
use writ_model::id::RecordKey;
use writ_model::value::{Field, Image, Value};

use super::pgoutput::{Cell, Old, Tuple};
use super::relations::{LaidOut, Layout};
use super::values;

/// A row change, without its place in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) row: RowChange,
    pub(super) key: RecordKey,
    /// Only where it differs.
    pub(super) old_key: Option<RecordKey>,
    pub(super) before: Option<Image>,
    pub(super) after: Option<Image>,
}

/// A tuple that does not fit its table's description or does not hold the key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    /// More or fewer cells than columns.
    #[error("a row of table {table} has {cells} cells for {columns} columns")]
    Shape { table: String, cells: usize, columns: usize },
    /// The key's columns are not part of what the server logs of an old row.
    #[error("a row of table {table} came without its key columns")]
    NoKey { table: String },
}

/// A new row, or a snapshot's.
pub(super) fn appeared(layout: &Layout, row: RowChange, new: Tuple) -> Result<Row, RowError> {
    let after = image(layout, new, None, Part::Whole)?;
    Ok(Row { row, key: key_in(layout, &[&after])?, old_key: None, before: None, after: Some(after) })
}

/// A changed row. Under a full identity an unchanged out-of-line value is taken from the old row.
pub(super) fn updated(layout: &Layout, old: Option<Old>, new: Tuple) -> Result<Row, RowError> {
    let before = old.map(|old| old_image(layout, old)).transpose()?;
    let after = image(layout, new, before.as_ref(), Part::Whole)?;
    let known: Vec<&Image> = std::iter::once(&after).chain(before.as_ref()).collect();
    let key = key_in(layout, &known)?;
    let old_key = before.as_ref().and_then(|before| key_in(layout, &[before]).ok()).filter(|old| *old != key);
    Ok(Row { row: RowChange::Update, key, old_key, before, after: Some(after) })
}

/// A row that is gone.
pub(super) fn deleted(layout: &Layout, old: Old) -> Result<Row, RowError> {
    let before = old_image(layout, old)?;
    let key = key_in(layout, &[&before])?;
    Ok(Row { row: RowChange::Delete, key, old_key: None, before: Some(before), after: None })
}

/// Which cells of a tuple mean something.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Identity,
}

fn old_image(layout: &Layout, old: Old) -> Result<Image, RowError> {
    match old {
        Old::Identity(tuple) => image(layout, tuple, None, Part::Identity),
        Old::Full(tuple) => image(layout, tuple, None, Part::Whole),
    }
}

fn image(layout: &Layout, tuple: Tuple, before: Option<&Image>, part: Part) -> Result<Image, RowError> {
    if tuple.len() != layout.cells.len() {
        let (cells, columns) = (tuple.len(), layout.cells.len());
        return Err(RowError::Shape { table: layout.table.clone(), cells, columns });
    }
    let mut image = Image::default();
    for (cell, column) in tuple.into_iter().zip(&layout.cells) {
        let Some(column) = column else { continue };
        if matches!(part, Part::Identity) && !column.is_identity {
            continue;
        }
        image.0.insert(column.name.clone(), field(column, cell, before));
    }
    Ok(image)
}

fn field(column: &LaidOut, cell: Cell, before: Option<&Image>) -> Field {
    match cell {
        Cell::Null => Field::Seen(Value::Null),
        Cell::Text(text) => Field::Seen(values::from_text(column.type_id, text)),
        Cell::Unchanged => {
            let kept = before.and_then(|before| before.get(&column.name));
            kept.map_or(Field::Unseen, |value| Field::Seen(value.clone()))
        }
    }
}

/// The key out of the first image that shows each of its columns.
fn key_in(layout: &Layout, images: &[&Image]) -> Result<RecordKey, RowError> {
    let part = |&place: &usize| {
        let column = layout.cells[place].as_ref()?;
        images.iter().find_map(|image| image.get(&column.name)).map(Value::to_key_text)
    };
    let parts: Option<Vec<String>> = layout.key.iter().map(part).collect();
    parts.map(RecordKey).ok_or_else(|| RowError::NoKey { table: layout.table.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let column = |name: &str, type_id, is_identity| LaidOut { name: name.into(), type_id, is_identity };
        let cells = vec![Some(column("id", 23, true)), Some(column("bio", 25, false)), None];
        Layout { table: "public.customer".into(), key: vec![0], cells }
    }

    fn text(value: &str) -> Cell {
        Cell::Text(value.into())
    }

    fn key(id: &str) -> RecordKey {
        RecordKey(vec![id.into()])
    }

    #[test]
    fn unchanged_without_a_full_identity_is_unseen() {
        let row = updated(&layout(), None, vec![text("1"), Cell::Unchanged, text("x")]).expect("row");
        let after = row.after.expect("after");
        assert_eq!(after.0["bio"], Field::Unseen);
        assert!(!after.0.contains_key("note"), "unmapped columns are not taken in");
        assert_eq!((row.key, row.old_key, row.before), (key("1"), None, None));
    }

    #[test]
    fn unchanged_under_a_full_identity_comes_from_the_old_row() {
        let old = Old::Full(vec![text("1"), text("long"), Cell::Null]);
        let row = updated(&layout(), Some(old), vec![text("1"), Cell::Unchanged, Cell::Null]).expect("row");
        assert!(row.after.expect("after").get("bio") == Some(&Value::Text("long".into())));
        assert_eq!(row.old_key, None);
    }

    #[test]
    fn an_old_identity_shows_only_the_key() {
        let old = Old::Identity(vec![text("1"), Cell::Null, Cell::Null]);
        let row = updated(&layout(), Some(old), vec![text("2"), text("b"), Cell::Null]).expect("row");
        assert_eq!((row.key, row.old_key), (key("2"), Some(key("1"))));
        let before = row.before.expect("before");
        assert!(!before.0.contains_key("bio"), "a null outside the identity is not a null");
    }

    #[test]
    fn a_deleted_row_without_its_key_is_an_error() {
        let mut layout = layout();
        layout.key = vec![1];
        let old = Old::Identity(vec![text("1"), Cell::Null, Cell::Null]);
        assert_eq!(deleted(&layout, old), Err(RowError::NoKey { table: "public.customer".into() }));
    }

    #[test]
    fn a_tuple_of_another_shape_is_an_error() {
        let short = appeared(&layout(), RowChange::Insert, vec![text("1")]);
        assert!(matches!(short, Err(RowError::Shape { cells: 1, columns: 3, .. })));
    }
}
