//! Times in leaves: UTC at microsecond resolution, written at fixed width so that text order is time order.

use std::fmt;

use serde::{Serialize, Serializer};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A time in microseconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// `0000-01-01T00:00:00.000000Z`.
    pub const LOWEST: Self = Self(-62_167_219_200_000_000);
    /// `9999-12-31T23:59:59.999999Z`.
    pub const HIGHEST: Self = Self(253_402_300_799_999_999);

    /// The time so many microseconds after the epoch, clamped to the years 0000 to 9999.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::LOWEST.0, Self::HIGHEST.0))
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// This time and so many microseconds more, or less when negative.
    pub fn plus_micros(self, micros: i64) -> Self {
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// `YYYY-MM-DDTHH:MM:SS.ffffffZ`, as ASCII bytes. A time stands in every acknowledgement record: digits are
    /// set one by one, not formatted.
    pub(crate) fn to_text(self) -> [u8; 27] {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let micros = self.0.rem_euclid(MICROS_PER_SECOND);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        for (end, number) in
            [(4, year), (7, month), (10, day), (13, hour), (16, minute), (19, second), (26, micros)]
        {
            set_digits(&mut text[..end], number);
        }
        text
    }

    /// Reads exactly `YYYY-MM-DDTHH:MM:SS.ffffffZ`; any other spelling, and any day that the proleptic
    /// Gregorian calendar lacks, is `None`. There are no leap seconds.
    pub fn parse(text: &str) -> Option<Self> {
        const SHAPE: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";
        let bytes = text.as_bytes();
        let fits =
            |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
        if bytes.len() != SHAPE.len() || !bytes.iter().zip(SHAPE).all(fits) {
            return None;
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'))
        };
        let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
        let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
        let is_time = hour < 24 && minute < 60 && second < 60;
        if !is_time || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
            return None;
        }
        let seconds = days_before(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
        Some(Self(seconds * MICROS_PER_SECOND + number(20, 26)))
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_before`], same source.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Writes a number's digits so that its last stands at the end; what is before it stays.
fn set_digits(text: &mut [u8], mut number: i64) {
    for place in text.iter_mut().rev() {
        if number == 0 {
            break;
        }
        *place = b'0' + u8::try_from(number % 10).expect("a digit is below 10");
        number /= 10;
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_text()).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_print_and_parse() {
        let known = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_709_164_800_000_001, "2024-02-29T00:00:00.000001Z"),
            (Time::LOWEST.0, "0000-01-01T00:00:00.000000Z"),
            (Time::HIGHEST.0, "9999-12-31T23:59:59.999999Z"),
        ];
        for (micros, text) in known {
            assert_eq!(Time(micros).to_string(), text);
            assert_eq!(Time::parse(text), Some(Time(micros)));
        }
    }

    #[test]
    fn other_spellings_and_days_that_do_not_exist_are_refused() {
        for bad in [
            "2026-11-21T05:30:00Z",
            "2026-11-21t05:30:00.000000Z",
            "2026-11-21T05:30:00.000000+",
            "2025-02-29T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-00-01T00:00:00.000000Z",
            "2026-01-00T00:00:00.000000Z",
            "2026-01-01T24:00:00.000000Z",
            "2026-01-01T23:59:60.000000Z",
            "2026-01-01T00:00:00.000000Z ",
        ] {
            assert_eq!(Time::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_order_is_time_order_and_nothing_is_lost(a in Time::LOWEST.0..=Time::HIGHEST.0, b in Time::LOWEST.0..=Time::HIGHEST.0) {
            prop_assert_eq!(Time::parse(&Time(a).to_string()), Some(Time(a)));
            prop_assert_eq!(Time(a).to_string().cmp(&Time(b).to_string()), a.cmp(&b));
        }
    }
}
