//! Numbers that are no cards, by kind, and how many of a thousand may be taken for one.
//!
//! What can be told from a card by length, range, grouping or surroundings never is. Where digits run through a
//! network's range at its length, every tenth passes the check digit by chance: the bounds below are that share.

use writ_model::value::Value;

use super::Dice;

/// One kind.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) make: fn(&mut Dice) -> Value,
    pub(super) alarms_per_mille_max: f64,
}

const fn kind(name: &'static str, make: fn(&mut Dice) -> Value, alarms_per_mille_max: f64) -> Kind {
    Kind { name, make, alarms_per_mille_max }
}

/// From 2001 to 2049, in seconds.
const FROM: u64 = 1_000_000_000;
const TO: u64 = 2_500_000_000;

pub(super) const KINDS: &[Kind] = &[
    kind("epoch seconds", |dice| int(dice.between(FROM, TO)), 0.0),
    kind("epoch milliseconds", |dice| int(dice.between(FROM * 1_000, TO * 1_000)), 0.0),
    kind(
        "epoch microseconds of 2001 to 2040",
        |dice| int(dice.between(FROM * 1_000_000, 2_220_000_000 * 1_000_000)),
        0.0,
    ),
    kind("epoch nanoseconds", |dice| int(dice.between(FROM * 1_000_000_000, TO * 1_000_000_000)), 0.0),
    kind(
        "epoch milliseconds in a text",
        |dice| text(format!("at {} ms", dice.between(FROM * 1_000, TO * 1_000))),
        0.0,
    ),
    kind("RFC 3339 time with nanoseconds", time, 0.0),
    kind("compact time, 20261126093000123", compact_time, 0.0),
    kind("sequence ids up to 12 digits", |dice| int(dice.between(1, 1_000_000_000_000)), 0.0),
    kind("random ids of 16 digits", |dice| text(random(dice, 16)), 33.0),
    kind("random ids of 19 digits", |dice| text(random(dice, 19)), 21.0),
    kind("random 63-bit ids", |dice| int(dice.roll() >> 1), 22.0),
    kind("snowflake ids, epoch 2010-11", |dice| int(snowflake(dice, 1_288_834_974_657, 22)), 0.0),
    kind("snowflake ids, epoch 2015", |dice| int(snowflake(dice, 1_420_070_400_000, 22)), 3.0),
    kind("sharded ids, epoch 2011-08, 23 bits", |dice| int(snowflake(dice, 1_314_220_021_721, 23)), 32.0),
    kind("phone numbers, E.164", phone, 0.0),
    kind("phone numbers, grouped", phone_grouped, 0.0),
    kind("IBANs, compact", |dice| text(iban(dice).concat()), 0.0),
    kind("IBANs, grouped", |dice| text(iban(dice).join(" ")), 0.0),
    kind("EAN-13", |dice| text(with_gs1_check(&random(dice, 12))), 0.0),
    kind("UPC-A", |dice| text(with_gs1_check(&random(dice, 11))), 0.0),
    kind("GTIN-14", |dice| text(with_gs1_check(&random(dice, 13))), 5.0),
    kind("SSCC-18 with its prefix", |dice| text(format!("(00){}", with_gs1_check(&random(dice, 17)))), 9.0),
    kind(
        "tracking, 1Z and 16 characters",
        |dice| text(format!("1Z{}{}", letters(dice, 6), dice.digits(10))),
        0.0,
    ),
    kind("tracking, 12 digits", |dice| text(random(dice, 12)), 0.0),
    kind("tracking, 15 digits", |dice| text(random(dice, 15)), 7.0),
    kind("tracking, 22 digits", |dice| text(format!("94{}", dice.digits(20))), 0.0),
    kind("tracking, 22 digits in fours", tracking_in_fours, 36.0),
    kind(
        "tracking, two letters and nine digits",
        |dice| text(format!("{}{}DE", letters(dice, 2), dice.digits(9))),
        0.0,
    ),
    kind("order ids, date and 8 digits, 2026112600012345", order_id, 0.0),
    kind("order ids in groups, 3-7-7", order_id_grouped, 0.0),
    kind("references in the groups of a card", reference_in_fours, 33.0),
    kind("ULIDs", |dice| text(ulid(dice)), 0.0),
    kind("object ids, 24 characters of hexadecimal", object_id, 0.1),
    kind("prefixed ids, cus_ and 16 digits", |dice| text(format!("cus_{}", random(dice, 16))), 33.0),
    kind("tokens of a card's ends, letters between", |dice| text(lettered_token(dice)), 0.0),
    kind("dates, times and a phone number in one text", several, 0.0),
    kind("UUIDs", |dice| text(uuid(dice)), 0.0),
    kind("UUIDs of digits only", |dice| text(digits_uuid(dice)), 0.0),
    kind("hashes in hexadecimal", |dice| text(format!("{:016x}{:016x}", dice.roll(), dice.roll())), 0.1),
    kind("IMEIs of 15 digits", |dice| text(format!("35{}", dice.digits(13))), 0.0),
    kind(
        "amounts with a fraction",
        |dice| text(format!("{}.{}", dice.between(0, 1_000_000), dice.digits(16))),
        0.0,
    ),
    kind("coordinates", coordinates, 0.0),
    kind("IP addresses", |dice| text([0; 4].map(|_| dice.between(0, 256).to_string()).join(".")), 0.0),
    kind("VAT and account numbers of 10 digits", |dice| text(format!("DE{}", dice.digits(9))), 0.0),
];

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).expect("below 2^63"))
}

