//! What all of `postgres_*` share: the server that is meant, steps of SQL, and roles.

use corpus_core::host::HostError;
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, StateError, Value};
use corpus_exec::fns::postgres::words;
use corpus_exec::postgres::password::{self, Method};
use corpus_exec::postgres::role::{FLAGS, Wanted};
use corpus_exec::postgres::{Refused, Server, flag, foretold, ident};

/// Takes the arguments about the connection out of a declaration.
macro_rules! server {
    ($state:expr, $cx:expr) => {
        corpus_exec::postgres::Server::of(
            $cx.host,
            $cx.data,
            corpus_exec::postgres::Given {
                runas: $state.user.clone(),
                maintenance_db: $state.maintenance_db.clone(),
                user: $state.db_user.clone(),
                password: $state.db_password.clone(),
                host: $state.db_host.clone(),
                port: $state.db_port.clone(),
            },
        )
    };
}
pub(crate) use server;

/// Makes the server of a declaration that has its database in an argument of its own.
pub fn with_database(mut server: Server, name: Option<&str>) -> Server {
    if let Some(name) = name {
        server.database = name.to_owned();
    }
    server
}

/// Turns a refusal into the state's error.
pub fn refused(why: Refused) -> StateError {
    match why {
        Refused::Missing(text) | Refused::NoDatabase(text) => StateError::missing(text),
        Refused::Host(error) => error.into(),
    }
}

/// Returns the prediction of a thing: what it will be, or that it will be gone.
pub fn becomes(fact: String, what: Option<Map>) -> Prediction {
    Prediction::Fact(fact, what.map_or(Value::Bool(false), Value::from))
}

/// Adds the step that runs SQL.
pub fn run(plan: &mut Plan, server: &Server, sql: &str, predicts: Vec<Prediction>) {
    plan.push(Effect::Exec(server.command(sql)), predicts);
}

/// Describes one thing out of a list, as an earlier step leaves it.
pub fn look(
    cx: &PlanCx<'_>,
    fact: &str,
    name: &str,
    list: impl FnOnce() -> Result<Map, Refused>,
) -> Result<Option<Map>, StateError> {
    if let Some(known) = foretold(cx.host, fact) {
        return Ok(known);
    }
    let all = list().map_err(refused)?;
    Ok(all.get(name).map(|row| row.as_map().cloned().unwrap_or_default()))
}

/// Takes a database that is not there for one with nothing in it: for those who want something gone.
pub fn or_nothing<T: Default>(asked: Result<T, Refused>) -> Result<T, Refused> {
    match asked {
        Err(Refused::NoDatabase(_)) => Ok(T::default()),
        asked => asked,
    }
}

/// A role as it is declared.
pub struct Role<'a> {
    pub name: &'a str,
    /// `User` or `Group`.
    pub what: &'static str,
    /// In the order of [`FLAGS`].
    pub flags: [Option<bool>; 6],
    pub encrypted: Option<&'a str>,
    pub password: Option<&'a str>,
    pub default_password: Option<&'a str>,
    pub refresh_password: bool,
    pub valid_until: Option<&'a str>,
    pub groups: Option<&'a Value>,
}

