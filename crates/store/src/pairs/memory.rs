//! Pairs in memory, for tests and the simulator. What was not synced is lost in [`MemoryPairs::crash`], as a
//! power cut would lose it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::{Area, Batch, Durability, Fault, Pair, Pairs, range};

/// Sorted maps behind a lock.
#[derive(Debug)]
pub struct MemoryPairs(Mutex<Maps>);

#[derive(Debug)]
struct Maps {
    areas: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// What each key that changed since the last sync held then.
    unsynced: BTreeMap<(Area, Vec<u8>), Option<Vec<u8>>>,
}

impl MemoryPairs {
    /// An empty store with so many areas.
    pub fn new(areas: usize) -> Self {
        Self(Mutex::new(Maps { areas: vec![BTreeMap::new(); areas], unsynced: BTreeMap::new() }))
    }

    /// A power cut: everything is as it was at the last sync.
    pub fn crash(&self) {
        let mut maps = self.maps();
        for ((area, key), old) in std::mem::take(&mut maps.unsynced) {
            match old {
                Some(value) => maps.areas[area.0].insert(key, value),
                None => maps.areas[area.0].remove(&key),
            };
        }
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

impl Pairs for MemoryPairs {
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.maps().areas[area.0].get(key).cloned())
    }

    fn scan(&self, area: Area, prefix: &[u8], start: &[u8], limit: usize) -> Result<Vec<Pair>, Fault> {
        let Some(range) = range(prefix, start) else { return Ok(Vec::new()) };
        let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(self.maps().areas[area.0].range(range).take(limit).map(pair).collect())
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        let mut maps = self.maps();
        for ((area, key), value) in batch.0 {
            let old = match value {
                Some(value) => maps.areas[area.0].insert(key.clone(), value),
                None => maps.areas[area.0].remove(&key),
            };
            maps.unsynced.entry((area, key)).or_insert(old);
        }
        if durability == Durability::Synced {
            maps.unsynced.clear();
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        self.maps().unsynced.clear();
        Ok(())
    }
}
