//! What `selinux.*` share.

use corpus_core::{PlanCx, StateError};
use corpus_exec::fns::selinux::{self, Context};

/// Refuses to go on where the tools of SELinux are not there.
pub fn tools(cx: &PlanCx<'_>) -> Result<(), StateError> {
    for (program, package) in [
        ("semanage", "policycoreutils-python-utils"),
        ("setsebool", "policycoreutils"),
        ("semodule", "policycoreutils"),
    ] {
        cx.program(program, package)?;
    }
    Ok(())
}

/// Names the fact of a file specification.
pub fn fact(name: &str, filetype: &str) -> String {
    format!("selinux:fcontext:{filetype}:{name}")
}

/// Finds what the policy has for a file specification; the second value is whether anything is there for it.
pub fn find(
    cx: &PlanCx<'_>,
    name: &str,
    code: &str,
    wanted: &[Option<&str>; 3],
) -> Result<(Option<Context>, bool), StateError> {
    let filetype = selinux::filetype(code).map_err(StateError::failed)?;
    let mut all = selinux::contexts(cx.host)?;
    let any = all.iter().any(|entry| entry.filespec == name && entry.filetype == filetype);
    let at = all.iter().position(|entry| entry.is(name, Some(filetype), wanted));
    Ok((at.map(|at| all.swap_remove(at)), any))
}
