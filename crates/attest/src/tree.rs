//! The Merkle tree of RFC 6962 (the same as RFC 9162's): hashing, roots, inclusion and consistency proofs.
//!
//! Where node hashes are stored is not decided here; see [`crate::tile`].

use std::fmt;

use sha2::{Digest, Sha256};

use crate::hex::Hex;

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash of a leaf, a node or a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

/// SHA-256(0x00 || leaf): RFC 6962, 2.1.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into())
}

/// SHA-256(0x01 || left || right): RFC 6962, 2.1.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The root over nodes of one level; `None` without nodes. The last node may stand for a smaller subtree
/// than the others: the split at the largest power of two is the same.
pub fn root_of(nodes: &[Hash]) -> Option<Hash> {
    match nodes {
        [] => None,
        [node] => Some(*node),
        _ => {
            let (left, right) = nodes.split_at(split(nodes.len() as u64) as usize);
            Some(node_hash(&root_of(left)?, &root_of(right)?))
        }
    }
}

/// The largest power of two smaller than `size`, which is at least two.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// Where hashes of complete subtrees come from.
pub trait Nodes {
    /// What a failed look-up says.
    type Error;

    /// The hash of the complete subtree number `index` of those with 2^`level` leaves.
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the leaves from `from` up to `to`, at least one, where `from` is a multiple of the smallest
/// power of two that covers the range: true for every subtree that a proof names.
fn subtree<N: Nodes>(nodes: &mut N, from: u64, to: u64) -> Result<Hash, N::Error> {
    let size = to - from;
    if size.is_power_of_two() {
        return nodes.node(size.trailing_zeros(), from / size);
    }
    let middle = from + split(size);
    Ok(node_hash(&subtree(nodes, from, middle)?, &subtree(nodes, middle, to)?))
}

/// The audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1), leaf side first.
///
/// # Panics
/// When `index` is not below `size`.
pub fn inclusion_proof<N: Nodes>(nodes: &mut N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    assert!(index < size, "no leaf {index} in a tree of {size}");
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(subtree(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Whether `leaf` is number `index` in the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// The proof that the tree of `size` leaves continues that of `earlier` (RFC 6962, 2.1.2). Empty when
/// `earlier` is 0 or `size`.
///
/// # Panics
/// When `earlier` is above `size`.
pub fn consistency_proof<N: Nodes>(nodes: &mut N, earlier: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    assert!(earlier <= size, "a tree of {size} does not continue one of {earlier}");
    let mut proof = Vec::new();
    if earlier == 0 || earlier == size {
        return Ok(proof);
    }
    let (mut from, mut to) = (0, size);
    while to != earlier {
        let middle = from + split(to - from);
        if earlier <= middle {
            proof.push(subtree(nodes, middle, to)?);
            to = middle;
        } else {
            proof.push(subtree(nodes, from, middle)?);
            from = middle;
        }
    }
    if from > 0 {
        proof.push(subtree(nodes, from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether the tree (`size`, `root`) continues (`earlier`, `earlier_root`) (RFC 9162, 2.1.4.2).
pub fn verify_consistency(earlier: u64, earlier_root: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if earlier == size {
        return proof.is_empty() && earlier_root == root;
    }
    if earlier == 0 || earlier > size {
        return earlier == 0 && proof.is_empty() && *earlier_root == empty_root();
    }
    let (mut node, mut last) = (earlier - 1, size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let mut rest = proof.iter();
    let start = if earlier.is_power_of_two() { Some(earlier_root) } else { rest.next() };
    let Some(start) = start else { return false };
    let (mut old, mut new) = (*start, *start);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old == *earlier_root && new == *root
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// RFC 6962, 2.1 as it is written, with nothing shared with the code above but SHA-256.
    fn naive(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest(b"").into(),
            [leaf] => Sha256::digest([&[0], leaf.as_slice()].concat()).into(),
            _ => {
                let mut k = 1;
                while k * 2 < leaves.len() {
                    k *= 2;
                }
                let (left, right) = leaves.split_at(k);
                Sha256::digest([&[1], naive(left).as_slice(), naive(right).as_slice()].concat()).into()
            }
        }
    }

    fn leaves(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| format!("leaf {number}").into_bytes()).collect()
    }

    struct Naive(Vec<Vec<u8>>);

    impl Nodes for Naive {
        type Error = Infallible;
        fn node(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
            let size = 1_usize << level;
            let from = usize::try_from(index).unwrap() * size;
            Ok(Hash(naive(&self.0[from..from + size])))
        }
    }

    #[test]
    fn the_root_is_that_of_the_rfc() {
        for count in 0..70 {
            let leaves = leaves(count);
            let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
            assert_eq!(root_of(&hashes).unwrap_or_else(empty_root).0, naive(&leaves), "{count}");
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_and_nothing_else_is() {
        for size in 1..40_u64 {
            let mut nodes = Naive(leaves(size as usize));
            let root = Hash(naive(&nodes.0));
            for index in 0..size {
                let leaf = leaf_hash(&nodes.0[index as usize].clone());
                let path = inclusion_proof(&mut nodes, index, size).unwrap();
                assert!(verify_inclusion(&leaf, index, size, &path, &root), "{index} of {size}");
                assert!(!verify_inclusion(&leaf_hash(b"other"), index, size, &path, &root));
                assert!(!verify_inclusion(&leaf, index + 1, size, &path, &root) || size == 1);
                assert!(!verify_inclusion(&leaf, index, size, &[path.clone(), vec![root]].concat(), &root));
                if !path.is_empty() {
                    assert!(!verify_inclusion(&leaf, index, size, &path[1..], &root));
                }
            }
        }
    }

    #[test]
    fn every_pair_of_small_trees_is_proven_consistent_and_a_fork_is_not() {
        for size in 1..40_u64 {
            let mut nodes = Naive(leaves(size as usize));
            let root = Hash(naive(&nodes.0));
            for earlier in 0..=size {
                let old = Hash(naive(&nodes.0[..earlier as usize]));
                let proof = consistency_proof(&mut nodes, earlier, size).unwrap();
                assert!(verify_consistency(earlier, &old, size, &root, &proof), "{earlier} to {size}");
                let forked = leaf_hash(b"forked");
                assert!(!verify_consistency(earlier, &forked, size, &root, &proof));
                assert!(earlier == 0 || !verify_consistency(earlier, &old, size, &forked, &proof));
            }
        }
    }

    #[test]
    fn a_smaller_tree_does_not_continue_a_larger_one() {
        let root = empty_root();
        assert!(!verify_consistency(2, &root, 1, &root, &[]));
    }
}
