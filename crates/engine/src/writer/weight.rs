//! How much room changes take on their way into the log: the bound counts changes, and a large one as several, so
//! that it bounds memory whatever the rows are like.

use writ_model::change::Change;
use writ_model::value::{Field, Image, Value};

/// Values up to this many bytes come with a change; every further stretch of as many counts as one change more.
const INCLUDED_BYTES: usize = 1024;

/// What these changes count together.
pub(super) fn weight(changes: &[Change]) -> usize {
    changes.iter().map(of_change).sum()
}

fn of_change(change: &Change) -> usize {
    let images = change.before.iter().chain(&change.after);
    count(images.map(of_image).sum())
}

fn count(bytes: usize) -> usize {
    1 + bytes.saturating_sub(1) / INCLUDED_BYTES
}

fn of_image(image: &Image) -> usize {
    image.0.values().filter_map(Field::seen).map(bytes).sum()
}

/// About what a value takes.
fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) => size_of::<Value>(),
        Value::Text(text) => text.len(),
        Value::List(items) => items.iter().map(bytes).sum(),
        Value::Map(map) => map.iter().map(|(name, value)| name.len() + bytes(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_several_kibibytes_counts_as_several_changes() {
        let mut image = Image::default();
        image.set("likes", Value::List(vec![Value::Text("x".repeat(4000)), Value::Text("y".repeat(97))]));
        image.0.insert("bio".to_owned(), Field::Unseen);
        assert_eq!(of_image(&image), 4097);
        assert_eq!([0, 1024, 1025, 4096, 4097].map(count), [1, 1, 2, 4, 5]);
    }
}
