//! How the functions of `docker` are written down: each is given the daemon that its call means.

use super::Docker;
use corpus_core::{Call, Data, ExecError, Value};

/// A function of `docker`: its call, the daemon, the machine and the data.
pub(crate) type Run<T> = fn(&Call, &Docker, T, &Data) -> Result<Value, ExecError>;

/// Finds the daemon that a call means.
pub(crate) fn daemon(call: &Call, data: &Data) -> Result<Docker, ExecError> {
    Docker::of(call.text(99, "url").as_deref(), data)
}

/// A function that only looks.
macro_rules! read {
    ($name:literal, $args:expr, $doc:literal, $run:expr) => {
        corpus_core::ExecDef {
            name: $name,
            args: $args,
            doc: $doc,
            run: corpus_core::ExecFn::Read(|call, look, data| {
                let run: crate::docker::calls::Run<&dyn corpus_core::Look> = $run;
                run(call, &crate::docker::calls::daemon(call, data)?, look, data)
            }),
        }
    };
}

/// A function that changes something.
macro_rules! write {
    ($name:literal, $args:expr, $doc:literal, $run:expr) => {
        corpus_core::ExecDef {
            name: $name,
            args: $args,
            doc: $doc,
            run: corpus_core::ExecFn::Write(|call, act, data| {
                let run: crate::docker::calls::Run<&dyn corpus_core::Act> = $run;
                run(call, &crate::docker::calls::daemon(call, data)?, act, data)
            }),
        }
    };
}

pub(crate) use {read, write};
