//! The codes of user-visible errors. Each has a page of the same name under `docs/errors/`.

use std::fmt;

/// A code and its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `WRIT-1001`.
    pub id: &'static str,
    /// What it says in a few words.
    pub title: &'static str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal;)+) => {
        $(#[doc = $title] pub const $name: Code = Code { id: $id, title: $title };)+

        /// Every code, in order.
        pub const ALL: &[Code] = &[$($name,)+];
    };
}

codes! {
    CONFIG_UNREADABLE = "WRIT-1001", "configuration file cannot be read";
    CONFIG_MALFORMED = "WRIT-1002", "configuration is not valid YAML";
    CONFIG_UNKNOWN_KEY = "WRIT-1003", "configuration has an unknown key";
    CONFIG_INVALID = "WRIT-1004", "configuration has an invalid value";
    SECRET_UNRESOLVED = "WRIT-1005", "a secret reference does not resolve";
    SCHEMA_INVALID = "WRIT-1006", "a schema file cannot be used";
    POLICY_INVALID = "WRIT-1007", "a policy bundle cannot be used";
    MAPPING_UNFIT = "WRIT-1008", "the mapping does not fit the source's tables";
    FILTER_INVALID = "WRIT-1009", "a subscription filter cannot be used";
    GUARANTEE_UNPROVEN = "WRIT-1010", "no mechanism proves the guarantee";
    GUARANTEE_REFUSED = "WRIT-1011", "the guarantee is not allowed for this change type";
    GUARANTEE_FORGETFUL = "WRIT-1012", "the receiver forgets before the last retry";
    RATE_UNKEPT = "WRIT-1013", "a limit on a subscriber's rate cannot be kept";
    ANSWERS_UNUSABLE = "WRIT-1014", "a rule about a subscriber's answers cannot be used";

    SOURCE_UNREACHABLE = "WRIT-2001", "the source database cannot be reached";
    SLOT_INVALIDATED = "WRIT-2002", "the replication slot was invalidated";
    SLOT_MISSING = "WRIT-2003", "the replication slot is missing";
    SOURCE_IDENTITY = "WRIT-2004", "the source is not the one recorded";
    SOURCE_POSITION = "WRIT-2005", "the source cannot resume from the recorded position";
    PUBLICATION_UNFIT = "WRIT-2006", "the publication is missing or does not cover the tables";
    REPLICA_IDENTITY = "WRIT-2007", "a table has no usable replica identity";
    SOURCE_PROTOCOL = "WRIT-2008", "the source sent something that cannot be decoded";
    SOURCE_SETTINGS = "WRIT-2009", "the source database is not set up for capture";

    INTAKE_UNAUTHORISED = "WRIT-3001", "the token is missing, wrong or lacks the scope";
    INTAKE_SIGNATURE = "WRIT-3002", "the signature does not match the body";
    INTAKE_JSON = "WRIT-3003", "the body is not valid JSON";
    INTAKE_TOO_LARGE = "WRIT-3004", "the body is too large";
    INTAKE_NOT_CLOUDEVENT = "WRIT-3005", "the body is not a CloudEvent that this source takes";
    INTAKE_CONFLICT = "WRIT-3006", "this id was used for other content";
    INTAKE_BUSY = "WRIT-3007", "the engine cannot take more at the moment";
    INTAKE_TOPIC = "WRIT-3008", "the webhook topic is not mapped";
    INTAKE_INCOMPLETE = "WRIT-3009", "the request did not arrive whole";
    INTAKE_AHEAD = "WRIT-3010", "the producer's clock is ahead of this one";

    GATE_SCHEMA = "WRIT-4001", "the event does not fit its schema";
    GATE_CARD_NUMBER = "WRIT-4002", "the event holds a card number";
    GATE_REFUSED = "WRIT-4003", "policy refuses the event";
    GATE_HELD = "WRIT-4004", "policy holds the event";

    DISK_FULL = "WRIT-5001", "the disk is full";
    SYNC_FAILED = "WRIT-5002", "a write or sync failed and the log stopped";
    LOG_CORRUPT = "WRIT-5003", "a log segment is damaged";
    STORE_LOCKED = "WRIT-5004", "another engine has this store open";
    STORE_READ_ONLY = "WRIT-5005", "the store cannot be written";
    STORE_VERSION = "WRIT-5006", "the store was written by another version";
    VAULT_UNUSABLE = "WRIT-5007", "the key vault cannot be opened";
    WRITER_FENCED = "WRIT-5008", "a newer writer has taken over";
    STORE_MISSING = "WRIT-5009", "there is no store here";
    STORE_DAMAGED = "WRIT-5010", "the vault's or the state's database is damaged";
    RETENTION_FAILED = "WRIT-5011", "the log could not be shortened";
    STORE_BEHIND_LOG = "WRIT-5012", "state or vault is older than the log";
    HOLD_UNKNOWN = "WRIT-5013", "there is no such legal hold";

    DELIVERY_EXHAUSTED = "WRIT-6001", "retries are exhausted";
    DELIVERY_REJECTED = "WRIT-6002", "the subscriber rejected the event";
    ADDRESS_REFUSED = "WRIT-6003", "the subscriber's address is not allowed";
    SUBSCRIBER_GONE = "WRIT-6004", "the subscriber answered 410 and was stopped";
    SUBSCRIBER_UNKNOWN = "WRIT-6005", "there is no such subscriber";
    TRACE_UNKNOWN = "WRIT-6006", "there is no such event or subject";
    LEASE_ENDED = "WRIT-6010", "the lease has ended";
    LEASE_FENCED = "WRIT-6011", "the lease is of another run of the engine";
    NOT_PULLED = "WRIT-6012", "the subscriber is not pulled from";
    CONSUMERS_FULL = "WRIT-6013", "as many consumers wait as may";
    LEASE_WORD = "WRIT-6014", "the answer does not fit the lease";
    RECEIVER_FENCED = "WRIT-6015", "a newer engine has taken over at the receiver";
    RECEIVER_UNREADY = "WRIT-6016", "the receiving database is not ready to take events";
    FINDING_ORDER = "WRIT-6020", "events were about to go out of order";
    FINDING_REJECTING = "WRIT-6021", "a subscriber refuses what it is sent";
    FINDING_HELD_UP = "WRIT-6023", "a subscriber holds its events up";
    FINDING_BEHIND = "WRIT-6024", "the log lost events that a subscriber has not settled";
    LANE_BEHIND = "WRIT-6025", "a subscriber came back after the log was shortened";
    REPLAY_UNKNOWN = "WRIT-6026", "there is no such replay";
    REPLAY_REFUSED = "WRIT-6027", "the replay cannot be started or changed now";
    REISSUE_REFUSED = "WRIT-6028", "new delivery ids would break an exactly-once guarantee";
    REQUEST_REUSED = "WRIT-6029", "the idempotency key was used for another request";
    SAGA_UNKNOWN = "WRIT-6030", "there is no such saga";
    SAGA_REFUSED = "WRIT-6031", "the saga cannot be ordered or changed now";

    AUDIT_SIGNATURE = "WRIT-7010", "a checkpoint's signature does not verify";
    AUDIT_ROOT = "WRIT-7011", "a tile or the root does not match";
    AUDIT_FORK = "WRIT-7012", "two checkpoints of one log contradict each other";
    AUDIT_ROLLBACK = "WRIT-7013", "the log is shorter than a checkpoint known earlier";
    AUDIT_MISSING = "WRIT-7014", "an object of the audit log is missing";
    AUDIT_CANONICAL = "WRIT-7015", "a leaf is not in canonical form";
    AUDIT_PAIRING = "WRIT-7016", "an intent and its final leaf do not pair";
    AUDIT_TIME = "WRIT-7017", "leaves are out of time order";

    PORT_TAKEN = "WRIT-8001", "the listening address is taken";
    NOT_RUNNING = "WRIT-8002", "no running engine answers";
    DRAIN_EXPIRED = "WRIT-8003", "the drain did not finish in time";
    NOT_FOUND = "WRIT-8004", "there is nothing at this path";
    REQUEST_INVALID = "WRIT-8005", "the request cannot be carried out as it is";
    TOKEN_FOREIGN = "WRIT-8006", "the causality token is not of this store";
    NOT_CAUGHT_UP = "WRIT-8007", "reads do not show the write yet";

    STATUTE_UNKNOWN = "WRIT-9001", "the statute table does not have this word";
    OVERLAY_UNUSABLE = "WRIT-9002", "an overlay of the statute table cannot be used";
    DEADLINE_UNANSWERABLE = "WRIT-9003", "a deadline cannot be counted from what was given";
    CASE_UNKNOWN = "WRIT-9010", "there is no such privacy case";
    CASE_REFUSED = "WRIT-9011", "the privacy case cannot be opened or changed so";
    REPORT_SIGNATURE = "WRIT-9012", "a recipient's signature does not verify";
    NOT_ERASED = "WRIT-9013", "the subject cannot begin another life";
}
