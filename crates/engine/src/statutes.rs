//! The statute table that an operator works by: the one that Writ comes with, under a file of their own decisions.

use std::path::Path;

use writ_statutes::lint::Finding;
use writ_statutes::overlay::Overlay;
use writ_statutes::table::Table;

/// Largest overlay; a larger file is not one.
const OVERLAY_BYTES_MAX: u64 = 1 << 20;

/// The table, with the overlay laid over it if there is one.
///
/// # Errors
/// What is wrong with the overlay, a line for each finding, with its file.
pub fn table(overlay: Option<&Path>) -> Result<Table, String> {
    let table = Table::shipped().map_err(|findings| lines(&findings))?;
    let Some(path) = overlay else { return Ok(table) };
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| format!("{name}: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > OVERLAY_BYTES_MAX {
        return Err(format!("{name}: the file is larger than {OVERLAY_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let overlay = Overlay::read(&name, &text).map_err(|finding| lines(&[finding]))?;
    overlay.over(&table, &name).map_err(|findings| lines(&findings))
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
