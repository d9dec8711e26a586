//! `mysql_user.present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value, digest};
use corpus_exec::mysql::{self, Login};
use serde::Deserialize;

/// Keeps a MySQL account, with its password.
///
/// ```sls
/// joe:
///   mysql_user.present:
///     - host: localhost
///     - password: s3cret
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The account's name.
    pub name: String,
    /// Where it connects from.
    #[serde(default = "shared::localhost")]
    pub host: String,
    /// Its password, in clear text.
    pub password: Option<String>,
    /// Its password as the server keeps it.
    pub password_hash: Option<String>,
    /// It may be without a password.
    #[serde(default)]
    pub allow_passwordless: bool,
    /// The system's user of that name logs in without a password.
    #[serde(default)]
    pub unix_socket: bool,
    /// Accepted for Salt's sake: the server is asked for both columns.
    pub password_column: Option<String>,
    /// How passwords are checked.
    #[serde(default = "shared::native_password")]
    pub auth_plugin: String,
    /// The server's host.
    pub connection_host: Option<String>,
    /// The account to connect as.
    pub connection_user: Option<String>,
    /// Its password.
    pub connection_pass: Option<String>,
    /// The server's port.
    pub connection_port: Option<String>,
    /// The database to connect to.
    pub connection_db: Option<String>,
    /// The server's socket.
    pub connection_unix_socket: Option<String>,
    /// A file of the client's options, instead of the configuration's `mysql.*`.
    pub connection_default_file: Option<String>,
    /// The character set of the connection.
    pub connection_charset: Option<String>,
}

impl State for Present {
    const NAME: &'static str = "mysql_user.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let (password, hash) = (text(&self.password), text(&self.password_hash));
        let passwordless = password.is_none() && hash.is_none();
        if passwordless && !self.allow_passwordless && !self.unix_socket {
            return Err(StateError::failed(
                "Either password or password_hash must be specified, unless allow_passwordless is True",
            ));
        }
        let (server, who) = (shared::server!(self, cx), format!("{}@{}", self.name, self.host));
        let login = Login {
            password: password.as_deref(),
            password_hash: hash.as_deref(),
            unix_socket: self.unix_socket && passwordless,
            auth_plugin: &self.auth_plugin,
        };
        // What a fact says of a password is no place for it.
        let told = digest::hex(&digest::sha256(login.sql(true).as_bytes()));
        let fact = server.fact("user", &who);
        let have = match cx.host.predicted(&fact) {
            Some(Value::Str(kept)) if *kept == *told => Some((true, true)),
            Some(known) => known.truthy().then_some((true, false)),
            None => None,
        };
        let (mut mariadb, native) = (true, self.auth_plugin == "mysql_native_password");
        let (there, right) = match have {
            Some(found) => found,
            None if cx.host.predicted(&fact).is_some() => (false, false),
            None => {
                let user = server.user(cx.host, &self.name, &self.host).map_err(shared::refused)?;
                mariadb = user.mariadb;
                let right = match (&password, &hash) {
                    (None, None) if self.unix_socket => user.by_socket(),
                    (None, None) => user.kept.is_empty(),
                    // Salt: only the usual way of keeping passwords can be compared.
                    _ if !native => true,
                    (Some(password), _) => user.kept == mysql::native(password),
                    (None, Some(hash)) => user.kept == *hash,
                };
                (user.there, right)
            }
        };
        let suffix = match () {
            () if passwordless && self.allow_passwordless => " with passwordless login",
            () if passwordless => "",
            () if !native => ". Unable to verify password.",
            () if password.is_none() => " with the desired password hash",
            () => " with the desired password",
        };
        let mut plan = Plan::unchanged(format!("User {who} is already present{suffix}"));
        if there && right {
            return Ok(plan);
        }
        let verb = if there { "ALTER" } else { "CREATE" };
        let cleared = if there && passwordless && !self.unix_socket { " IDENTIFIED BY ''" } else { "" };
        let account = mysql::account(&self.name, &self.host);
        let mut command = server.command(&format!("{verb} USER {account}{}{cleared}", login.sql(mariadb)));
        command.secret = true;
        plan.exec(command, vec![Prediction::Fact(fact, told.into())]);
        if there {
            let (did, infinitive) = if passwordless { ("cleared", "clear") } else { ("changed", "change") };
            plan.memo = format!("Failed to {infinitive} password for user {who}").into();
            return Ok(plan.change(self.name.as_str(), "Updated").says(
                format!("Password for user {who} is set to be {did}"),
                format!("Password for user {who} has been {did}"),
            ));
        }
        plan.memo = format!("Failed to create user {who}").into();
        let mut how = String::new();
        if self.allow_passwordless {
            how += " with passwordless login";
        }
        if self.unix_socket {
            how += " using unix_socket";
        }
        Ok(plan
            .change(self.name.as_str(), "Present")
            .says(format!("User {who} is set to be added{how}"), format!("The user {who} has been added{how}")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
