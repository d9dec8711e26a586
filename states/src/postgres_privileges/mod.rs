//! What `postgres_privileges.*` share: asking what is granted, and the step that changes it.

use crate::postgres_user::shared as postgres;
use corpus_core::{Plan, PlanCx, Prediction, StateError};
use corpus_exec::postgres::privileges::{Found, Privileges};
use corpus_exec::postgres::{Refused, Server};

/// Writes the privileges as Salt's comments do.
pub fn said(of: &Privileges) -> String {
    if of.privileges.is_empty() { "None".into() } else { of.privileges.join(",") }
}

fn fact(server: &Server, of: &Privileges) -> String {
    let what = format!("{}:{}.{}:{}:{}", of.kind, of.schema, of.object, of.role, said(of));
    server.fact(true, "privileges", &what)
}

/// Asks how much of it is granted, as an earlier step leaves it.
pub fn found(cx: &PlanCx<'_>, server: &Server, of: &Privileges, grants: bool) -> Result<Found, StateError> {
    match cx.host.predicted(&fact(server, of)) {
        Some(granted) if granted.truthy() => Ok(Found::All),
        Some(_) => Ok(Found::None),
        None => match server.privileges(cx.host, of) {
            // Nothing can be granted in a database that is not there.
            Err(Refused::NoDatabase(_)) if !grants => Ok(Found::Nothing),
            found => found.map_err(postgres::refused),
        },
    }
}

/// Adds the step that grants or revokes.
pub fn step(plan: &mut Plan, server: &Server, of: &Privileges, grants: bool) {
    let sql = if grants { of.grant() } else { of.revoke() };
    postgres::run(plan, server, &sql, vec![Prediction::Fact(fact(server, of), grants.into())]);
}
