//! Reading and checking the fields of one record: what is missing, unknown or of another form is named.

use std::fmt;

use crate::canonical::Value;
use crate::time::Time;

/// Why canonical bytes are not a record of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A field that the record needs is absent.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field has a value that it may not have. The value is not repeated.
    #[error("field {0} has a value that it may not have")]
    Invalid(&'static str),
    /// A field that the record does not have.
    #[error("field {0:?} is unknown")]
    Unknown(String),
}

/// The fields of a map, taken one after the other until none is left.
pub(crate) struct Fields<'a> {
    entries: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(value: Value<'a>, name: &'static str) -> Result<Self, FieldError> {
        match value {
            Value::Map(entries) => Ok(Self { entries }),
            Value::Number(_) | Value::Text(_) | Value::List(_) => Err(FieldError::Invalid(name)),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.entries.iter().position(|(key, _)| *key == name)?;
        Some(self.entries.remove(at).1)
    }

    pub(crate) fn value(&mut self, name: &'static str) -> Result<Value<'a>, FieldError> {
        self.take(name).ok_or(FieldError::Missing(name))
    }

    /// A text that `read` understands.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, FieldError> {
        self.read_if_present(name, read)?.ok_or(FieldError::Missing(name))
    }

    pub(crate) fn read_if_present<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => read(&text).map(Some).ok_or(FieldError::Invalid(name)),
            Some(Value::Number(_) | Value::List(_) | Value::Map(_)) => Err(FieldError::Invalid(name)),
        }
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Result<u64, FieldError> {
        match self.value(name)? {
            Value::Number(number) => Ok(number),
            Value::Text(_) | Value::List(_) | Value::Map(_) => Err(FieldError::Invalid(name)),
        }
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Result<Vec<Value<'a>>, FieldError> {
        match self.value(name)? {
            Value::List(items) => Ok(items),
            Value::Number(_) | Value::Text(_) | Value::Map(_) => Err(FieldError::Invalid(name)),
        }
    }

    pub(crate) fn time(&mut self, name: &'static str) -> Result<Time, FieldError> {
        self.read(name, Time::parse)
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), FieldError> {
        match self.entries.first() {
            None => Ok(()),
            Some((key, _)) => Err(FieldError::Unknown((*key).to_owned())),
        }
    }
}

/// `text` as it is, when `fits` says so.
pub(crate) fn checked(fits: fn(&str) -> bool) -> impl Fn(&str) -> Option<String> {
    move |text| fits(text).then(|| text.to_owned())
}

/// An error where a field that the caller filled in does not fit.
pub(crate) fn require(holds: bool, name: &'static str) -> Result<(), FieldError> {
    if holds { Ok(()) } else { Err(FieldError::Invalid(name)) }
}

/// A configured name: `[a-z0-9][a-z0-9_-]{0,62}`. No address or e-mail has this form.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = text.bytes();
    bytes.next().is_some_and(plain)
        && text.len() <= 63
        && bytes.all(|byte| plain(byte) || b"_-".contains(&byte))
}

/// A word of a closed vocabulary: `[a-z][a-z0-9_]{0,62}`.
pub(crate) fn is_word(text: &str) -> bool {
    is_name(text) && text.as_bytes()[0].is_ascii_lowercase() && !text.contains('-')
}

/// `<name>@sha256:<64 hex digits>`.
pub(crate) fn is_policy_version(text: &str) -> bool {
    text.split_once("@sha256:").is_some_and(|(name, digest)| is_name(name) && is_digest(digest))
}

/// `<change type>.v<major>+sha256:<64 hex digits>`.
pub(crate) fn is_schema_version(text: &str) -> bool {
    let is_major =
        |major: &str| !major.is_empty() && major.len() <= 9 && major.bytes().all(|b| b.is_ascii_digit());
    text.split_once("+sha256:").is_some_and(|(version, digest)| {
        let is_version =
            version.split_once(".v").is_some_and(|(name, major)| is_word(name) && is_major(major));
        is_version && is_digest(digest)
    })
}

fn is_digest(text: &str) -> bool {
    crate::hex::decode::<32>(text).is_some()
}

/// A 32-byte value with a four-byte prefix that tells its kind: `st1:<64 hex digits>`.
macro_rules! prefixed {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads the prefix and 64 lower-case hex digits.
            pub fn parse(text: &str) -> Option<Self> {
                crate::hex::decode(text.strip_prefix($prefix)?).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), crate::hex::Hex(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    )+};
}

pub(crate) use prefixed;

/// An event's id: a UUID in lower case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// Where the hyphens are in the text.
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];

    /// Reads the hyphenated lower-case form.
    pub fn parse(text: &str) -> Option<Self> {
        let is_shaped = text.len() == 36 && Self::HYPHENS.iter().all(|at| text.as_bytes()[*at] == b'-');
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        if is_shaped { crate::hex::decode(&digits).map(Self) } else { None }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (group, (from, to)) in [(0, 4), (4, 6), (6, 8), (8, 10), (10, 16)].into_iter().enumerate() {
            let hyphen = if group == 0 { "" } else { "-" };
            write!(f, "{hyphen}{}", crate::hex::Hex(&self.0[from..to]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_has_one_spelling() {
        let text = "019341f2-7c80-7abc-8def-0123456789ab";
        assert_eq!(EventId::parse(text).unwrap().to_string(), text);
        for bad in [
            "019341F2-7c80-7abc-8def-0123456789ab",
            "019341f27c807abc8def0123456789ab",
            "019341f2-7c80-7abc-8def-0123456789a",
            "019341f2-7c80-7abc-8def-01234567-9ab",
            "",
        ] {
            assert_eq!(EventId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn personal_data_fits_no_field_form() {
        for text in
            ["ada@example.org", "10.0.0.1", "Ada", "+49 30 1234", "2001:db8::1", "DE89370400440532013000"]
        {
            let fits = is_name(text) || is_word(text) || is_policy_version(text) || is_schema_version(text);
            assert!(!fits, "{text}");
        }
    }

    #[test]
    fn versions_carry_the_hash_of_what_they_name() {
        let digest = "ab".repeat(32);
        assert!(is_policy_version(&format!("default@sha256:{digest}")));
        assert!(is_schema_version(&format!("email.v1+sha256:{digest}")));
        assert!(
            !is_policy_version("default@sha256:ab")
                && !is_schema_version(&format!("email.v+sha256:{digest}"))
        );
    }
}
