//! What all of `mysql_*` share: the server that is meant, and the verdict on a step of SQL.

use corpus_core::host::HostError;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, StateError};
use corpus_exec::mysql::{self, Server};

/// Takes the arguments about the connection out of a declaration.
macro_rules! server {
    ($state:expr, $cx:expr) => {
        $crate::mysql_user::shared::known(
            $cx,
            corpus_exec::mysql::Given {
                host: $state.connection_host.clone(),
                user: $state.connection_user.clone(),
                pass: $state.connection_pass.clone(),
                port: $state.connection_port.clone(),
                db: $state.connection_db.clone(),
                unix_socket: $state.connection_unix_socket.clone(),
                default_file: $state.connection_default_file.clone(),
                charset: $state.connection_charset.clone(),
            },
        )?
    };
}
pub(crate) use server;

/// Serde's default for `host`.
pub fn localhost() -> String {
    "localhost".into()
}

/// Serde's default for `auth_plugin`.
pub fn native_password() -> String {
    "mysql_native_password".into()
}

/// Makes the way to the server; its client must be there.
pub fn known(cx: &PlanCx<'_>, given: mysql::Given) -> Result<Server, StateError> {
    let server = Server::of(cx.host, cx.data, given);
    cx.program(server.program, "mariadb-client")?;
    Ok(server)
}

/// Turns a refusal into the state's error, in Salt's words.
pub fn refused(error: HostError) -> StateError {
    if error.is_missing() { StateError::missing(error.why) } else { StateError::failed(error.why) }
}

/// Judges the SQL: what the server refuses stands behind the words that the plan keeps for it.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    match seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        None => Settled::as_planned(plan),
        Some(output) => {
            let failed = plan.memo.as_str().unwrap_or_default();
            let comment = format!("{failed} ({})", mysql::refusal(output).why);
            Settled { result: false, changes: Map::new(), comment: comment.trim().to_owned() }
        }
    }
}
