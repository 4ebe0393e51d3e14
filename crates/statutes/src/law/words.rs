//! How the table's values are said to a person.

use std::fmt;

use super::{Basis, Clock, Confidence, Counting, Kind, Period, Status, Unit, Verification};

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.n == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.n, self.unit)
    }
}

macro_rules! said {
    ($($of:ident { $($variant:ident => $words:literal,)+ })+) => {
        $(impl fmt::Display for $of {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $words,)+ })
            }
        })+
    };
}

said! {
    Unit {
        Minute => "minute",
        Hour => "hour",
        CalendarDay => "calendar day",
        BusinessDay => "business day",
        Month => "month",
        Year => "year",
    }
    Counting {
        Eu118271 => "Regulation (EEC, Euratom) 1182/71, Article 3",
        UkCorrespondingDate => "the corresponding date, as the UK regulator counts",
        Plain => "the day of the event is day 0, and nothing is moved",
    }
    Kind {
        Acknowledge => "acknowledge",
        Respond => "respond",
        Propagate => "propagate",
        Complete => "complete",
        Refuse => "refuse",
        Floor => "floor",
        Ceiling => "ceiling",
    }
    Status {
        InForce => "in force",
        Future => "future",
        Proposed => "proposed",
        WaivedUntil => "waived",
        PartlyEnjoined => "partly enjoined",
    }
    Confidence {
        Low => "low",
        Medium => "medium",
        High => "high",
    }
    Verification {
        PrimaryTextSeen => "text read",
        SecondarySeen => "report read",
        NotOpened => "not opened",
    }
    Basis {
        Statute => "statute",
        Regulation => "regulation",
        SroRule => "rule of a self-regulatory organisation",
        Standard => "standard",
        Limitation => "limitation of claims",
        Principle => "principle",
        Policy => "policy",
    }
    Clock {
        Receipt => "receipt of the request",
        ReceiptIdentityOrFee => "receipt of the request, of the proof of identity or of the fee, whichever is last",
        UnsubscribeSent => "the sending of the wish to unsubscribe",
        AppealReceived => "receipt of the appeal",
        DisputeNoticeReceived => "receipt of the dispute",
        DisputeNoticeAtAgency => "receipt of the dispute by the agency",
        ReinvestigationCompleted => "the end of the reinvestigation",
        RequestAuthenticated => "the authentication of the request",
        ChangeMade => "the change itself",
        Awareness => "becoming aware",
        MessageSent => "the sending of the message",
        NoticeDelivered => "the delivery of the notice",
        OptOutDate => "the opt-out",
        PreviousDownload => "the last fetch of the lists",
        RegistryVersion => "the making of the registry's copy",
        Registration => "the registration",
        Collection => "the collection of the data",
        Processing => "the processing of the data",
        LastInteraction => "the last contact",
        PurposeEnd => "the end of the purpose",
        LogGenerated => "the making of the log entry",
        PlacedOnMarket => "the placing on the market",
        BeforeErasure => "the warning that an erasure will follow",
    }
}
