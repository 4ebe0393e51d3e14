//! The three forms of an HTTP date that a recipient must understand (RFC 9110 section 5.6.7).

use writ_model::time::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads an HTTP date; `None` when it is none.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    const PARTS_MAX: usize = 9;
    let parts: Vec<&str> =
        text.split([' ', ',', '-', ':']).filter(|part| !part.is_empty()).take(PARTS_MAX).collect();
    match parts.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT, and Sunday, 06-Nov-94 08:49:37 GMT
        [_, day, month, year, hour, minute, second, "GMT"]
        // Sun Nov  6 08:49:37 1994
        | [_, month, day, hour, minute, second, year] => civil(year, month, day, [hour, minute, second]),
        _ => None,
    }
}

fn civil(year: &str, month: &str, day: &str, clock: [&str; 3]) -> Option<Timestamp> {
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let year: u32 = match (year.len(), year.parse().ok()?) {
        // Two digits: RFC 9110 has the recipient choose the century; a wait is never in the last one.
        (2, short) => 2000_u32.checked_add(short)?,
        (4, full) => full,
        _ => return None,
    };
    let [day, hour, minute, second] = [day, clock[0], clock[1], clock[2]].map(|n| n.parse::<u32>().ok());
    format!("{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", day?, hour?, minute?, second?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_the_same_time() {
        let expected: Timestamp = "2026-11-06T08:49:37Z".parse().expect("a time");
        for text in
            ["Fri, 06 Nov 2026 08:49:37 GMT", "Friday, 06-Nov-26 08:49:37 GMT", "Fri Nov  6 08:49:37 2026"]
        {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in
            ["", "120", "soon", "Fri, 31 Feb 2026 08:49:37 GMT", "Fri, 06 Nov 2026 08:49:37 CET", "-1"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