fn text(text: String) -> Value {
    Value::Text(text)
}

/// Digits that do not begin with a zero.
fn random(dice: &mut Dice, count: usize) -> String {
    format!("{}{}", dice.between(1, 10), dice.digits(count - 1))
}

fn letters(dice: &mut Dice, count: usize) -> String {
    (0..count).map(|_| char::from(b'A' + (dice.roll() % 26) as u8)).collect()
}

fn snowflake(dice: &mut Dice, epoch_ms: u64, bits: u32) -> u64 {
    // From 2018 to 2027.
    let now = dice.between(1_514_764_800_000, 1_830_000_000_000);
    (now - epoch_ms) << bits | dice.roll() & ((1 << bits) - 1)
}

fn time(dice: &mut Dice) -> Value {
    let two = |dice: &mut Dice, from, to| format!("{:02}", dice.between(from, to));
    let day = format!("20{}-{}-{}", two(dice, 10, 40), two(dice, 1, 13), two(dice, 1, 29));
    let clock = format!("{}:{}:{}", two(dice, 0, 24), two(dice, 0, 60), two(dice, 0, 60));
    text(format!("{day}T{clock}.{}Z", dice.digits(9)))
}

fn compact_time(dice: &mut Dice) -> Value {
    let two = |dice: &mut Dice, from, to| format!("{:02}", dice.between(from, to));
    let parts = [(10, 40), (1, 13), (1, 29), (0, 24), (0, 60), (0, 60)].map(|(from, to)| two(dice, from, to));
    text(format!("20{}{}", parts.concat(), dice.digits(3)))
}

const COUNTRY_CODES: &[(&str, usize)] = &[
    ("1", 10),
    ("44", 10),
    ("49", 11),
    ("33", 9),
    ("34", 9),
    ("39", 10),
    ("37", 10),
    ("380", 9),
    ("30", 10),
    ("36", 9),
    ("4", 11),
    ("52", 10),
    ("55", 11),
    ("62", 11),
    ("65", 8),
    ("81", 10),
    ("86", 11),
    ("91", 10),
    ("353", 9),
];

fn subscriber(dice: &mut Dice) -> (&'static str, String) {
    let (code, digits) = COUNTRY_CODES[dice.between(0, COUNTRY_CODES.len() as u64) as usize];
    (code, dice.digits(digits))
}

fn phone(dice: &mut Dice) -> Value {
    let (code, number) = subscriber(dice);
    text(format!("+{code}{number}"))
}

fn phone_grouped(dice: &mut Dice) -> Value {
    let (code, number) = subscriber(dice);
    let (area, rest) = number.split_at(3);
    let (middle, last) = rest.split_at(rest.len() / 2);
    text(match dice.roll() % 3 {
        0 => format!("+{code} ({area}) {middle}-{last}"),
        1 => format!("+{code} {area} {middle} {last}"),
        _ => format!("00{code}-{area}-{middle}{last}"),
    })
}

