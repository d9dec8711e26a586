//! The truth table of requisites, as a pure function: what the targets did in, whether the chunk runs out.
//! Everything odd in it is Salt 3008's (`State._check_requisites`), kept cell by cell.

use corpus_core::RequisiteKind as Kind;

/// What one target of a requisite has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub result: Option<bool>,
    pub changed: bool,
    /// False for a target that a requisite skipped.
    pub ran: bool,
    /// The target asked that nothing be triggered by it.
    pub skip_req: bool,
}

/// A target's verdict, or none yet.
pub type Verdict = Option<Target>;

/// What the requisites say about a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A target has not been decided yet.
    Unmet,
    /// Run it.
    Met,
    /// Run it; if it changes nothing by itself, call `mod_watch`.
    Change,
    /// A target failed.
    Fail,
    /// The target of `prereq` is not going to change.
    Pre,
    /// No target of `onfail` failed.
    Onfail,
    /// No target of `onchanges` changed.
    Onchanges,
    /// A target asked to trigger nothing.
    SkipReq,
    /// Run it, but never `mod_watch`.
    SkipWatch,
}

#[derive(Clone, Copy, Default)]
struct Stats {
    unmet: bool,
    fail: bool,
    skip_req: bool,
    pre: bool,
    premet: bool,
    onfail: bool,
    onchanges: bool,
    onchangesmet: bool,
    change: bool,
    met: bool,
}

/// Decides about a chunk from the verdicts on the targets of each of its requisites.
///
/// `Watch` of a module without `mod_watch` must be given as `Require`, as Salt rewrites it.
pub fn decide<'a>(requisites: impl IntoIterator<Item = (Kind, &'a [Verdict])>) -> Status {
    let mut all = Stats::default();
    for (kind, targets) in requisites {
        all.add(stats(kind, targets));
    }
    all.status()
}

fn stats(kind: Kind, targets: &[Verdict]) -> Stats {
    let mut s = Stats::default();
    for target in targets {
        let Some(target) = target else {
            s.unmet = true;
            continue;
        };
        s.skip_req |= target.skip_req;
        match kind {
            Kind::Onchanges | Kind::OnchangesAny => {
                // Salt 3008: a failed target counts as one without changes, not as a failure.
                let fires = target.result != Some(false) && target.changed;
                *(if fires { &mut s.onchangesmet } else { &mut s.onchanges }) = true;
            }
            Kind::Onfail | Kind::OnfailAny | Kind::OnfailAll if target.result == Some(true) => s.onfail = true,
            Kind::Onfail | Kind::OnfailAny | Kind::OnfailAll => s.met |= target.ran,
            _ if target.result == Some(false) => s.fail = true,
            Kind::Watch | Kind::WatchAny if target.changed => s.change = true,
            Kind::Prereq => *(if target.result.is_none() { &mut s.premet } else { &mut s.pre }) = true,
            _ => s.met |= target.ran,
        }
    }
    match kind {
        Kind::Onfail | Kind::RequireAny | Kind::WatchAny | Kind::OnchangesAny | Kind::OnfailAny => {
            if s.met || s.change {
                s.fail = false;
            }
            if s.onchangesmet {
                s.onchanges = false;
                s.fail = false;
            }
            if s.met {
                s.onfail = false;
            }
        }
        Kind::OnfailAll if s.onfail => s.met = false,
        _ => {}
    }
    s
}

impl Stats {
    fn add(&mut self, other: Self) {
        self.unmet |= other.unmet;
        self.fail |= other.fail;
        self.skip_req |= other.skip_req;
        self.pre |= other.pre;
        self.premet |= other.premet;
        self.onfail |= other.onfail;
        self.onchanges |= other.onchanges;
        self.onchangesmet |= other.onchangesmet;
        self.change |= other.change;
        self.met |= other.met;
    }

    fn status(self) -> Status {
        match self {
            Self { unmet: true, .. } => Status::Unmet,
            Self { fail: true, .. } => Status::Fail,
            Self { skip_req: true, onchangesmet: true, .. } | Self { skip_req: true, premet: true, .. } => {
                Status::SkipReq
            }
            Self { skip_req: true, change: true, .. } => Status::SkipWatch,
            // Salt: `premet` alone (no other target without changes) falls through to the rows below.
            Self { pre: true, premet: true, .. } => Status::Met,
            Self { pre: true, .. } => Status::Pre,
            Self { onfail: true, onchangesmet: false, .. } => Status::Onfail,
            Self { onchanges: true, onchangesmet: false, .. } => Status::Onchanges,
            Self { change: true, .. } => Status::Change,
            Self { onfail: true, .. } => Status::Onfail,
            _ => Status::Met,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Target = Target { result: Some(true), changed: false, ran: true, skip_req: false };

    #[test]
    fn rows_that_no_state_of_ours_reaches() {
        let changed = Target { changed: true, ..OK };
        let shy = Target { skip_req: true, ..changed };
        let skipped = Target { ran: false, ..OK };
        let failed = Target { result: Some(false), ..OK };
        let pending = Target { result: None, ..changed };
        #[rustfmt::skip]
        let rows: &[(Kind, &[Verdict], Status)] = &[
            (Kind::Require, &[None], Status::Unmet),
            (Kind::Require, &[None, Some(failed)], Status::Unmet),
            (Kind::Require, &[Some(shy)], Status::Met),
            (Kind::Require, &[Some(skipped)], Status::Met),
            (Kind::Onchanges, &[Some(shy)], Status::SkipReq),
            (Kind::Onchanges, &[Some(shy), Some(changed)], Status::SkipReq),
            (Kind::Watch, &[Some(shy)], Status::SkipWatch),
            (Kind::Prereq, &[Some(Target { skip_req: true, ..pending })], Status::SkipReq),
            (Kind::Prereq, &[Some(pending), Some(OK)], Status::Met),
            (Kind::Prereq, &[Some(OK)], Status::Pre),
            (Kind::RequireAny, &[Some(skipped), Some(failed)], Status::Fail),
            (Kind::WatchAny, &[Some(changed), Some(failed)], Status::Change),
            (Kind::Onfail, &[Some(Target { ran: false, ..failed })], Status::Met),
            (Kind::OnfailAll, &[Some(failed), Some(OK)], Status::Onfail),
            // A failed state that a requisite kept from running does not count as failed for an `onfail` beside
            // one that succeeded.
            (Kind::Onfail, &[Some(Target { ran: false, ..failed }), Some(OK)], Status::Onfail),
        ];
        for (kind, targets, expected) in rows {
            assert_eq!(decide([(*kind, *targets)]), *expected, "{kind:?} {targets:?}");
        }
        assert_eq!(decide([]), Status::Met);
    }
}
