//! The file itself: opened and repaired, appended to and synced, rotated.
//!
//! The file holds whole lines up to `length`, always. A write or sync that fails is undone by cutting the file
//! back and closing it, so that no later sync vouches for pages that the kernel may have dropped.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// How much is read at a time when the last line's end is looked for.
const LOOK_BACK_BYTES: u64 = 64 * 1024;

/// An append-only file of lines.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    rotate_bytes: Option<u64>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// All bytes before it are whole lines and synced.
    length: u64,
}

impl Sink {
    /// Opens nothing yet.
    pub(super) fn new(path: PathBuf, rotate_bytes: Option<u64>) -> Self {
        Self { path, rotate_bytes, open: None }
    }

    /// Opens the file where it is not open: creates it, locks it, cuts off a torn last line.
    pub(super) fn open(&mut self) -> Result<(), String> {
        if self.open.is_none() {
            self.open = Some(open(&self.path)?);
        }
        Ok(())
    }

    /// Appends whole lines with one write and one sync. Durable when it returns well; else nothing of it stays.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        self.open()?;
        self.rotate_before(lines.len() as u64)?;
        let open = self.open.as_mut().expect("opened above");
        let done = open.file.write_all(lines).and_then(|()| open.file.sync_data());
        match done {
            Ok(()) => {
                open.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Should this fail too, opening it again cuts off the torn line.
                let _cut = open.file.set_len(open.length);
                self.open = None;
                Err(said("write", &self.path, &error))
            }
        }
    }

    fn rotate_before(&mut self, more: u64) -> Result<(), String> {
        let length = self.open.as_ref().map_or(0, |open| open.length);
        if length == 0 || self.rotate_bytes.is_none_or(|most| length + more <= most) {
            return Ok(());
        }
        self.open = None;
        let renamed = next_name(&self.path).and_then(|to| std::fs::rename(&self.path, to));
        renamed.map_err(|error| said("rotate", &self.path, &error))?;
        self.open()
    }
}

fn said(tried: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{tried} {}: {}", path.display(), error.kind())
}

fn open(path: &Path) -> Result<Open, String> {
    let opened = open_file(path).and_then(|mut file| {
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        file.sync_all()?;
        sync_folder(path)?;
        Ok(Open { file, length })
    });
    opened.map_err(|error| said("open", path, &error))
}

fn open_file(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A new file is durable when its folder is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Where the last whole line ends.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(LOOK_BACK_BYTES);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        (&mut *file).take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// `<path>.<n>` with the number after the highest there is.
fn next_name(path: &Path) -> std::io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut highest = 0_u64;
    for entry in std::fs::read_dir(folder)? {
        let found = entry?.file_name();
        let number =
            found.to_str().and_then(|found| found.strip_prefix(&name)?.strip_prefix('.')?.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(folder.join(format!("{name}.{}", highest + 1)))
}
