//! The tenant's secrets: keys that name things. Random, drawn once, never changed for the life of a store,
//! for a changed one would give every subject, event or delivery a new name.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::master::MasterKey;
use super::wrap::{self, random};
use crate::error::VaultError;

/// How many secrets there are.
const COUNT: usize = 6;
/// The layout of the stored form.
const LAYOUT: u8 = 1;

/// Independent random keys. Zeroed when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TenantSecrets {
    /// For key hashes: finds a subject by its natural key.
    pub tenant_key: [u8; 32],
    /// For the random bits of event ids.
    pub event_id_key: [u8; 32],
    /// For a subject's slot.
    pub slot_key: [u8; 32],
    /// For delivery ids.
    pub delivery_key: [u8; 32],
    /// For the hashes that correlate refused card numbers.
    pub card_hash_key: [u8; 32],
    /// Seed of the attestation log's Ed25519 signing key.
    pub attest_seed: [u8; 32],
}

impl std::fmt::Debug for TenantSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TenantSecrets(<hidden>)")
    }
}

impl TenantSecrets {
    /// Six random keys.
    pub(super) fn draw() -> Result<Self, VaultError> {
        Ok(Self {
            tenant_key: random()?,
            event_id_key: random()?,
            slot_key: random()?,
            delivery_key: random()?,
            card_hash_key: random()?,
            attest_seed: random()?,
        })
    }

    /// The stored form, sealed under the master key for this vault only.
    pub(super) fn seal(&self, master: &MasterKey, vault_id: &[u8; 16]) -> Result<Vec<u8>, VaultError> {
        let Self { tenant_key, event_id_key, slot_key, delivery_key, card_hash_key, attest_seed } = self;
        let keys = [tenant_key, event_id_key, slot_key, delivery_key, card_hash_key, attest_seed];
        let mut plain = Vec::with_capacity(1 + COUNT * 32 + crate::seal::TAG_BYTES);
        plain.push(LAYOUT);
        keys.iter().for_each(|key| plain.extend_from_slice(key.as_slice()));
        wrap::seal(&master.0, &context(vault_id), plain)
    }

    /// `None` when the master key is another one or the bytes were altered.
    pub(super) fn open(master: &MasterKey, vault_id: &[u8; 16], sealed: &[u8]) -> Option<Self> {
        let plain = Zeroizing::new(wrap::open(&master.0, &context(vault_id), sealed)?);
        let (layout, keys) = plain.split_first()?;
        let (keys, rest) = keys.as_chunks::<32>();
        let [tenant_key, event_id_key, slot_key, delivery_key, card_hash_key, attest_seed] = *keys else {
            return None;
        };
        (*layout == LAYOUT && rest.is_empty()).then_some(Self {
            tenant_key,
            event_id_key,
            slot_key,
            delivery_key,
            card_hash_key,
            attest_seed,
        })
    }
}

fn context(vault_id: &[u8; 16]) -> Vec<u8> {
    [b"writ/vault/secrets/v1", vault_id.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_open_under_their_own_master_key_and_vault_only() {
        let secrets = TenantSecrets::draw().unwrap();
        let master = MasterKey([1; 32]);
        let sealed = secrets.seal(&master, &[2; 16]).unwrap();
        let opened = TenantSecrets::open(&master, &[2; 16], &sealed).unwrap();
        assert_eq!(opened.attest_seed, secrets.attest_seed);
        assert_eq!(opened.tenant_key, secrets.tenant_key);
        assert!(TenantSecrets::open(&MasterKey([9; 32]), &[2; 16], &sealed).is_none());
        assert!(TenantSecrets::open(&master, &[9; 16], &sealed).is_none());
    }
}
