//! What a recipient signs: a few lines of text that bind its word to this tenant, this case and this very event, so that
//! a signature can be used for nothing else.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use writ_model::case::{Case, Outcome};
use writ_model::id::TenantId;

/// A recipient's word about a case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) case: &'a Case,
    pub(crate) recipient: &'a str,
    pub(crate) outcome: Outcome,
}

impl Statement<'_> {
    /// The bytes that are signed: UTF-8 lines, each ended by a line feed. `docs/reference/cases.md` shows them.
    pub(crate) fn text(&self) -> String {
        let event = self.case.event_id.map(|id| id.to_string()).unwrap_or_default();
        format!(
            "writ/case-report/v1\ntenant {}\ncase {}\nevent {event}\nrecipient {}\noutcome {}\n",
            self.tenant, self.case.id, self.recipient, self.outcome
        )
    }
}

/// Whether a signature (base64) over the statement is this key's. RFC 8032.
pub(crate) fn verify(key: &[u8; 32], statement: &Statement<'_>, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    UnparsedPublicKey::new(&ED25519, key).verify(statement.text().as_bytes(), &signature).is_ok()
}
