//! A published log in memory: the objects of a list of entries, made with the tree and tile functions only.

use std::collections::BTreeMap;

use writ_attest::leaf::Leaf;
use writ_attest::note::Checkpoint;
use writ_attest::tile::{Edge, TILE_WIDTH, acks_path, bundle_path, encode_tile, push_entry};
use writ_attest::tree::leaf_hash;
use writ_attest::verify::{Fetch, FetchError};
use writ_attest::{acks, verify};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects(pub BTreeMap<String, Vec<u8>>);

impl Fetch for Objects {
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        Ok(self.0.get(path).cloned())
    }
}

/// Publishes the entries as one checkpoint of the sample log.
pub fn publish(entries: &[Vec<u8>]) -> Objects {
    let mut objects = BTreeMap::new();
    let mut edge = Edge::default();
    for (number, chunk) in entries.chunks(TILE_WIDTH).enumerate() {
        let (mut bundle, mut companion) = (Vec::new(), Vec::new());
        for (place, entry) in chunk.iter().enumerate() {
            let (leaf, records) = acks::split(entry);
            push_entry(&mut bundle, leaf);
            edge.push(leaf_hash(leaf), |id, hashes| {
                objects.insert(id.path(), encode_tile(hashes));
            });
            if matches!(Leaf::parse(leaf), Ok(Leaf::Attestation(_))) {
                acks::push_block(&mut companion, place as u8, &records);
            }
        }
        objects.insert(bundle_path(number as u64, chunk.len()), bundle);
        if !companion.is_empty() {
            objects.insert(acks_path(number as u64, chunk.len()), companion);
        }
    }
    objects.extend(edge.partials().map(|(id, hashes)| (id.path(), encode_tile(hashes))));
    let head = Checkpoint { origin: super::ORIGIN.into(), size: edge.size(), root: edge.root() };
    objects.insert(verify::CHECKPOINT_PATH.into(), head.sign(&super::signer()));
    Objects(objects)
}

/// The checkpoint that was published.
pub fn head(objects: &Objects) -> Checkpoint {
    Checkpoint::open(&objects.0[verify::CHECKPOINT_PATH], &super::signer().verifier()).unwrap()
}
