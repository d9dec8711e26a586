//! `postgres_initdb.present`

use corpus_core::host::Command;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::ask;
use corpus_exec::postgres::programs;
use serde::Deserialize;

/// Keeps a directory of PostgreSQL's data there, initialized.
///
/// ```sls
/// /srv/pgsql:
///   postgres_initdb.present:
///     - auth: scram-sha-256
///     - user: postgres
///     - password: secret
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The directory.
    pub name: String,
    /// The superuser of the new server.
    pub user: Option<String>,
    /// The superuser's password.
    pub password: Option<String>,
    /// How connections are let in.
    #[serde(default = "by_password")]
    pub auth: String,
    /// The encoding of new databases.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// Their locale.
    pub locale: Option<String>,
    /// Where the log of changes lies.
    pub waldir: Option<String>,
    /// Keep checksums of pages.
    #[serde(default)]
    pub checksums: bool,
    /// The system user to act as.
    pub runas: Option<String>,
}

fn by_password() -> String {
    "password".into()
}

fn utf8() -> String {
    "UTF8".into()
}

impl State for Present {
    const NAME: &'static str = "postgres_initdb.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let mark = format!("{name}/PG_VERSION");
        if ask::exists(cx.host, &mark) {
            return Ok(Plan::unchanged(format!("Postgres data directory {name} is already present")));
        }
        let program = programs(cx.host, cx.data, "initdb").ok_or_else(|| {
            StateError::missing("initdb is not installed on this machine; install it first (`pkg.installed`) (Debian has it in postgresql)")
        })?;
        let mut command = Command::new([program, format!("--pgdata={name}")]);
        command.runas = Some(self.runas.clone().unwrap_or_else(|| "postgres".into()));
        command.cwd = Some("/".into());
        let user = self.user.as_deref().unwrap_or("postgres");
        command.argv.extend([format!("--username={user}"), format!("--auth={}", self.auth)]);
        command.argv.push(format!("--encoding={}", self.encoding));
        for (flag, value) in [("--locale", &self.locale), ("--waldir", &self.waldir)] {
            command.argv.extend(value.iter().map(|value| format!("{flag}={value}")));
        }
        if self.checksums {
            command.argv.push("--data-checksums".into());
        }
        if let Some(password) = &self.password {
            let file = command.hand_over(format!("{password}\n"));
            command.argv.push(format!("--pwfile={file}"));
            command.secret = true;
        }
        let mut plan = Plan::default()
            .says(
                format!("Postgres data directory {name} is set to be initialized"),
                format!("Postgres data directory {name} has been initialized"),
            )
            .change(name.as_str(), "Present");
        plan.exec(command, vec![Prediction::Path(name.into()), Prediction::Path(mark.into())]);
        Ok(plan)
    }
}
