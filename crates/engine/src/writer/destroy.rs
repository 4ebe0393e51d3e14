//! The writer's part in the end of a life and in the beginning of another: keys go and come between two commits, so
//! that no event of a commit is sealed under a key that is gone when it is durable, or under one of another life.

use tokio::sync::oneshot;
use writ_model::id::{Generation, SubjectId};
use writ_store::vault::{NewLife, Purpose, SubjectKey};

use super::batch::Batch;
use super::commit::Writer;
use super::failure::vault_failed;
use crate::error::EngineError;

impl Writer {
    /// Destroys the content key of a subject's life, and what memory holds open of it.
    pub(super) fn destroy(
        &mut self,
        batch: &mut Batch,
        (subject, generation): (SubjectId, Generation),
        done: oneshot::Sender<()>,
    ) -> Result<(), EngineError> {
        // A refusal is told to those whose changes it concerns.
        self.commit_first(batch)?;
        let destroyed = self.vault().destroy(subject, generation, &[Purpose::Content]);
        destroyed.map_err(|error| vault_failed(&error))?;
        self.payloads.shred(subject, generation);
        // Who asked may have gone.
        let _ = done.send(());
        Ok(())
    }

    /// Begins another life of an erased subject; tells false where none follows.
    pub(super) fn readmit(
        &mut self,
        batch: &mut Batch,
        (subject_id, generation): (SubjectId, Generation),
        done: oneshot::Sender<bool>,
    ) -> Result<(), EngineError> {
        self.commit_first(batch)?;
        let (content, evidence) = (SubjectKey(super::random()?), SubjectKey(super::random()?));
        let life = NewLife { subject_id, generation, content, evidence };
        let has_begun = self.vault().begin_life(&life).map_err(|error| vault_failed(&error))?;
        let _ = done.send(has_begun);
        Ok(())
    }
}
