//! Bugs that the simulator plants in its own glue, to show that it would catch them elsewhere.

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The source is acknowledged before the commit is synced.
    AcknowledgeBeforeSync,
    /// After a restart nothing is known of what the log covers of the source.
    CoveredForgotten,
    /// What the log covers of the source goes back with a change that comes again.
    CoveredTakenBack,
    /// A subject joins under a key that another one gives up in the same commit.
    KeyTakenOver,
    /// Last-known states move on before the commit is synced.
    RememberBeforeSync,
    /// After a crash last-known states are not derived from the log again.
    RememberNotDerived,
    /// An event that the gate kept moves the last-known state on.
    KeptRemembered,
    /// A key change that no event records is not journaled.
    MoveForgotten,
    /// Event ids are made from the time of arrival.
    IdsFromArrival,
    /// After a refused commit the sequences go on as if it had been stored.
    SequencesNotTakenBack,
    /// After a restart the hybrid clock begins anew.
    ClockFloorForgotten,
    /// An accounting leaf counts an accepted change as a duplicate.
    Miscounted,
    /// A cursor is journaled past an event that is not settled.
    CursorPastUnsettled,
    /// An event that is sent at most once is sent before the cursor behind it is durable.
    SentBeforeDurable,
    /// An express event beyond what a lane has read is offered without what its subject has before it.
    ExpressAlone,
    /// A dead letter is not journaled.
    DeadLetterForgotten,
    /// An event's final is not written.
    FinalForgotten,
    /// A former owner's facts are taken under the later owner's epoch.
    FormerWrites,
    /// A receiver that keeps owners apart takes what a former one sends.
    FormerTaken,
    /// A branch is committed before its decision is durable.
    CommittedUndecided,
    /// After a restart nothing is known of the branches that the journal decided.
    DecisionForgotten,
    /// A receiver's prepared transactions are not found.
    OrphansLeft,
    /// A receiver forgets what it took before the lane has settled it.
    InboxForgets,
    /// What a look at a receiver did not find is taken to be there.
    LookMisread,
    /// A subscriber's rules about its answers are not applied.
    RulesForgotten,
    /// A replay that is taken up after a restart has forgotten that its ids are new.
    ReissueForgotten,
    /// A replay that is taken up after a restart has forgotten what it selects.
    SelectionForgotten,
    /// Segments leave the log although a subscriber has not settled them.
    CursorNotKept,
    /// Segments leave the log although what is derived from them was never made durable.
    UnsyncedDropped,
    /// What was judged before a hold or a replay was committed is dropped all the same.
    PinIgnored,
    /// A pushed change is looked for in a state that lags.
    PushForgotten,
}
