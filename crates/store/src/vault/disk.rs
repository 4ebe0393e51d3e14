//! The vault on disk: records in a database, key-encryption keys in a file of their own, both locked by one
//! opening at a time. Formats and the backup rule: `docs/reference/vault.md`.

use std::path::Path;

use prost::Message;
use writ_model::id::{Generation, KeyHash, Offset, SubjectId};

use super::destroy::Rotation;
use super::draft::Draft;
use super::kek::Keks;
use super::kek_file::{self, KekFile};
use super::master::Master;
use super::recent::Recent;
use super::record::Record;
use super::secrets::TenantSecrets;
use super::wrap::random;
use super::{NewLife, NewSubject, Purpose, Remember, Subject, SubjectKey, Vault};
use crate::error::VaultError;
use crate::pairs::disk::{DiskPairs, Shape, make_private_dir};
use crate::pairs::{Area, Batch, Durability, Pairs};

/// ```text
/// meta      "id"          random id of the vault, in the kek file too
///           "secrets"     TenantSecrets, sealed under the master key
///           "ready"       set when the first kek file is durable
///           "remembered"  offset
///           "rotating"    bucket and epoch of the key that is being replaced
/// subjects  key hash [32], or subject id [16] where another subject has taken the key hash -> Record
/// index     subject id -> key in subjects
/// ```
const SHAPE: Shape = Shape {
    format: 1,
    areas: &["meta", "subjects", "index"],
    cache_bytes: 16 << 20,
    memtable_bytes: 4 << 20,
};
pub(super) const META: Area = Area(0);
pub(super) const SUBJECTS: Area = Area(1);
pub(super) const INDEX: Area = Area(2);

const ID: &[u8] = b"id";
const SECRETS: &[u8] = b"secrets";
const READY: &[u8] = b"ready";
const REMEMBERED: &[u8] = b"remembered";

/// How a vault is opened.
#[derive(Debug, Clone)]
pub struct Open {
    /// Where its master key comes from.
    pub master: Master,
}

/// The vault in a directory.
pub struct FjallVault {
    pub(super) pairs: DiskPairs,
    pub(super) kek_file: KekFile,
    pub(super) keks: Keks,
    pub(super) rotation: Option<Rotation>,
    pub(super) recent: Recent,
    secrets: TenantSecrets,
    remembered: Offset,
}

impl FjallVault {
    /// Opens the vault in `dir`, makes it when there is none, finishes a destruction that a crash cut off. One
    /// opening at a time (`WRIT-5004`); an unknown format is refused (`WRIT-5006`), a missing or foreign kek
    /// file or master key too (`WRIT-5007`). `dir` gets mode 0700 when it is made, its key files 0600.
    pub fn open(dir: &Path, open: Open) -> Result<Self, VaultError> {
        make_private_dir(dir).map_err(VaultError::io("make", dir))?;
        let pairs = DiskPairs::open(&dir.join("db"), &SHAPE).map_err(VaultError::when("open"))?;
        let meta = |key| pairs.get(META, key).map_err(VaultError::when("open"));
        let is_new = meta(ID)?.is_none();
        if is_new {
            refuse_stray_kek_file(dir)?;
        }
        let master = open.master.resolve(dir, is_new)?;
        if is_new {
            write_identity(&pairs, &master)?;
        }
        let id = meta(ID)?
            .and_then(|id| id.try_into().ok())
            .ok_or_else(|| VaultError::unreadable("the vault's id"))?;
        let secrets = meta(SECRETS)?.and_then(|sealed| TenantSecrets::open(&master, &id, &sealed));
        let secrets = secrets.ok_or_else(|| VaultError::MasterKey {
            path: dir.display().to_string(),
            problem: "does not open this vault; configure the one it was made with",
        })?;
        let kek_file = KekFile::new(dir, &id, master);
        let keks = if meta(READY)?.is_some() { kek_file.read()? } else { first_keks(&pairs, &kek_file)? };
        let remembered = meta(REMEMBERED)?.map_or(Ok(Offset::ZERO), |bytes| read_offset(&bytes))?;
        let rotation = Rotation::read(&pairs)?;
        let recent = Recent::default();
        let mut vault = Self { pairs, kek_file, keks, rotation, recent, secrets, remembered };
        vault.finish_rotation()?;
        Ok(vault)
    }

    /// The keys that name things; the same for the life of the store.
    pub fn tenant_secrets(&self) -> &TenantSecrets {
        &self.secrets
    }

    /// A record, by its key in the subjects area.
    pub(super) fn record(&self, key: &[u8]) -> Result<Option<Record>, VaultError> {
        let bytes = self.pairs.get(SUBJECTS, key).map_err(VaultError::when("read a subject"))?;
        bytes.map(|bytes| Record::from_bytes(&bytes)).transpose()
    }

    /// Where a subject's record is in the subjects area.
    pub(super) fn place(&self, subject: SubjectId) -> Result<Option<Vec<u8>>, VaultError> {
        self.pairs.get(INDEX, &subject.0).map_err(VaultError::when("find a subject"))
    }
}

impl Vault for FjallVault {
    fn find(&self, key_hash: KeyHash) -> Result<Option<Subject>, VaultError> {
        let Some(record) = self.record(&key_hash.0)? else { return Ok(None) };
        let subject = record.to_subject(&self.keks)?;
        if let Some(key) = &subject.evidence {
            self.recent.keep(subject.subject_id, subject.generation, key);
        }
        Ok(Some(subject))
    }

