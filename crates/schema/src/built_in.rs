//! The schemas that Writ comes with, compiled in: one file per change type under `schemas/`.

use writ_model::taxonomy::ChangeType;

macro_rules! built_in {
    ($($change_type:ident = $name:literal,)+) => {
        /// File name and content of the built-in schema of a change type.
        pub(crate) fn file_of(change_type: ChangeType) -> (&'static str, &'static str) {
            match change_type {
                $(ChangeType::$change_type => (
                    concat!($name, ".v1.json"),
                    include_str!(concat!("../../../schemas/", $name, ".v1.json")),
                ),)+
            }
        }
    };
}

built_in! {
    Email = "email",
    Phone = "phone",
    Address = "address",
    Preference = "preference",
    Consent = "consent",
    Subscription = "subscription",
    Tier = "tier",
    Segment = "segment",
    Cohort = "cohort",
    Suppression = "suppression",
    Household = "household",
    Account = "account",
    PaymentMethod = "payment_method",
    IdentityMerge = "identity_merge",
    IdentitySplit = "identity_split",
    Erasure = "erasure",
    Rectification = "rectification",
}
