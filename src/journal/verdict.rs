//! The recovery decision table: what the end of a log means. One table, every cell decided by hand.
//!
//! "Cut at the first bad record" silently loses synced records after one flipped bit; "stop if a
//! good record follows" stops on every third clean power cut. What decides is whether the bad place
//! lies below what is known to have been on the disk.

/// Who says what was on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkSource {
    /// The side file: the newest of its two whole sectors.
    SideFile,
    /// The side file is gone or damaged; the best mark slot in the log stands in.
    LogMark,
    /// Neither, but a segment's seal: it was on the disk, whole, and so was all before it.
    Seal,
    /// None of these: nothing is known to have been synced.
    Unknown,
}

/// Where the first slot that is not the next of the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The header of the first segment is bad or of another version.
    FirstHeader,
    /// Below the mark: it had been on the disk, whole.
    BelowMark,
    /// In the last sealed segment, at or above the mark: the log may end here, but whatever is here
    /// is what was sealed.
    InSealed,
    /// At or above the mark, and sealed by nothing: it may never have reached the disk.
    AtOrAboveMark,
}

/// What lies from there to the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Zeros: nothing was written there.
    Zeros,
    /// Something.
    Bytes,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Damage: say where, change nothing.
    Refuse,
    /// The end of the log.
    End,
    /// The normal end after a crash: keep everything before, save the rest aside, zero it.
    Cut,
}

/// `VERDICTS[mark][place][rest]`.
#[rustfmt::skip]
pub const VERDICTS: [[[Verdict; 2]; 4]; 4] = {
    const NO: Verdict = Verdict::Refuse;
    const OK: Verdict = Verdict::End;
    const CT: Verdict = Verdict::Cut;
    [
        //               FirstHeader   BelowMark     InSealed      AtOrAboveMark
        //               zeros bytes   zeros bytes   zeros bytes   zeros bytes
        /* SideFile */ [ [NO,   NO],   [NO,   NO],   [OK,   NO],   [OK,   CT] ],
        /* LogMark  */ [ [NO,   NO],   [NO,   NO],   [OK,   NO],   [OK,   CT] ],
        /* Seal     */ [ [NO,   NO],   [NO,   NO],   [OK,   NO],   [OK,   CT] ],
        // Without a mark and a seal there is nothing to be below or in: refuse.
        /* Unknown  */ [ [NO,   NO],   [NO,   NO],   [NO,   NO],   [OK,   CT] ],
    ]
};

/// The cell of [`VERDICTS`].
pub const fn verdict(mark: MarkSource, place: Place, rest: Rest) -> Verdict {
    let mark_index = match mark {
        MarkSource::SideFile => 0,
        MarkSource::LogMark => 1,
        MarkSource::Seal => 2,
        MarkSource::Unknown => 3,
    };
    let place_index = match place {
        Place::FirstHeader => 0,
        Place::BelowMark => 1,
        Place::InSealed => 2,
        Place::AtOrAboveMark => 3,
    };
    let rest_index = match rest {
        Rest::Zeros => 0,
        Rest::Bytes => 1,
    };
    VERDICTS[mark_index][place_index][rest_index]
}
