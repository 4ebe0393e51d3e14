//! The seventeen change types, the seven operations, the entities, the two priority classes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every one, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in configuration, events and leaves.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|w| w.as_str() == text).ok_or(UnknownWord { kind: stringify!($name) })
            }
        }
    };
}

pub(crate) use words;

/// A word that is in none of the lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a known {kind}")]
pub struct UnknownWord {
    pub(crate) kind: &'static str,
}

words! {
    /// What an event is about. The first fifteen are the specification's (R10).
    ChangeType {
        /// E-mail address.
        Email = "email",
        /// Phone number.
        Phone = "phone",
        /// Postal address.
        Address = "address",
        /// Communication or product preference.
        Preference = "preference",
        /// Consent given or withdrawn, per class and channel.
        Consent = "consent",
        /// Subscription contract or list membership.
        Subscription = "subscription",
        /// Loyalty tier.
        Tier = "tier",
        /// Segment membership.
        Segment = "segment",
        /// Cohort membership.
        Cohort = "cohort",
        /// Suppression: do not contact.
        Suppression = "suppression",
        /// Household membership.
        Household = "household",
        /// B2B account link.
        Account = "account",
        /// Payment method reference (a token, never a card number).
        PaymentMethod = "payment_method",
        /// Two identities became one.
        IdentityMerge = "identity_merge",
        /// One identity became several.
        IdentitySplit = "identity_split",
        /// Erasure requested (GDPR 17, CCPA delete).
        Erasure = "erasure",
        /// Rectification requested (GDPR 16, CCPA correct).
        Rectification = "rectification",
    }
}

words! {
    /// What happened to the record (R11).
    Operation {
        /// The record appeared.
        Insert = "insert",
        /// An attribute changed.
        Update = "update",
        /// The record went away.
        Delete = "delete",
        /// The record was marked as deleted and stays.
        SoftDelete = "soft_delete",
        /// A soft-deleted record came back.
        Restore = "restore",
        /// The record hangs under another parent.
        Reparent = "reparent",
        /// The record's key changed.
        Rekey = "rekey",
    }
}

words! {
    /// What kind of master record it is.
    Entity {
        /// A person who buys.
        Customer = "customer",
        /// A company account.
        Account = "account",
        /// People who share an address.
        Household = "household",
        /// A shop or branch.
        Location = "location",
        /// A stocked item.
        InventoryItem = "inventory_item",
        /// A person who works for the operator.
        Employee = "employee",
        /// A company that supplies the operator.
        Supplier = "supplier",
    }
}

words! {
    /// Two streams inside a slot, under one sequence.
    PriorityClass {
        /// Consent, suppression, privacy requests, identity safety. May overtake `standard`.
        Express = "express",
        /// Everything else.
        Standard = "standard",
    }
}

impl ChangeType {
    /// The class that an event of this type has unless policy raises it.
    pub fn default_class(self) -> PriorityClass {
        match self {
            Self::Consent
            | Self::Suppression
            | Self::IdentityMerge
            | Self::IdentitySplit
            | Self::Erasure
            | Self::Rectification => PriorityClass::Express,
            Self::Email
            | Self::Phone
            | Self::Address
            | Self::Preference
            | Self::Subscription
            | Self::Tier
            | Self::Segment
            | Self::Cohort
            | Self::Household
            | Self::Account
            | Self::PaymentMethod => PriorityClass::Standard,
        }
    }
}

/// The CloudEvents `type` of an event: `writ.<entity>.<change type>.v<schema major>`.
pub fn event_type(entity: Entity, change_type: ChangeType, schema_major: u32) -> String {
    format!("writ.{entity}.{change_type}.v{schema_major}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taxonomy_has_the_fifteen_types_and_the_two_rights() {
        assert_eq!(ChangeType::ALL.len(), 17);
        assert_eq!(Operation::ALL.len(), 7);
    }

    #[test]
    fn every_word_parses_back() {
        for word in ChangeType::ALL {
            assert_eq!(word.as_str().parse(), Ok(*word));
        }
    }
}
