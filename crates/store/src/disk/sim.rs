//! A disk in memory that fails on demand: the page cache and the platter are kept apart, so that a crash
//! loses what was not synced, in part and out of order, as a seed decides. The same seed gives the same loss.
//!
//! The plan of faults is in `World`; the bytes of one file are in `inode`.

mod inode;
mod seed;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, DiskLock};
use inode::Inode;
use seed::Seed;

/// What happens at a planned operation. Later operations go on unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing and fails. A failed sync loses its writes for good: they stay readable,
    /// a later sync says it succeeded, and a crash takes them, as on Linux.
    Refused,
    /// A write puts down its first half, then fails; any other operation is refused.
    Torn,
    /// The operation is not carried out, and neither is any after it, until [`SimDisk::crash`].
    PowerCut,
}

/// The simulated disk. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
struct World {
    /// Names as they are seen.
    names: BTreeMap<PathBuf, u64>,
    /// Names as a crash would leave them.
    durable_names: BTreeMap<PathBuf, u64>,
    /// Name changes since the last directory sync, in order.
    pending_names: Vec<NameChange>,
    inodes: BTreeMap<u64, Inode>,
    locks: BTreeSet<PathBuf>,
    /// Counts crashes; handles of an earlier life fail.
    life: u64,
    is_off: bool,
    operations: u64,
    plan: BTreeMap<u64, Fault>,
    capacity: Option<u64>,
}

/// The names that one operation set or removed, which a crash keeps together.
type NameChange = Vec<(PathBuf, Option<u64>)>;

impl SimDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations that change or sync something were begun. Reads, listings and locks are not
    /// counted: a crash before one of them leaves what a crash after it does.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Plans a fault for the `nth` counted operation from now, the next one being 0.
    pub fn fail_after(&self, nth: u64, fault: Fault) {
        let mut world = self.world();
        let at = world.operations + nth;
        world.plan.insert(at, fault);
    }

    /// Forgets every planned fault.
    pub fn heal(&self) {
        self.world().plan.clear();
    }

    /// Limits the space, in bytes over all files; `None` lifts the limit. A write that does not fit puts
    /// down what fits and fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// The space in use, in bytes: what was written, not what was reserved.
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// A power cut and a restart: synced data stays; of everything else the seed keeps a part, write by write
    /// and sector by sector; of unsynced names it keeps the first few or any. Open handles and locks are gone.
    pub fn crash(&self, seed: u64) {
        let mut world = self.world();
        let mut seed = Seed::new(seed);
        let is_prefix = seed.below(2) == 0;
        let first = seed.below(world.pending_names.len() as u64 + 1) as usize;
        for (index, change) in std::mem::take(&mut world.pending_names).into_iter().enumerate() {
            let is_kept = if is_prefix { index < first } else { seed.below(2) == 0 };
            if is_kept {
                set_names(&mut world.durable_names, change);
            }
        }
        world.names = world.durable_names.clone();
        let reachable: BTreeSet<u64> = world.names.values().copied().collect();
        world.inodes.retain(|number, _| reachable.contains(number));
        world.inodes.values_mut().for_each(|inode| inode.crash(&mut seed));
        world.locks.clear();
        world.plan.clear();
        world.life += 1;
        world.is_off = false;
    }

    /// Flips one bit of a file, as decay would: in the cache and on the platter. `bit` counts from the
    /// file's first byte; beyond its end nothing happens.
    pub fn flip(&self, path: &Path, bit: u64) {
        let mut world = self.world();
        if let Some(inode) = world.names.get(path).copied().and_then(|number| world.inodes.get_mut(&number)) {
            inode.flip(bit);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A panic of a test thread must not hide the disk from the others.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Counts one operation and says what becomes of it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        if self.is_off {
            return Err(io::Error::other("the simulated machine is off"));
        }
        let fault = self.plan.remove(&self.operations);
        self.operations += 1;
        if fault == Some(Fault::PowerCut) {
            self.is_off = true;
            return Err(io::Error::other("the simulated power was cut"));
        }
        Ok(fault)
    }

    /// For operations that either happen or do not.
    fn begin_whole(&mut self) -> io::Result<()> {
        match self.begin()? {
            None => Ok(()),
            Some(Fault::Refused | Fault::Torn | Fault::PowerCut) => Err(refused()),
        }
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|number| self.inodes.get(number)).map(Inode::used).sum()
    }

    fn change_names(&mut self, change: NameChange) {
        set_names(&mut self.names, change.clone());
        self.pending_names.push(change);
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn refused() -> io::Error {
    io::Error::other("the simulated disk refused")
}

fn set_names(names: &mut BTreeMap<PathBuf, u64>, change: NameChange) {
    for (path, inode) in change {
        match inode {
            Some(number) => names.insert(path, number),
            None => names.remove(&path),
        };
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        // Directories are prefixes of paths here.
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        world.begin_whole()?;
        let number = world.operations;
        world.inodes.insert(number, Inode::default());
        world.change_names(vec![(path.to_owned(), Some(number))]);
        Ok(Arc::new(SimFile { disk: self.clone(), number, life: world.life }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.world();
        let number = world.find(path)?;
        Ok(Arc::new(SimFile { disk: self.clone(), number, life: world.life }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        let names = world.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin_whole()?;
        let number = world.find(from)?;
        world.change_names(vec![(to.to_owned(), Some(number)), (from.to_owned(), None)]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin_whole()?;
        world.find(path)?;
        world.change_names(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin_whole()?;
        let is_here = |change: &NameChange| change.iter().any(|(path, _)| path.parent() == Some(dir));
        let (synced, rest) = std::mem::take(&mut world.pending_names).into_iter().partition(is_here);
        world.pending_names = rest;
        let synced: Vec<NameChange> = synced;
        synced.into_iter().for_each(|change| set_names(&mut world.durable_names, change));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut world = self.world();
        if !world.locks.insert(path.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned(), life: world.life }))
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.life == self.life {
            world.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    number: u64,
    life: u64,
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut World, u64) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        if world.life != self.life {
            return Err(io::Error::other("the handle is of before the crash"));
        }
        act(&mut world, self.number)
    }
}

impl World {
    fn inode(&mut self, number: u64) -> &mut Inode {
        self.inodes.get_mut(&number).expect("an open file's bytes live until the crash")
    }

    fn write(&mut self, number: u64, bytes: &[u8], at: u64) -> io::Result<()> {
        let fault = self.begin()?;
        match fault {
            None => {}
            Some(Fault::Refused | Fault::PowerCut) => return Err(refused()),
            Some(Fault::Torn) => {
                self.inode(number).write(&bytes[..bytes.len() / 2], at);
                return Err(refused());
            }
        }
        let room = self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()));
        let fits = self.inode(number).fitting(bytes.len(), at, room);
        self.inode(number).write(&bytes[..fits], at);
        if fits < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.with(|world, number| world.write(number, bytes, at))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(|world, number| Ok(world.inode(number).read(into, at)))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|world, number| {
            world.begin_whole()?;
            world.inode(number).set_len(len);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|world, number| Ok(world.inode(number).len()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|world, number| match world.begin()? {
            None => {
                world.inode(number).sync();
                Ok(())
            }
            Some(Fault::Refused | Fault::Torn | Fault::PowerCut) => {
                world.inode(number).lose_pending();
                Err(refused())
            }
        })
    }
}
