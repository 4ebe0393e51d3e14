//! Is this change newer than what was applied before it? Judged per attribute group: an old address must not
//! hide behind a new e-mail address. ADR 0035.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use writ_model::change::Detected;
use writ_model::id::Region;
use writ_model::lineage::{Applied, Claim, Lineage, Standing, VersionVector, Versions};
use writ_model::taxonomy::{ChangeType, Operation};
use writ_model::value::Attributes;

/// What becomes of a stale change; chosen per source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleRule {
    /// It does not enter the stream. Of change types in [`NEVER_DROPPED`] it is flagged all the same.
    #[default]
    Drop,
    /// It enters the stream marked `stale`, and the last-known state stays what it is.
    Flag,
    /// It enters the stream as if it were newer.
    Forward,
}

/// Whose stale events are never dropped. They state a wish or an act, not only how a record looks: an older one
/// about another channel or purpose holds beside the newer, and a lost one breaks the law.
pub const NEVER_DROPPED: [ChangeType; 6] = [
    ChangeType::Consent,
    ChangeType::Suppression,
    ChangeType::IdentityMerge,
    ChangeType::IdentitySplit,
    ChangeType::Erasure,
    ChangeType::Rectification,
];

/// What to do with a detected change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It becomes an event with this mark. The last-known state follows it, unless the mark is `stale`.
    Take(Option<Standing>),
    /// It becomes none.
    Drop,
}

impl StaleRule {
    /// The course of a change of this type and standing.
    pub fn course(self, change_type: ChangeType, standing: Option<Standing>) -> Course {
        match (standing, self) {
            (None | Some(Standing::Concurrent), _) => Course::Take(standing),
            (Some(Standing::Stale), Self::Forward) => Course::Take(None),
            (Some(Standing::Stale), Self::Drop) if !NEVER_DROPPED.contains(&change_type) => Course::Drop,
            (Some(Standing::Stale), Self::Flag | Self::Drop) => Course::Take(standing),
        }
    }
}

/// It concerns the record as a whole: what is older than it is stale in every group.
pub fn is_whole(operation: Operation) -> bool {
    match operation {
        Operation::Delete | Operation::SoftDelete | Operation::Restore | Operation::Rekey => true,
        Operation::Insert | Operation::Update | Operation::Reparent => false,
    }
}

/// How a detected change stands to what was applied; `None`: it is newer, or nobody can tell. `known` is the
/// group as it was last applied.
///
/// A vector decides where the producer sent one, else its version. An older change that names an attribute
/// which the newer one did not is not stale: it says something that nobody has said since.
pub fn standing(
    applied: &Versions,
    claim: &Claim,
    detected: &Detected,
    known: Option<&Attributes>,
) -> Option<Standing> {
    let group = applied.groups.get(&detected.change_type);
    let says_more = match (&detected.after, known) {
        (Some(after), Some(known)) => after.keys().any(|name| !known.contains_key(name)),
        (Some(_) | None, None) | (None, Some(_)) => false,
    };
    let by_group = group.filter(|_| !says_more).and_then(|group| against(group, claim));
    by_group.or_else(|| against(&applied.record, claim))
}

fn against(applied: &Applied, claim: &Claim) -> Option<Standing> {
    if let Some(vector) = &claim.vector {
        return match vector.partial_cmp(&applied.vector) {
            _ if applied.vector.is_empty() => None,
            Some(Ordering::Less | Ordering::Equal) => Some(Standing::Stale),
            Some(Ordering::Greater) => None,
            None => Some(Standing::Concurrent),
        };
    }
    let version = claim.version.as_ref()?;
    applied.version.as_ref().filter(|applied| version.is_older_than(applied)).map(|_| Standing::Stale)
}

/// What the event says of its lineage: its mark, what this region and the producer have counted of the group, and
/// the event itself unless it is stale. Without a region of its own, a store counts only what producers count.
pub fn lineage(
    applied: &Versions,
    claim: &Claim,
    change_type: ChangeType,
    region: Option<&Region>,
    standing: Option<Standing>,
) -> Option<Lineage> {
    let mut vector = match applied.groups.get(&change_type) {
        Some(group) if region.is_some() || claim.vector.is_some() => group.vector.clone(),
        Some(_) | None => VersionVector::default(),
    };
    claim.vector.iter().for_each(|claimed| vector.merge(claimed));
    if let Some(region) = region.filter(|_| standing != Some(Standing::Stale)) {
        vector.tick(region);
    }
    let lineage = Lineage { standing, vector };
    (lineage != Lineage::default()).then_some(lineage)
}

#[cfg(test)]
mod tests {
    use writ_model::lineage::SourceVersion;
    use writ_model::taxonomy::Entity;
    use writ_model::time::Timestamp;
    use writ_model::value::Value;

    use super::*;

    fn at(micros: i64) -> Claim {
        Claim { version: Some(SourceVersion::Time(Timestamp(micros))), ..Claim::default() }
    }

    fn seen(vector: &str) -> Claim {
        Claim { vector: Some(vector.parse().expect("a vector")), ..Claim::default() }
    }

