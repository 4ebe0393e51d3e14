//! Sealing: from a cleared event to something that may touch a disk. AES-256-GCM under the subject's content
//! key; the clear header is bound in as associated data, so that no sealed part can be moved to another event.

use writ_kernel::gate::Cleared;
use writ_model::envelope::{ClearHeader, PrivatePart};
use writ_model::id::{Generation, SubjectId};
use writ_model::verdict::Decision;

use crate::error::SealError;
use crate::vault::{Purpose, SubjectKey};

/// One sealed part and the name of the key that opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPart {
    /// Whose key.
    pub subject_id: SubjectId,
    /// Of which life.
    pub generation: Generation,
    /// For which purpose.
    pub purpose: Purpose,
    /// Random, never reused under one key.
    pub nonce: [u8; 12],
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

/// A cleared event ready for the log. Only [`seal`] makes one, and it takes a [`Cleared`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    header: ClearHeader,
    decision: Decision,
    parts: Vec<SealedPart>,
}

impl std::fmt::Debug for SealedPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedPart({} bytes)", self.ciphertext.len())
    }
}
