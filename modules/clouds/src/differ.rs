//! Declared against found: what differs, and whether because you declared something new or because the world moved.

use crate::driver::GuestDriver;
use crate::ledger::{Entry, Phase};
use crate::spec::{Guest, GuestSpec, shown};
use corpus_core::{Map, Value};
use serde::{Deserialize, Serialize};

/// Why something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It was declared so since the machine was last converged.
    Declared,
    /// The machine was so, and is not any more.
    Drifted,
}

impl Cause {
    /// Says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Declared => "declared by you",
            Self::Drifted => "drifted",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub key: String,
    pub want: Value,
    pub have: Value,
    pub cause: Cause,
}

impl Difference {
    /// Writes it as a value.
    pub fn to_value(&self) -> Value {
        let map: Map = [("old", self.have.clone()), ("new", self.want.clone()), ("cause", self.cause.words().into())]
            .into_iter()
            .collect();
        map.into()
    }
}

/// The status of a machine that is not there.
pub const ABSENT: &str = "absent";

/// The difference of a guest that is declared on another node.
pub fn placed(from: &GuestSpec, want: &GuestSpec) -> Difference {
    let (have, want) = (from.node.as_str().into(), want.node.as_str().into());
    Difference { key: "node".into(), want, have, cause: Cause::Declared }
}

/// Compares; `last` is the ledger's line of the machine.
pub fn compare(
    driver: &dyn GuestDriver,
    want: &GuestSpec,
    have: Option<&Guest>,
    last: Option<&Entry>,
) -> Vec<Difference> {
    let status = last.and_then(|entry| entry.held).unwrap_or(want.status);
    let Some(have) = have else {
        let cause = match last.map(|entry| entry.phase) {
            Some(Phase::Ready) => Cause::Drifted,
            _ => Cause::Declared,
        };
        let (want, have) = (status.word().into(), ABSENT.into());
        return vec![Difference { key: "status".into(), want, have, cause }];
    };
    let before = last.filter(|entry| entry.phase == Phase::Ready).map(|entry| &entry.spec);
    let mut found = vec![];
    let mut differ = |key: &str, want: Value, have: Value, same_before: bool| {
        if want != have {
            let cause = if same_before { Cause::Drifted } else { Cause::Declared };
            found.push(Difference { key: key.to_owned(), want, have, cause });
        }
    };
    let same = |get: &dyn Fn(&GuestSpec) -> Value| before.is_some_and(|before| get(before) == get(want));
    differ("status", status.word().into(), have.status.word().into(), same(&|spec| spec.status.word().into()));
    for (key, want_size, have_size, get) in [
        ("memory", want.memory, have.memory, (|spec| spec.memory) as fn(&GuestSpec) -> Option<u64>),
        ("disk", want.disk, have.disk, |spec| spec.disk),
    ] {
        if let Some(size) = want_size {
            let have = have_size.map_or(Value::Null, |bytes| shown(bytes).into());
            differ(key, shown(size).into(), have, same(&|spec| get(spec).into()));
        }
    }
    let cores = |millis: u32| Value::Float(f64::from(millis) / 1000.0);
    if let Some(cpu) = want.cpu {
        differ("cpu", cores(cpu), have.cpu.map_or(Value::Null, cores), same(&|spec| spec.cpu.into()));
    }
    if let Some(autostart) = have.autostart {
        differ("autostart", want.autostart.into(), autostart.into(), same(&|spec| spec.autostart.into()));
    }
    for (key, wanted, has) in driver.differs(want, have) {
        let same_before = same(&|spec| spec.options.get(&key).cloned().unwrap_or_default());
        differ(&key, wanted, has, same_before);
    }
    found
}
