//! What the commands print. A reader that has seen enough (`writ trace … | head`) closes its end of the pipe: that
//! ends the command quietly, where the standard macros panic.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

use serde_json::Value;

use crate::exit::UNAVAILABLE;

/// Exit code of a command whose reader has gone: nothing went wrong.
const READER_GONE: i32 = 0;

/// As `std::println!`, but quiet when nobody reads any more.
macro_rules! println {
    () => { $crate::out::line(format_args!("")) };
    ($($text:tt)*) => { $crate::out::line(format_args!($($text)*)) };
}

/// As `std::print!`, but quiet when nobody reads any more.
macro_rules! print {
    ($($text:tt)*) => { $crate::out::text(format_args!($($text)*)) };
}

/// Prints an answer of the engine, as it is or in words.
pub(crate) fn tell(answer: &Value, as_json: bool, words: impl FnOnce(&Value) -> String) {
    if as_json {
        println!("{answer:#}");
    } else {
        println!("{}", words(answer));
    }
}

/// Prints a line.
pub(crate) fn line(line: Arguments<'_>) {
    text(format_args!("{line}\n"));
}

/// Prints text. Ends the process when its reader has gone, and when it cannot be printed.
pub(crate) fn text(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(READER_GONE);
    }
    eprintln!("error: print to standard output: {error}; what it goes to must be writable");
    std::process::exit(UNAVAILABLE.into());
}
