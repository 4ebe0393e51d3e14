//! The attributes that a filter may name, and comparing their values without building them.

use std::fmt::{self, Display, Write};

use writ_model::envelope::ClearHeader;
use writ_model::taxonomy::PriorityClass;

macro_rules! attributes {
    ($($variant:ident = $name:literal,)+) => {
        /// An attribute of the clear header under its CloudEvents name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Attribute { $($variant,)+ }

        impl Attribute {
            /// By the name in a filter.
            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }

        /// Every name, for error texts.
        pub(super) const NAMES: &[&str] = &[$($name,)+];
    };
}

attributes! {
    Id = "id",
    Source = "source",
    SpecVersion = "specversion",
    Type = "type",
    Time = "time",
    DataContentType = "datacontenttype",
    DataSchema = "dataschema",
    Tenant = "tenant",
    Operation = "operation",
    Entity = "entity",
    ChangeType = "changetype",
    Location = "location",
    Locale = "locale",
    PriorityClass = "priorityclass",
    Generation = "generation",
    Slot = "slot",
    PartitionKey = "partitionkey",
    Hlc = "hlc",
    RecordedTime = "recordedtime",
    Standing = "standing",
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Equals,
    Begins,
    Ends,
}

/// The attribute has a value, and that value passes.
pub(super) fn passes(
    attribute: Attribute,
    test: Test,
    wanted: &str,
    header: &ClearHeader,
    class: PriorityClass,
) -> bool {
    let h = header;
    let check = |value: fmt::Arguments<'_>| compare(value, test, wanted);
    match attribute {
        Attribute::Id => check(format_args!("{}", h.event_id)),
        Attribute::Source => check(format_args!("/writ/{}/{}", h.tenant, h.source)),
        Attribute::SpecVersion => check(format_args!("1.0")),
        Attribute::Type => check(format_args!("writ.{}.{}.v{}", h.entity, h.change_type, h.schema_major)),
        Attribute::Time => check(format_args!("{}", h.time)),
        Attribute::DataContentType => check(format_args!("application/json")),
        Attribute::DataSchema => check(format_args!("urn:writ:schema:{}:v{}", h.change_type, h.schema_major)),
        Attribute::Tenant => check(format_args!("{}", h.tenant)),
        Attribute::Operation => check(format_args!("{}", h.operation)),
        Attribute::Entity => check(format_args!("{}", h.entity)),
        Attribute::ChangeType => check(format_args!("{}", h.change_type)),
        Attribute::Location => h.location.as_ref().is_some_and(|l| check(format_args!("{l}"))),
        Attribute::Locale => h.locale.as_ref().is_some_and(|l| check(format_args!("{l}"))),
        Attribute::PriorityClass => check(format_args!("{class}")),
        Attribute::Generation => check(format_args!("{}", h.generation)),
        Attribute::Slot => check(format_args!("{}", h.slot.number())),
        Attribute::PartitionKey => check(format_args!("{}", h.subject_id)),
        Attribute::Hlc => check(format_args!("{}", h.hlc)),
        Attribute::Standing => {
            let standing = h.lineage.as_ref().and_then(|lineage| lineage.standing);
            standing.is_some_and(|standing| check(format_args!("{}", standing.as_str())))
        }
        Attribute::RecordedTime => check(format_args!("{}", h.recorded_at)),
    }
}

fn compare(value: impl Display, test: Test, wanted: &str) -> bool {
    let mut comparison = Comparison { test, wanted: wanted.as_bytes(), skip: 0, seen: 0, is_equal: true };
    if test == Test::Ends {
        let mut length = Length(0);
        write!(length, "{value}").expect("counting cannot fail");
        let Some(skip) = length.0.checked_sub(wanted.len()) else { return false };
        comparison.skip = skip;
    }
    write!(comparison, "{value}").expect("comparing cannot fail");
    comparison.is_equal && comparison.seen >= wanted.len()
}

struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 += part.len();
        Ok(())
    }
}

/// Compares a text with the wanted one while it is being written.
struct Comparison<'a> {
    test: Test,
    wanted: &'a [u8],
    /// Bytes to pass over before the comparison begins.
    skip: usize,
    /// Bytes compared.
    seen: usize,
    is_equal: bool,
}

impl Write for Comparison<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let fits = match (self.wanted.get(self.seen), self.test) {
                (Some(wanted), _) => *wanted == byte,
                (None, Test::Begins) => true,
                (None, Test::Equals | Test::Ends) => false,
            };
            self.is_equal &= fits;
            self.seen += 1;
        }
        Ok(())
    }
}
