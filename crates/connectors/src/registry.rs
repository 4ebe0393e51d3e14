//! Every connector of this build, by name. Regenerated from the folders of `sources/` and `subscribers/`.

use crate::descriptor::{Build, Descriptor};
use crate::{sources, subscribers};

/// Every connector: sources, then subscribers, each by name.
pub const ALL: &[&Descriptor] = &[
    &sources::cloudevents::DESCRIPTOR,
    &sources::postgres::DESCRIPTOR,
    &sources::shopify::DESCRIPTOR,
    &sources::sqlite::DESCRIPTOR,
    &subscribers::file::DESCRIPTOR,
    &subscribers::postgres::DESCRIPTOR,
    &subscribers::pull::DESCRIPTOR,
    &subscribers::webhook::DESCRIPTOR,
];

/// On which side of Writ a connector stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Changes come from it.
    Source,
    /// Events go to it.
    Subscriber,
}

impl Descriptor {
    /// On which side it stands.
    pub fn side(&self) -> Side {
        match self.build {
            Build::Pull(_) | Build::Push(_) => Side::Source,
            Build::Subscriber(_) => Side::Subscriber,
        }
    }
}

/// The connector that `kind: <name>` means on this side.
pub fn find(name: &str, side: Side) -> Option<&'static Descriptor> {
    ALL.iter().copied().find(|descriptor| descriptor.name == name && descriptor.side() == side)
}
