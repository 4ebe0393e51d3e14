//! The shipped table, held against dates that were counted by hand, against the rules' own words over four centuries,
//! and against every time zone that changes its clocks.

mod acts;
mod calendars;
mod everything;
mod files;
mod properties;
mod stage;
mod vectors;
mod zones;
