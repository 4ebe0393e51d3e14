//! What a stranger needs to check the audit log: leaf formats, the Merkle tree, tiles, signed checkpoints,
//! openings and the verifier. An auditor can depend on this crate alone.
//!
//! Nothing here reads a clock, a file or a socket: times are arguments and objects come through
//! [`verify::Fetch`]. The formats are described to the byte in `docs/reference/attestation-format.md`.

pub mod acks;
pub mod blind;
pub mod canonical;
pub mod leaf;
pub mod note;
pub mod tile;
pub mod time;
pub mod tree;
pub mod verify;

mod fields;
mod hex;