/// Country and length; digits only, as most are, or with four letters of a bank in front.
const IBANS: &[(&str, usize, bool)] = &[
    ("DE", 22, false),
    ("FR", 27, false),
    ("ES", 24, false),
    ("AT", 20, false),
    ("BE", 16, false),
    ("PL", 28, false),
    ("GB", 22, true),
    ("NL", 18, true),
    ("IE", 22, true),
    ("CH", 21, false),
    ("SE", 24, false),
    ("PT", 25, false),
];

fn iban(dice: &mut Dice) -> Vec<String> {
    let (country, length, has_bank) = IBANS[dice.between(0, IBANS.len() as u64) as usize];
    let bank = if has_bank { letters(dice, 4) } else { String::new() };
    let digits = dice.digits(length - country.len() - "00".len() - bank.len());
    let whole: Vec<char> =
        format!("{country}{}{bank}{digits}", iban_check(country, &format!("{bank}{digits}")))
            .chars()
            .collect();
    whole.chunks(4).map(|four| four.iter().collect()).collect()
}

/// ISO 13616: the digits that leave 1 when all is divided by 97.
fn iban_check(country: &str, account: &str) -> String {
    let remainder = |text: &str| {
        text.chars()
            .filter_map(|c| c.to_digit(36))
            .fold(0_u64, |rest, value| (rest * if value < 10 { 10 } else { 100 } + u64::from(value)) % 97)
    };
    format!("{:02}", 98 - remainder(&format!("{account}{country}00")))
}

/// The check digit of article numbers and shipping containers.
fn with_gs1_check(body: &str) -> String {
    let weighted =
        body.bytes().rev().enumerate().map(|(at, b)| u32::from(b - b'0') * if at % 2 == 0 { 3 } else { 1 });
    format!("{body}{}", (10 - weighted.sum::<u32>() % 10) % 10)
}

fn tracking_in_fours(dice: &mut Dice) -> Value {
    let whole: Vec<char> = format!("94{}", dice.digits(20)).chars().collect();
    let parts: Vec<String> = whole.chunks(4).map(|four| four.iter().collect()).collect();
    text(parts.join(" "))
}

fn order_id(dice: &mut Dice) -> Value {
    let day = format!("20{:02}{:02}{:02}", dice.between(10, 40), dice.between(1, 13), dice.between(1, 29));
    text(format!("{day}{}", dice.digits(8)))
}

fn order_id_grouped(dice: &mut Dice) -> Value {
    text([3, 7, 7].map(|count| dice.digits(count)).join("-"))
}

fn reference_in_fours(dice: &mut Dice) -> Value {
    text(format!("{} {}", random(dice, 4), [4; 3].map(|count| dice.digits(count)).join(" ")))
}

/// Crockford's alphabet: 26 characters, of which the first ten are a time.
fn ulid(dice: &mut Dice) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let random: String = (0..22).map(|_| char::from(ALPHABET[(dice.roll() % 32) as usize])).collect();
    format!("01KB{random}")
}

fn object_id(dice: &mut Dice) -> Value {
    text(format!("{:08x}{:016x}", dice.between(FROM, TO), dice.roll()))
}

fn lettered_token(dice: &mut Dice) -> String {
    format!("{}{}{}", random(dice, 6), letters(dice, 6), dice.digits(4))
}

fn several(dice: &mut Dice) -> Value {
    let [at, day, call] = [time(dice), compact_time(dice), phone_grouped(dice)].map(|value| match value {
        Value::Text(text) => text,
        _ => String::new(),
    });
    text(format!("called {call} at {at}, run {day}"))
}

fn uuid(dice: &mut Dice) -> String {
    let hex = format!("{:016x}{:016x}", dice.roll(), dice.roll());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn digits_uuid(dice: &mut Dice) -> String {
    [8, 4, 4, 4, 12].map(|count| dice.digits(count)).join("-")
}

fn coordinates(dice: &mut Dice) -> Value {
    text(format!("{}.{}, {}.{}", dice.between(0, 90), dice.digits(14), dice.between(0, 180), dice.digits(14)))
}
