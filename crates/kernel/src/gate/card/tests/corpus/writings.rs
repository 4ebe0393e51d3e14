//! The ways in which one number is written, hidden and nested.

use serde_json::json;
use writ_model::value::Value;

use super::Dice;
use super::numbers::Number;

/// What stands between groups.
const SEPARATORS: &[(&str, &str)] = &[
    ("space", " "),
    ("two spaces", "  "),
    ("hyphen", "-"),
    ("hyphen between spaces", " - "),
    ("full stop", "."),
    ("tab", "\t"),
    ("underscore", "_"),
    ("slash", "/"),
    ("no-break space", "\u{A0}"),
    ("figure space", "\u{2007}"),
    ("thin space", "\u{2009}"),
    ("hyphen sign", "\u{2010}"),
    ("non-breaking hyphen", "\u{2011}"),
    ("figure dash", "\u{2012}"),
    ("en dash", "\u{2013}"),
    ("em dash", "\u{2014}"),
    ("narrow no-break space", "\u{202F}"),
    ("minus sign", "\u{2212}"),
    ("ideographic space", "\u{3000}"),
    ("full-width hyphen", "\u{FF0D}"),
];

/// Zeros of the scripts whose digits count.
const ZEROS: &[(&str, u32)] = &[
    ("Arabic-Indic", 0x0660),
    ("extended Arabic-Indic", 0x06F0),
    ("N'Ko", 0x07C0),
    ("Devanagari", 0x0966),
    ("Bengali", 0x09E6),
    ("Gurmukhi", 0x0A66),
    ("Gujarati", 0x0AE6),
    ("Oriya", 0x0B66),
    ("Tamil", 0x0BE6),
    ("Telugu", 0x0C66),
    ("Kannada", 0x0CE6),
    ("Malayalam", 0x0D66),
    ("Thai", 0x0E50),
    ("Lao", 0x0ED0),
    ("Tibetan", 0x0F20),
    ("Myanmar", 0x1040),
    ("Khmer", 0x17E0),
    ("Mongolian", 0x1810),
    ("full width", 0xFF10),
    ("mathematical bold", 0x1D7CE),
    ("mathematical monospace", 0x1D7F6),
];

/// Characters that are not seen.
const UNSEEN: &[(&str, char)] = &[
    ("soft hyphen", '\u{AD}'),
    ("zero-width space", '\u{200B}'),
    ("zero-width joiner", '\u{200D}'),
    ("word joiner", '\u{2060}'),
    ("byte order mark", '\u{FEFF}'),
];

/// Every writing of the number: what it is called, and the value.
pub(super) fn of(number: &Number, dice: &mut Dice) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, text: String| texts.push((name.to_owned(), text));
    for (name, text) in grouped(number) {
        add(&name, text);
    }
    let mut runs: Vec<(String, String)> = grouped(number).into_iter().take(3).collect();
    if !number.is_named_only {
        bare(&number.digits).into_iter().for_each(|(name, text)| add(&name, text));
        runs.push(("bare".to_owned(), number.digits.clone()));
    }
    for (name, run) in &runs {
        encoded(run).into_iter().for_each(|(how, text)| add(&format!("{how} of {name}"), text));
        for (script, zero) in ZEROS {
            add(&format!("{script} of {name}"), in_script(run, *zero));
        }
        for (what, unseen) in UNSEEN {
            let at = dice.between(1, run.chars().count() as u64) as usize;
            let hidden: String = run
                .chars()
                .enumerate()
                .flat_map(|(i, c)| (i == at).then_some(*unseen).into_iter().chain([c]))
                .collect();
            add(&format!("{what} in {name}"), hidden);
        }
        nested(run).into_iter().for_each(|(how, value)| all.push((format!("{name} {how}"), value)));
    }
    if !number.is_named_only
        && let Ok(whole) = number.digits.parse::<i64>()
    {
        all.push(("JSON number".to_owned(), Value::Int(whole)));
        all.push(("negative JSON number".to_owned(), Value::Int(-whole)));
    }
    all.extend(texts.into_iter().map(|(name, text)| (name, Value::Text(text))));
    all
}

fn grouped(number: &Number) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for grouping in number.groupings {
        for (name, separator) in SEPARATORS {
            let mut rest = number.digits.as_str();
            let parts: Vec<&str> = grouping
                .iter()
                .map(|length| {
                    let (part, after) = rest.split_at(*length);
                    rest = after;
                    part
                })
                .collect();
            all.push((format!("{} groups by {name}", grouping.len()), parts.join(separator)));
        }
    }
    all
}

/// Without groups, amid other text.
fn bare(digits: &str) -> Vec<(String, String)> {
    let texts = [
        digits.to_owned(),
        format!("card: {digits}."),
        format!("({digits})"),
        format!("pan={digits}&exp=12/27"),
        format!("https://shop.example/pay?n={digits}#done"),
        format!("a_{digits}_b"),
        format!("order 2026 {digits}"),
        format!("{digits}-123"),
        format!("%B{digits}^DOE/JANE^2712101"),
        format!(";{digits}=27121010000012345678?"),
        format!("{{\"n\":\"{digits}\",\"m\":{digits}}}"),
        format!("première carte №{digits}, merci"),
    ];
    texts.into_iter().enumerate().map(|(at, text)| (format!("bare in text {at}"), text)).collect()
}

fn in_script(text: &str, zero: u32) -> String {
    let digit = |c: char| c.to_digit(10).and_then(|value| char::from_u32(zero + value)).unwrap_or(c);
    text.chars().map(digit).collect()
}

fn encoded(run: &str) -> Vec<(String, String)> {
    let percent = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    let query = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        text.bytes()
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") })
            .collect::<String>()
    };
    let json = format!("{{\"card\":{{\"number\":\"{run}\"}}}}");
    vec![
        ("percent of all".to_owned(), percent(run)),
        ("percent as needed".to_owned(), format!("q={}&x=1", query(run))),
        ("percent of full width".to_owned(), format!("q={}", percent(&in_script(run, 0xFF10)))),
        ("percent with plus".to_owned(), format!("q={}", query(run).replace("%20", "+"))),
        ("percent of JSON".to_owned(), query(&json)),
        ("base64".to_owned(), base64(run.as_bytes(), STANDARD, true)),
        ("base64 of JSON".to_owned(), base64(json.as_bytes(), STANDARD, true)),
        ("unpadded base64 of JSON".to_owned(), base64(json.as_bytes(), STANDARD, false)),
        ("URL-safe base64 of JSON".to_owned(), base64(json.as_bytes(), URL_SAFE, false)),
        ("base64 of full width".to_owned(), base64(in_script(run, 0xFF10).as_bytes(), STANDARD, true)),
    ]
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: &[u8; 64], is_padded: bool) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            let sextet = bits >> (18 - 6 * place) & 63;
            text.push(char::from(alphabet[sextet as usize]));
        }
        if is_padded {
            text.push_str(&"=".repeat(3 - three.len()));
        }
    }
    text
}

fn nested(run: &str) -> Vec<(String, Value)> {
    let values = [
        ("in a list", json!(["", run])),
        ("in a map", json!({"a": {"b": {"c": run}}})),
        ("as a name", json!({run: true})),
        ("in a list of maps", json!([{"a": 1}, {"b": ["x", {"c": run}]}])),
        ("as JSON in a text", json!(format!("{{\"deep\":[\"{run}\"]}}"))),
    ];
    values.into_iter().map(|(how, value)| (how.to_owned(), Value::from_json(&value))).collect()
}
