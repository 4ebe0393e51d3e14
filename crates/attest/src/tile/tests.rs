//! Roots and proofs from tiles against the RFC's recursion; paths and framing to the letter.

use std::collections::BTreeMap;
use std::convert::Infallible;

use sha2::{Digest, Sha256};

use super::*;
use crate::tree::{consistency_proof, inclusion_proof, leaf_hash, verify_consistency, verify_inclusion};

/// RFC 6962, 2.1 over leaf hashes, as it is written.
fn naive(hashes: &[[u8; 32]]) -> [u8; 32] {
    match hashes {
        [] => Sha256::digest(b"").into(),
        [hash] => *hash,
        _ => {
            let mut k = 1;
            while k * 2 < hashes.len() {
                k *= 2;
            }
            let (left, right) = hashes.split_at(k);
            Sha256::digest([&[1], naive(left).as_slice(), naive(right).as_slice()].concat()).into()
        }
    }
}

fn hash_of(number: u64) -> Hash {
    leaf_hash(format!("leaf {number}").as_bytes())
}

type Tiles = BTreeMap<TileId, Vec<Hash>>;

fn grow(size: u64) -> (Edge, Tiles) {
    let mut edge = Edge::default();
    let mut tiles = Tiles::new();
    for number in 0..size {
        edge.push(hash_of(number), |id, hashes| assert!(tiles.insert(id, hashes.to_vec()).is_none()));
    }
    tiles.extend(edge.partials().map(|(id, hashes)| (id, hashes.to_vec())));
    (edge, tiles)
}

#[test]
fn roots_at_the_sizes_where_tiles_fill_are_those_of_the_rfc() {
    const SIZES: &[u64] = &[0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000];
    let hashes: Vec<[u8; 32]> = (0..70_000).map(|number| hash_of(number).0).collect();
    let mut edge = Edge::default();
    for size in SIZES {
        while edge.size() < *size {
            edge.push(Hash(hashes[edge.size() as usize]), |_, _| {});
        }
        assert_eq!(edge.root().0, naive(&hashes[..*size as usize]), "{size}");
    }
}

#[test]
fn an_edge_read_back_from_tiles_goes_on_where_it_stopped() {
    for size in [0, 1, 255, 256, 257, 65_536, 65_537, 66_000] {
        let (mut edge, tiles) = grow(size);
        let read: Vec<Vec<Hash>> = partial_tiles(size).map(|id| tiles[&id].clone()).collect();
        let mut again = Edge::from_tiles(size, read).unwrap();
        assert_eq!(again.root(), edge.root(), "{size}");
        again.push(hash_of(size), |_, _| {});
        edge.push(hash_of(size), |_, _| {});
        assert_eq!(again.root(), edge.root(), "{size}");
    }
    assert_eq!(Edge::from_tiles(3, vec![]), None);
    assert_eq!(Edge::from_tiles(3, vec![vec![hash_of(0); 2]]), None);
}

#[test]
fn the_tiles_of_a_size_are_exactly_those_of_the_layout_rules() {
    let tiles_of = |size: u64| grow(size).1.into_keys().map(TileId::path).collect::<Vec<_>>();
    assert_eq!(tiles_of(0), Vec::<String>::new());
    assert_eq!(tiles_of(1), ["tile/0/000.p/1"]);
    assert_eq!(tiles_of(256), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(tiles_of(257), ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    assert_eq!(tiles_of(513), ["tile/0/000", "tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2"]);
    let large = tiles_of(65_536);
    assert_eq!(large.len(), 256 + 1 + 1);
    assert_eq!(large[256..], ["tile/1/000", "tile/2/000.p/1"]);
}

#[test]
fn paths_are_grouped_by_three_digits() {
    assert_eq!(TileId { level: 0, index: 1_234_067, width: 256 }.path(), "tile/0/x001/x234/067");
    assert_eq!(TileId { level: 1, index: 999, width: 8 }.path(), "tile/1/999.p/8");
    assert_eq!(bundle_path(1_000, 256), "tile/entries/x001/000");
    assert_eq!(acks_path(5, 255), "acks/005.p/255");
}

#[test]
fn proofs_from_tiles_verify() {
    const SIZE: u64 = 66_000;
    let (edge, tiles) = grow(SIZE);
    let root = edge.root();
    let mut nodes = TileNodes::new(SIZE, |id| Ok::<_, Infallible>(tiles[&id].clone()));
    for index in [0, 1, 255, 256, 65_535, 65_536, 65_999] {
        let path = inclusion_proof(&mut nodes, index, SIZE).unwrap();
        assert!(verify_inclusion(&hash_of(index), index, SIZE, &path, &root), "{index}");
    }
    for earlier in [0, 1, 2, 255, 256, 257, 65_536, 65_537, 65_999, SIZE] {
        let proof = consistency_proof(&mut nodes, earlier, SIZE).unwrap();
        let old = grow(earlier).0.root();
        assert!(verify_consistency(earlier, &old, SIZE, &root, &proof), "{earlier}");
    }
}

#[test]
fn bundles_come_apart_as_they_were_put_together() {
    let mut bundle = Vec::new();
    push_entry(&mut bundle, b"one");
    push_entry(&mut bundle, b"");
    assert_eq!(bundle, b"\x00\x03one\x00\x00");
    assert_eq!(split_entries(&bundle), Some(vec![b"one".as_slice(), b""]));
    assert_eq!(split_entries(&bundle[..4]), None);
    assert_eq!(split_entries(&[0]), None);
}

#[test]
fn tiles_with_a_broken_hash_are_refused() {
    assert_eq!(decode_tile(&[0; 64], 2).map(|hashes| hashes.len()), Some(2));
    assert_eq!(decode_tile(&[0; 64], 1).map(|hashes| hashes.len()), Some(1));
    assert_eq!(decode_tile(&[0; 63], 1), None);
    assert_eq!(decode_tile(&[0; 32], 2), None);
}