    fn attributes(names: &[&str]) -> Attributes {
        names.iter().map(|name| ((*name).to_owned(), Value::Text("x".to_owned()))).collect()
    }

    fn update(change_type: ChangeType, names: &[&str]) -> Detected {
        Detected {
            change_type,
            operation: Operation::Update,
            entity: Entity::Customer,
            before: None,
            after: Some(attributes(names)),
            unseen: Vec::new(),
            location: None,
            locale: None,
        }
    }

    fn applied(claim: &Claim, change_type: ChangeType, is_whole: bool) -> Versions {
        let mut versions = Versions::default();
        let vector = claim.vector.clone().unwrap_or_default();
        versions.apply(change_type, is_whole, &Applied { version: claim.version.clone(), vector });
        versions
    }

    fn email(claim: &Claim, before: &Versions) -> Option<Standing> {
        let known = attributes(&["email"]);
        standing(before, claim, &update(ChangeType::Email, &["email"]), Some(&known))
    }

    #[test]
    fn an_older_version_of_its_group_is_stale_and_an_equal_one_is_not() {
        let before = applied(&at(5), ChangeType::Email, false);
        assert_eq!(email(&at(4), &before), Some(Standing::Stale));
        assert_eq!(email(&at(5), &before), None);
        assert_eq!(email(&at(6), &before), None);
        assert_eq!(email(&Claim::default(), &before), None);
    }

    #[test]
    fn another_group_is_judged_by_itself() {
        let before = applied(&at(5), ChangeType::Phone, false);
        assert_eq!(email(&at(4), &before), None);
    }

    #[test]
    fn what_is_older_than_a_deletion_brings_no_group_back() {
        let before = applied(&at(5), ChangeType::Phone, true);
        let old = update(ChangeType::Email, &["email"]);
        assert_eq!(standing(&before, &at(4), &old, None), Some(Standing::Stale));
        assert_eq!(standing(&before, &at(6), &old, None), None);
    }

    #[test]
    fn an_older_change_that_says_more_than_the_newer_is_not_stale() {
        let before = applied(&at(5), ChangeType::Preference, false);
        let known = attributes(&["sms"]);
        let other = update(ChangeType::Preference, &["newsletter"]);
        assert_eq!(standing(&before, &at(4), &other, Some(&known)), None);
        let same = update(ChangeType::Preference, &["sms"]);
        assert_eq!(standing(&before, &at(4), &same, Some(&known)), Some(Standing::Stale));
    }

    #[test]
    fn a_vector_tells_older_newer_and_concurrent_changes_of_two_regions_apart() {
        let before = applied(&seen("eu=2,us=1"), ChangeType::Email, false);
        assert_eq!(email(&seen("eu=1,us=1"), &before), Some(Standing::Stale));
        assert_eq!(email(&seen("eu=2,us=1"), &before), Some(Standing::Stale));
        assert_eq!(email(&seen("eu=2,us=2"), &before), None);
        assert_eq!(email(&seen("eu=1,us=2"), &before), Some(Standing::Concurrent));
    }

    #[test]
    fn an_event_has_seen_what_it_follows_and_counts_itself_unless_it_is_stale() {
        let before = applied(&seen("eu=2,us=1"), ChangeType::Email, false);
        let us = Region::new("us").expect("a name");
        let of = |claim: &Claim, standing| {
            lineage(&before, claim, ChangeType::Email, Some(&us), standing).expect("a region is set").vector
        };
        assert_eq!(of(&Claim::default(), None).to_string(), "eu=2,us=2");
        assert_eq!(of(&seen("eu=3"), Some(Standing::Concurrent)).to_string(), "eu=3,us=2");
        assert_eq!(of(&seen("eu=1"), Some(Standing::Stale)).to_string(), "eu=2,us=1");
    }

    #[test]
    fn a_store_without_a_region_has_nothing_to_say_of_an_ordinary_change() {
        let of =
            |claim: &Claim, standing| lineage(&Versions::default(), claim, ChangeType::Email, None, standing);
        assert_eq!(of(&at(3), None), None);
        assert!(of(&at(3), Some(Standing::Stale)).is_some());
        assert_eq!(
            of(&seen("eu=3"), None).map(|lineage| lineage.vector.to_string()),
            Some("eu=3".to_owned())
        );
    }

    #[test]
    fn wishes_and_acts_are_never_dropped() {
        let stale = Some(Standing::Stale);
        assert_eq!(StaleRule::Drop.course(ChangeType::Email, stale), Course::Drop);
        assert_eq!(StaleRule::Flag.course(ChangeType::Email, stale), Course::Take(stale));
        assert_eq!(StaleRule::Forward.course(ChangeType::Email, stale), Course::Take(None));
        for change_type in NEVER_DROPPED {
            assert_eq!(StaleRule::Drop.course(change_type, stale), Course::Take(stale), "{change_type}");
        }
        for (change_type, standing) in
            ChangeType::ALL.iter().flat_map(|each| [(each, None), (each, Some(Standing::Concurrent))])
        {
            assert_eq!(StaleRule::Drop.course(*change_type, standing), Course::Take(standing));
        }
    }
}
