//! What an auditor decodes: canonical leaves, tiles and bundles, signed checkpoints.

use writ_attest::{acks, canonical, leaf, note, tile};

/// The only text that the key of this file signs.
const SIGNED_TEXT: &str = "example.com/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

/// The size limit of a leaf.
const LEAF_BYTES_MAX: usize = 16 << 10;

/// What is accepted is in canonical form: written again, it has the same bytes.
pub(crate) fn leaf(bytes: &[u8]) {
    if let Ok(value) = canonical::parse(bytes, LEAF_BYTES_MAX) {
        let again = canonical::encode(&value, LEAF_BYTES_MAX).expect("what was parsed can be written");
        assert_eq!(again, bytes, "two forms of one leaf are accepted");
    }
    let _ = leaf::Leaf::parse(bytes);
    let _ = acks::AckRecord::parse(bytes);
}

pub(crate) fn leaf_seeds() -> Vec<Vec<u8>> {
    vec![
        br#"{"a":1,"b":"text","c":[true,false],"d":{"e":"2026-01-31T10:00:00.000000Z"}}"#.to_vec(),
        br#"{"answer":"acknowledged","at":"2026-01-31T10:00:00.000000Z","attempts":2}"#.to_vec(),
        br#""\u00e9\n\\""#.to_vec(),
    ]
}

pub(crate) fn tiles(bytes: &[u8]) {
    let (width, body) =
        bytes.split_first().map_or((0, bytes), |(width, body)| (usize::from(*width) + 1, body));
    let _ = tile::decode_tile(body, width);
    let _ = tile::split_entries(body);
    let _ = acks::split_blocks(body);
    let _ = acks::split(body);
}

pub(crate) fn tiles_seeds() -> Vec<Vec<u8>> {
    let mut bundle = vec![1];
    tile::push_entry(&mut bundle, b"{\"a\":1}");
    tile::push_entry(&mut bundle, b"{\"a\":2}");
    let mut block = vec![0];
    acks::push_block(&mut block, 3, &[b"{}".to_vec(), b"{\"a\":1}".to_vec()]);
    vec![bundle, [&[0], &[7; 32][..]].concat(), block]
}

pub(crate) fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(checkpoint) = note::Checkpoint::parse(text) {
        assert_eq!(note::Checkpoint::parse(&checkpoint.to_text()).as_ref(), Ok(&checkpoint));
    }
    let _ = note::NoteVerifier::parse(text);
    let verifier = signer().verifier();
    if let Ok(text) = verifier.open(bytes) {
        assert_eq!(text, SIGNED_TEXT, "an altered text verifies");
    }
}

pub(crate) fn checkpoint_seeds() -> Vec<Vec<u8>> {
    vec![signed(), SIGNED_TEXT.into()]
}

fn signer() -> note::NoteSigner {
    note::NoteSigner::from_seed("example.com/log", &[9; 32]).expect("a valid name")
}

fn signed() -> Vec<u8> {
    signer().sign(SIGNED_TEXT)
}
