//! What `nfs_export.*` share: telling the server, and the verdict on what it said.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Command, Plan, PlanCx, StateError};
use corpus_exec::fns::nfs3::Exports;

/// Serde's default for `exports`.
pub fn table() -> String {
    "/etc/exports".into()
}

/// Reads the table; the server must be there.
pub fn read(cx: &PlanCx<'_>, path: &str) -> Result<Exports, StateError> {
    cx.program("exportfs", "nfs-kernel-server")?;
    Ok(Exports::read(cx.host, path)?)
}

/// Adds the steps that write the table and tell the server.
pub fn write(plan: &mut Plan, file: &Exports) {
    plan.push(file.effect(), vec![]);
    plan.attempt(Command::new(["exportfs", "-r"]), vec![]);
}

/// Salt: `exportfs` always ends well, so what it says on standard error is a failure.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let mut settled = Settled::as_planned(plan);
    if let Some(output) = seen.iter().find_map(Observed::output)
        && !(output.ok() && output.stderr.is_empty())
    {
        settled.result = false;
        settled.comment = corpus_exec::ask::said(output);
    }
    settled
}
