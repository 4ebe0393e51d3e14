//! Accounting: for every source in a commit, one leaf that says what became of each change it covers. Its
//! numbers have no gaps, so a dropped change shows as a gap or as a wrong sum.

use std::collections::BTreeMap;

use writ_attest::blind::{EvidenceKey, Range, range_commitment};
use writ_attest::leaf::{Accounting, Leaf};
use writ_kernel::admission::Tally;
use writ_model::control::{Accounted, ControlFact};
use writ_model::id::SourceName;

use super::batch::{Batch, Span};
use super::commit::Writer;
use super::leaf::{self, SHARD};
use crate::error::EngineError;

/// A source is one partition of itself; the leaf's field is for sources that will have several.
const PARTITION: &str = "0";

impl Writer {
    /// Adds the accounting leaves of this commit.
    pub(super) fn account(&mut self, batch: &mut Batch) -> Result<(), EngineError> {
        for (source, tally) in std::mem::take(&mut batch.tallies) {
            let seq = self.accounting.get(&source).copied().unwrap_or_default() + 1;
            let span = batch.spans.remove(&source).unwrap_or_default();
            batch.leaves.push(self.accounting_leaf(&source, seq, &tally, &span)?);
            batch.facts.push(ControlFact::Accounted(Accounted { source: source.clone(), seq }));
            batch.accounted.insert(source, seq);
        }
        Ok(())
    }

    fn accounting_leaf(
        &mut self,
        source: &SourceName,
        seq: u64,
        tally: &Tally,
        span: &Span,
    ) -> Result<Vec<u8>, EngineError> {
        let range = Range {
            source: source.as_str(),
            partition: PARTITION,
            seq,
            incarnation: &span.incarnation,
            from: &span.from,
            to: &span.to,
        };
        let key = EvidenceKey::new(self.secrets.attest_seed);
        let accepted = (tally.accepted > 0).then(|| (SHARD.to_owned(), tally.accepted));
        let leaf = Accounting {
            source: source.to_string(),
            partition: PARTITION.to_owned(),
            seq,
            covered: tally.covered(),
            accepted: accepted.into_iter().collect::<BTreeMap<_, _>>(),
            duplicate: tally.duplicate,
            stale: tally.stale,
            unchanged: tally.silent,
            held: tally.held,
            quarantined: tally.quarantined,
            refused: tally.refused,
            range: range_commitment(&key, &self.origin, &range),
            shard: SHARD.to_owned(),
            timestamp: leaf::time(self.stamp()),
        };
        leaf::bytes(&Leaf::Accounting(Box::new(leaf)))
    }
}
