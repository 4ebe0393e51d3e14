//! May an express event go before an earlier standard event of its own subject? Only where the two commute:
//! a receiver that applies them in either order ends in the same state. A declared table; what is not declared
//! does not commute, and then the earlier event is promoted and goes first.
//!
//! Only updates commute. What makes a record, removes it or changes its key is what the others need first.

use writ_model::taxonomy::{ChangeType, Operation, PriorityClass};

use super::Item;

/// Every pair that commutes, each once: attributes that no receiver derives from one another. Consent and
/// suppression are kept by many receivers under an address or a phone number, so these two do not commute
/// with them; erasure, rectification, merges and splits commute with nothing.
const COMMUTE: &[(ChangeType, &[ChangeType])] = {
    use ChangeType::{Account, Address, Consent, Email, Household, PaymentMethod, Phone, Suppression, Tier};
    &[
        (Consent, &[Address, Tier, Household, Account, PaymentMethod]),
        (Suppression, &[Address, Tier, Household, Account, PaymentMethod]),
        (Email, &[Address, Tier, PaymentMethod]),
        (Phone, &[Address, Tier, PaymentMethod]),
    ]
};

/// Whether two kinds of change, both updates, may be applied in either order.
pub fn commute(one: ChangeType, other: ChangeType) -> bool {
    let declares =
        |a: ChangeType, b: ChangeType| COMMUTE.iter().any(|(of, with)| *of == a && with.contains(&b));
    declares(one, other) || declares(other, one)
}

/// Whether `later` may go before `earlier`, both of one subject.
pub fn may_overtake(later: &Item, earlier: &Item) -> bool {
    later.class == PriorityClass::Express
        && earlier.class == PriorityClass::Standard
        && later.operation == Operation::Update
        && earlier.operation == Operation::Update
        && commute(later.change_type, earlier.change_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_symmetric_and_no_change_commutes_with_its_own_kind() {
        for one in ChangeType::ALL {
            assert!(!commute(*one, *one), "{one}");
            for other in ChangeType::ALL {
                assert_eq!(commute(*one, *other), commute(*other, *one), "{one} {other}");
            }
        }
    }

    #[test]
    fn what_ends_or_joins_identities_commutes_with_nothing() {
        use ChangeType::*;
        for one in [Erasure, Rectification, IdentityMerge, IdentitySplit] {
            assert!(ChangeType::ALL.iter().all(|other| !commute(one, *other)), "{one}");
        }
    }

    #[test]
    fn an_opt_out_waits_for_what_says_whom_it_is_about_and_what_it_is_about() {
        use ChangeType::*;
        for opt_out in [Consent, Suppression] {
            for needed in [Email, Phone, Consent, Suppression, Preference, Subscription, Segment, Cohort] {
                assert!(!commute(opt_out, needed), "{opt_out} {needed}");
            }
        }
    }
}
