//! `rabbitmq_user.present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, digest, python};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Shows a value before and after, as Salt's `changes` do.
fn change(old: impl Into<Value>, new: impl Into<Value>) -> Value {
    [("old", old.into()), ("new", new.into())].into_iter().collect::<Map>().into()
}

/// Keeps an account of RabbitMQ, with its password, tags and permissions.
///
/// ```sls
/// shop:
///   rabbitmq_user.present:
///     - password: s3cret
///     - tags: [monitoring]
///     - perms:
///       - '/': ['.*', '.*', '.*']
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The account's name.
    pub name: String,
    /// Its password, in clear text.
    pub password: Option<String>,
    /// Set the password each time; take it away if none is given.
    #[serde(default)]
    pub force: bool,
    /// Its tags: a list, or words.
    pub tags: Option<Value>,
    /// What it may, by virtual host: to configure, to write, to read.
    #[serde(default)]
    pub perms: Vec<Map>,
    /// The system's user who runs `rabbitmqctl`.
    pub runas: Option<String>,
}

impl State for Present {
    const NAME: &'static str = "rabbitmq_user.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let (name, runas) = (&self.name, self.runas.as_deref());
        let fact = format!("rabbitmq:user:{name}");
        if cx.host.predicted(&fact).is_some_and(|there| there.truthy()) {
            return Ok(Plan::unchanged(format!("'{name}' is already in the desired state.")));
        }
        let users = rabbitmq::users(cx.host, runas).map_err(shared::refused)?;
        let have = users.into_iter().find(|(user, _)| user == name).map(|(_, tags)| tags);
        let there = have.is_some() && cx.host.predicted(&fact).is_none();
        let mut plan = Plan::default();
        let predicts = || vec![Prediction::Fact(fact.clone(), true.into())];
        if there {
            self.password(cx, &mut plan)?;
            if plan.changes.is_empty() && self.tags.is_none() && self.perms.is_empty() {
                return Ok(Plan::unchanged(format!("User '{name}' is already present.")));
            }
        } else {
            // Without a password it gets one that is taken away again before it may do anything.
            let first = self.password.clone().unwrap_or_else(|| digest::hex(&digest::sha256(name.as_bytes())));
            shared::step(&mut plan, rabbitmq::with_password("add_user", name, &first), self.runas.as_ref(), predicts());
            if self.password.is_none() {
                let clear = rabbitmq::ctl(&["clear_password", name]);
                shared::step(&mut plan, clear, self.runas.as_ref(), vec![]);
            }
            plan.changes.insert("user", change("", name.as_str()));
        }
        self.tags(&mut plan, have.unwrap_or_default());
        let have =
            if there { rabbitmq::permissions(cx.host, name, runas).map_err(shared::refused)? } else { Map::new() };
        self.permissions(&mut plan, &have)?;
        plan.unchanged = format!("'{name}' is already in the desired state.");
        let would = if there {
            format!("Configuration for '{name}' will change.")
        } else {
            format!("User '{name}' is set to be created.")
        };
        Ok(plan.says(would, format!("'{name}' was configured.")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}

impl Present {
    fn password(&self, cx: &PlanCx<'_>, plan: &mut Plan) -> Result<(), StateError> {
        let (name, runas) = (&self.name, self.runas.as_deref());
        match &self.password {
            Some(password) => {
                let right = rabbitmq::check_password(cx.host, name, password, runas).map_err(shared::refused)?;
                if !right || self.force {
                    plan.repeats = right;
                    let command = rabbitmq::with_password("change_password", name, password);
                    let predicts = vec![Prediction::Fact(format!("rabbitmq:user:{name}"), true.into())];
                    shared::step(plan, command, self.runas.as_ref(), predicts);
                    plan.changes.insert("password", change("", "Set password."));
                }
            }
            None if self.force => {
                plan.repeats = true;
                shared::step(plan, rabbitmq::ctl(&["clear_password", name]), self.runas.as_ref(), vec![]);
                plan.changes.insert("password", change("Removed password.", ""));
            }
            None => {}
        }
        Ok(())
    }

    fn tags(&self, plan: &mut Plan, mut have: Vec<String>) {
        let wanted: Vec<String> = match &self.tags {
            None => return,
            Some(Value::List(items)) => items.iter().map(python::str).collect(),
            Some(words) => python::str(words).split_whitespace().map(str::to_owned).collect(),
        };
        let sorted = |tags: &[String]| tags.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        if sorted(&wanted) == sorted(&have) {
            return;
        }
        let mut words = vec!["set_user_tags", self.name.as_str()];
        words.extend(wanted.iter().map(String::as_str));
        shared::step(plan, rabbitmq::ctl(&words), self.runas.as_ref(), vec![]);
        // Salt shows no tag as an empty one.
        if have.is_empty() {
            have.push(String::new());
        }
        plan.changes.insert("tags", change(have, wanted));
    }

    fn permissions(&self, plan: &mut Plan, have: &Map) -> Result<(), StateError> {
        let (mut old, mut new) = (Map::new(), Map::new());
        for (vhost, wanted) in self.perms.iter().flat_map(Map::iter) {
            let vhost = python::str(vhost);
            let parts: Vec<String> = wanted.as_list().unwrap_or_default().iter().map(python::str).collect();
            let [configure, write, read] = parts.as_slice() else {
                return Err(StateError::failed(format!(
                    "argument `perms`: {vhost} needs three patterns: to configure, to write, to read"
                )));
            };
            let map: Map = [("configure", configure), ("write", write), ("read", read)].into_iter().collect();
            let kept = have.get(&vhost).and_then(Value::as_map);
            if kept == Some(&map) {
                continue;
            }
            let words = ["set_permissions", "-p", &vhost, &self.name, configure, write, read];
            shared::step(plan, rabbitmq::ctl(&words), self.runas.as_ref(), vec![]);
            old.0.extend(kept.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
            new.insert(vhost, map);
        }
        if !new.is_empty() {
            let mut both = Map::new();
            if !old.is_empty() {
                both.insert("old", old);
            }
            both.insert("new", new);
            plan.changes.insert("perms", both);
        }
        Ok(())
    }
}