    fn locate(&self, subject_id: SubjectId) -> Result<Option<KeyHash>, VaultError> {
        // A place that is not a key hash: another subject has taken this one's.
        Ok(self.place(subject_id)?.and_then(|place| place.try_into().ok()).map(KeyHash))
    }

    fn generation(&self, subject: SubjectId) -> Result<Option<Generation>, VaultError> {
        let Some(place) = self.place(subject)? else { return Ok(None) };
        Ok(self.record(&place)?.map(|record| record.generation()))
    }

    fn key(
        &self,
        subject: SubjectId,
        generation: Generation,
        purpose: Purpose,
    ) -> Result<Option<SubjectKey>, VaultError> {
        if purpose == Purpose::Evidence
            && let Some(key) = self.recent.get(subject, generation)
        {
            return Ok(Some(key));
        }
        let Some(place) = self.place(subject)? else { return Ok(None) };
        let Some(record) = self.record(&place)? else { return Ok(None) };
        record.key(&self.keks, generation, purpose)
    }

    fn create(&mut self, subjects: &[NewSubject]) -> Result<(), VaultError> {
        let (mut batch, mut added) = (Batch::default(), Vec::new());
        for new in subjects {
            let taken = match batch.change(SUBJECTS, &new.key_hash.0) {
                Some(Some(bytes)) => Some(Record::from_bytes(bytes)?),
                Some(None) | None => self.record(&new.key_hash.0)?,
            };
            match taken {
                Some(record) if record.subject_id() == new.subject_id => continue,
                Some(_) => return Err(VaultError::KeyHashTaken { subject: new.subject_id }),
                None => {}
            }
            batch.put(SUBJECTS, new.key_hash.0.to_vec(), Record::new(new, &self.keks)?.encode_to_vec());
            batch.put(INDEX, new.subject_id.0.to_vec(), new.key_hash.0.to_vec());
            added.push(new);
        }
        self.pairs.write(batch, Durability::Synced).map_err(VaultError::when("create subjects"))?;
        added.into_iter().for_each(|new| self.recent.keep(new.subject_id, Generation::FIRST, &new.evidence));
        Ok(())
    }

    fn begin_life(&mut self, life: &NewLife) -> Result<bool, VaultError> {
        let Some(place) = self.place(life.subject_id)? else { return Ok(false) };
        let Some(mut record) = self.record(&place)? else { return Ok(false) };
        if !record.begin_life(life, &self.keks)? {
            return Ok(false);
        }
        let mut batch = Batch::default();
        batch.put(SUBJECTS, place, record.encode_to_vec());
        self.pairs.write(batch, Durability::Synced).map_err(VaultError::when("begin a life"))?;
        self.recent.keep(life.subject_id, life.generation, &life.evidence);
        Ok(true)
    }

    fn remember(&mut self, changes: &[Remember], through: Offset) -> Result<(), VaultError> {
        if through < self.remembered {
            return Ok(());
        }
        let mut draft = Draft::new(self);
        for (at, change) in changes.iter().enumerate() {
            if !draft.apply(change)? {
                return Err(VaultError::UnknownSubject { change: at + 1, changes: changes.len() });
            }
        }
        let mut batch = draft.finish()?;
        batch.put(META, REMEMBERED.to_vec(), through.0.to_be_bytes().to_vec());
        self.pairs.write(batch, Durability::Buffered).map_err(VaultError::when("remember"))?;
        self.remembered = through;
        Ok(())
    }

    fn remembered(&self) -> Offset {
        self.remembered
    }

    fn sync(&mut self) -> Result<(), VaultError> {
        self.pairs.sync().map_err(VaultError::when("sync"))
    }

    fn destroy(
        &mut self,
        subject: SubjectId,
        generation: Generation,
        purposes: &[Purpose],
    ) -> Result<(), VaultError> {
        self.finish_rotation()?;
        self.remove_keys(subject, generation, purposes)?;
        self.finish_rotation()
    }
}

/// A kek file without its database: made anew, it would be lost for the database's backup.
fn refuse_stray_kek_file(dir: &Path) -> Result<(), VaultError> {
    let path = kek_file::path(dir);
    if !path.try_exists().map_err(VaultError::io("look for", &path))? {
        return Ok(());
    }
    let problem =
        "lies beside no vault; restore the vault's db directory, or move this file away for a new one";
    Err(VaultError::KekFile { path: path.display().to_string(), problem })
}

fn write_identity(pairs: &DiskPairs, master: &super::master::MasterKey) -> Result<(), VaultError> {
    let id: [u8; 16] = random()?;
    let mut batch = Batch::default();
    batch.put(META, ID.to_vec(), id.to_vec());
    batch.put(META, SECRETS.to_vec(), TenantSecrets::draw()?.seal(master, &id)?);
    pairs.write(batch, Durability::Synced).map_err(VaultError::when("make a vault"))
}

fn first_keks(pairs: &DiskPairs, kek_file: &KekFile) -> Result<Keks, VaultError> {
    let keks = Keks::draw()?;
    kek_file.replace(&keks)?;
    let mut batch = Batch::default();
    batch.put(META, READY.to_vec(), Vec::new());
    pairs.write(batch, Durability::Synced).map_err(VaultError::when("make a vault"))?;
    Ok(keks)
}

fn read_offset(bytes: &[u8]) -> Result<Offset, VaultError> {
    let bytes = bytes.try_into().map_err(|_| VaultError::unreadable("the remembered offset"))?;
    Ok(Offset(u64::from_be_bytes(bytes)))
}