impl Role<'_> {
    /// Compares the role with the server's.
    pub fn plan(&self, cx: &PlanCx<'_>, server: &Server) -> Result<Plan, StateError> {
        let method = Method::of(self.encrypted).ok_or_else(|| {
            StateError::failed(format!("Unknown password algorithm: {}", self.encrypted.unwrap_or_default()))
        })?;
        let fact = server.fact(false, "role", self.name);
        let with_password = self.password.is_some() && !self.refresh_password;
        let have = look(cx, &fact, self.name, || server.roles(cx.host, with_password))?;
        let creates = have.is_none();
        let mut to = Wanted { groups: words(self.groups), ..Wanted::default() };
        let mut secret = self.password;
        let mut update = Map::new();
        let mut after = have.clone().unwrap_or_default();
        for (n, (argument, key, _)) in FLAGS.iter().enumerate() {
            // Salt: a new user logs in and a new group does not; both inherit.
            let usual = match *argument {
                "inherit" if creates => Some(true),
                "login" if creates => Some(self.what == "User"),
                _ => None,
            };
            let want = self.flags[n].or(usual);
            if let Some(want) = want.filter(|want| have.as_ref().is_none_or(|row| flag(row, key) != Some(*want))) {
                to.flags[n] = Some(want);
                update.insert(*argument, want);
                after.insert(*key, want);
            }
        }
        if let Some(have) = &have {
            if let Some(password) = secret.filter(|_| !self.refresh_password) {
                let kept = match have.get("password") {
                    // What an earlier step of this run sets.
                    Some(Value::Bool(yes)) => *yes,
                    Some(Value::Str(kept)) => password::matches(self.name, password, kept, method),
                    _ => false,
                };
                secret = secret.filter(|_| !kept);
            }
            to.groups.retain(|group| {
                let listed = have.get("groups").and_then(Value::as_list).unwrap_or_default();
                !listed.iter().any(|value| value.as_str() == Some(group))
            });
            if !to.groups.is_empty() {
                update.insert("groups", to.groups.clone());
            }
        } else {
            secret = secret.or(self.default_password);
        }
        if let Some(password) = secret {
            let kept = password::encode(self.name, password, method)
                .map_err(|error| HostError::io("draw random bytes", &error))?;
            to.password = Some(kept);
            update.insert("password", true);
            after.insert("password", true);
        }
        if let Some(until) = self.valid_until {
            let have = have.as_ref().and_then(|row| row.get("expiry time"));
            let same = match have {
                Some(Value::Str(text)) if &**text == until => true,
                Some(Value::Str(_)) => have == Some(&server.time(cx.host, until).map_err(refused)?),
                _ => false,
            };
            if !same {
                to.valid_until = Some(until.to_owned());
                update.insert("valid_until", until);
                after.insert("expiry time", until);
            }
        }
        let lower = self.what.to_lowercase();
        let mut plan = Plan::unchanged(format!("{} {} is already present", self.what, self.name));
        if !creates && update.is_empty() {
            return Ok(plan);
        }
        // Asked for each time: Salt's way where the kept password cannot be read.
        plan.repeats = self.refresh_password && secret.is_some();
        let groups: Vec<Value> = [have.as_ref().and_then(|row| row.get("groups")).and_then(Value::as_list)]
            .into_iter()
            .flatten()
            .flatten()
            .cloned()
            .chain(to.groups.iter().map(|group| Value::from(group.as_str())))
            .collect();
        after.insert("groups", Value::list(groups));
        // What a prediction shows is no place for what the server keeps of a password.
        if after.get("password").is_some_and(|kept| kept.as_str().is_some()) {
            let same = self.password.is_some() && secret.is_none();
            after.insert("password", same);
        }
        let (verb, mode) = if creates { ("CREATE", "created") } else { ("ALTER", "updated") };
        let mut command = server.command(&to.sql(verb, self.name));
        command.secret |= to.password.is_some();
        plan.push(Effect::Exec(command), vec![becomes(fact, Some(after))]);
        let change = if creates { Value::from("Present") } else { Value::from(update) };
        Ok(plan.change(self.name, change).says(
            format!("{} {} is set to be {mode}", self.what, self.name),
            format!("The {lower} {} has been {mode}", self.name),
        ))
    }
}

/// Plans that a role is not there.
pub fn no_role(cx: &PlanCx<'_>, server: &Server, what: &str, name: &str) -> Result<Plan, StateError> {
    let fact = server.fact(false, "role", name);
    let have = look(cx, &fact, name, || server.roles(cx.host, false))?;
    Ok(gone(server, what, name, have.is_some(), &format!("DROP ROLE {}", ident(name)), fact))
}

/// Plans that something is not there, in Salt's words.
pub fn gone(server: &Server, what: &str, name: &str, there: bool, sql: &str, fact: String) -> Plan {
    let mut plan = Plan::unchanged(format!("{what} {name} is not present, so it cannot be removed"));
    if there {
        run(&mut plan, server, sql, vec![becomes(fact, None)]);
        plan = plan
            .change(name, "Absent")
            .says(format!("{what} {name} is set to be removed"), format!("{what} {name} has been removed"));
    }
    plan
}
