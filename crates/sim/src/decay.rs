//! A bit of the log flips while nobody looks: it is named, or it was none of a record's. Only of the last
//! frame nobody can tell decay from a torn write; that one is cut off, and the opening says so.

use std::path::Path;
use std::sync::Arc;

use writ_store::disk::{Disk, SimDisk};
use writ_store::log::{Log, Record, SegmentLog};

use crate::tape::{DIR, Tape, options};
use crate::world::World;

/// Flips one bit of one segment and reads everything again. The last thing that happens to a world.
pub(crate) fn check(world: &mut World) -> Result<(), String> {
    let names = world.disk.list(Path::new(DIR)).map_err(|error| error.to_string())?;
    let segments: Vec<String> = names.into_iter().filter(|name| name.ends_with(".seg")).collect();
    let Some(name) = world.chance.pick(&segments).cloned() else { return Ok(()) };
    let path = Path::new(DIR).join(&name);
    let bytes = world.disk.open(&path).and_then(|file| file.len()).map_err(|error| error.to_string())?;
    let bit = world.chance.between(0, bytes * 8 - 1);
    let start = world.tape.start();
    // Lets go of the log's lock.
    world.tape = Tape::open(&SimDisk::new(), 0).map_err(|error| error.to_string())?;
    world.disk.flip(&path, bit);
    let Ok(opened) = SegmentLog::open(Arc::new(world.disk.clone()), Path::new(DIR), options(world.seed))
    else {
        return Ok(());
    };
    let Ok(records) = read(&opened.log) else { return Ok(()) };
    let history = world.records(start);
    let is_cut = opened.recovery.torn.is_some() && history.starts_with(&records);
    if records == history || is_cut {
        return Ok(());
    }
    Err(format!("bit {bit} of {name} flipped, and nobody noticed"))
}

fn read(log: &SegmentLog) -> Result<Vec<Record>, writ_store::error::ReadError> {
    let mut all: Vec<Record> = Vec::new();
    let mut reader = log.reader();
    loop {
        let from = all.last().map_or(log.start(), |last| last.offset().next());
        let some = reader.read(from, 1 << 20)?;
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
    }
}
