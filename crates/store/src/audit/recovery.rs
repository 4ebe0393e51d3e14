//! What an opening finds: the signed checkpoints, and the right edge that belongs to them.
//!
//! ```text
//!   last signed   checkpoint    what happened                            what is done
//!   none          none          nothing was published yet                begin at 0
//!   none          some          the record of what was signed is lost    refuse
//!   A             A             a clean stop, or a crash between two     go on from A
//!   B             A or none     a crash between signing and publishing   publish B, if the tree holds B
//!   A             B             an older record was put back             go on from B, if it continues A
//! ```

use std::path::Path;

use writ_attest::acks;
use writ_attest::leaf::Leaf;
use writ_attest::note::{Checkpoint, NoteVerifier};
use writ_attest::tile::{
    Edge, TILE_WIDTH, TileId, acks_path, bundle_path, decode_tile, partial_tiles, partial_width, push_entry,
    split_entries,
};
use writ_attest::tree::leaf_hash;
use writ_attest::verify::CHECKPOINT_PATH;

use super::files::Objects;
use super::{AuditDir, AuditError, Pending, Published};

/// A signed checkpoint, when the file is there.
pub(super) fn read_signed(
    objects: &Objects,
    path: &Path,
    verifier: &NoteVerifier,
) -> Result<Option<Published>, AuditError> {
    let Some(note) = objects.read(path)? else { return Ok(None) };
    let opened = Checkpoint::open(&note, verifier);
    let head = opened.map_err(|cause| AuditError::Signature { path: path.display().to_string(), cause })?;
    Ok(Some(Published { head, note }))
}

/// Brings the files to the newest signed checkpoint and the edge to its size.
pub(super) fn resume(dir: &mut AuditDir, checkpoint: Option<Published>) -> Result<(), AuditError> {
    let Some(signed) = dir.published.take() else { return Ok(()) };
    let newest = match &checkpoint {
        Some(checkpoint) if checkpoint.head.size > signed.head.size => checkpoint.clone(),
        Some(_) | None => signed.clone(),
    };
    let edge = edge_of(&dir.objects, &newest.head)?;
    for older in checkpoint.iter().chain([&signed]) {
        edge_of(&dir.objects, &older.head)?;
    }
    if checkpoint.is_none_or(|checkpoint| checkpoint.note != newest.note) {
        dir.objects.replace(&dir.objects.path(CHECKPOINT_PATH), &newest.note)?;
    }
    if signed.note != newest.note {
        dir.objects.replace(&dir.last_signed, &newest.note)?;
    }
    dir.pending = pending_of(&dir.objects, &newest.head, &edge)?;
    dir.edge = edge;
    dir.published = Some(newest);
    Ok(())
}

/// The right edge at a signed size, from the tiles of that size; its root must be the signed one.
fn edge_of(objects: &Objects, head: &Checkpoint) -> Result<Edge, AuditError> {
    let mut tiles = Vec::new();
    for id in partial_tiles(head.size) {
        let path_of = |index, width| TileId { level: id.level, index, width }.path();
        let bytes = read_edge(objects, head.size, id.index, id.width, path_of)?;
        let damaged = || AuditError::Mismatch { path: id.path() };
        tiles.push(decode_tile(&bytes, id.width).ok_or_else(damaged)?);
    }
    let edge = Edge::from_tiles(head.size, tiles).expect("tiles were read at their widths");
    if edge.root() == head.root { Ok(edge) } else { Err(AuditError::Fork { size: head.size }) }
}

/// The partial object, or the full one that took its place.
fn read_edge(
    objects: &Objects,
    signed: u64,
    index: u64,
    width: usize,
    path_of: impl Fn(u64, usize) -> String,
) -> Result<Vec<u8>, AuditError> {
    for path in [path_of(index, width), path_of(index, TILE_WIDTH)] {
        if let Some(bytes) = objects.read(&objects.path(&path))? {
            return Ok(bytes);
        }
    }
    Err(AuditError::Behind { signed, path: path_of(index, width) })
}

/// The entries and acknowledgement records of the last, not full bundle.
fn pending_of(objects: &Objects, head: &Checkpoint, edge: &Edge) -> Result<Pending, AuditError> {
    let (index, width) = (head.size / TILE_WIDTH as u64, partial_width(head.size, 0));
    let mut pending = Pending { entries: width, ..Pending::default() };
    let Some((_, hashes)) = edge.partials().next().filter(|(id, _)| id.level == 0) else {
        return Ok(pending);
    };
    let bundle = read_edge(objects, head.size, index, width, bundle_path)?;
    let damaged = || AuditError::Mismatch { path: bundle_path(index, width) };
    let entries = split_entries(&bundle).filter(|entries| entries.len() >= width).ok_or_else(damaged)?;
    if !entries.iter().zip(hashes).all(|(entry, hash)| leaf_hash(entry) == *hash) {
        return Err(damaged());
    }
    entries[..width].iter().for_each(|entry| push_entry(&mut pending.bundle, entry));
    pending.acks = pending_acks(objects, head, &entries[..width])?;
    Ok(pending)
}

fn pending_acks(objects: &Objects, head: &Checkpoint, entries: &[&[u8]]) -> Result<Vec<u8>, AuditError> {
    let (index, width) = (head.size / TILE_WIDTH as u64, entries.len());
    let finals = finals(entries);
    let mut kept = Vec::new();
    if finals.is_empty() {
        return Ok(kept);
    }
    let object = read_edge(objects, head.size, index, width, acks_path)?;
    let damaged = || AuditError::Mismatch { path: acks_path(index, width) };
    let blocks = acks::split_blocks(&object).map_err(|_| damaged())?;
    let mut blocks = blocks.iter().take_while(|block| usize::from(block.place) < width);
    for (place, set) in &finals {
        let block = blocks.next().filter(|block| block.place == *place).ok_or_else(damaged)?;
        set.check(&block.records).map_err(|_| damaged())?;
        acks::push_block(&mut kept, *place, &block.records);
    }
    if blocks.next().is_none() { Ok(kept) } else { Err(damaged()) }
}

/// The final leaves of a bundle, by their places.
fn finals(entries: &[&[u8]]) -> Vec<(u8, acks::AckSet)> {
    let leaves = (0_u8..=u8::MAX).zip(entries);
    leaves
        .filter_map(|(place, entry)| match Leaf::parse(entry) {
            Ok(Leaf::Attestation(last)) => Some((place, last.subscriber_ack_set)),
            Ok(Leaf::Intent(_) | Leaf::Accounting(_) | Leaf::Withheld(_)) | Err(_) => None,
        })
        .collect()
}
