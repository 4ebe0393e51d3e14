//! Bugs that the simulator plants in its own glue, to show that it would catch them elsewhere.

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The source is acknowledged before the commit is synced.
    AcknowledgeBeforeSync,
    /// A cursor is journaled past an event that is not settled.
    CursorPastUnsettled,
    /// A dead letter is not journaled.
    DeadLetterForgotten,
    /// An event's final is not written.
    FinalForgotten,
}
