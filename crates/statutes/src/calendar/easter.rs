//! The date of Easter Sunday in the Gregorian calendar.

use jiff::civil::{Date, date};

/// Easter Sunday by the algorithm that Oudin gave in 1940 (Explanatory Supplement to the Astronomical Almanac, 12.92).
pub fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let century = y.div_euclid(100);
    let golden = y.rem_euclid(19);
    let moved = (century - 17).div_euclid(25);
    let moon =
        (century - century.div_euclid(4) - (century - moved).div_euclid(3) + 19 * golden + 15).rem_euclid(30);
    let moon = moon - moon / 28 * (1 - moon / 28 * (29 / (moon + 1)) * ((21 - golden) / 11));
    let weekday = (y + y.div_euclid(4) + moon + 2 - century + century.div_euclid(4)).rem_euclid(7);
    let distance = moon - weekday;
    let month = 3 + (distance + 40) / 44;
    let day = distance + 28 - 31 * (month / 4);
    date(year, i8::try_from(month).expect("three or four"), i8::try_from(day).expect("at most 31"))
}
