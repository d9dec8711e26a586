//! `acl.present`

use super::shared::Wanted;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::acl;
use serde::Deserialize;

/// Keeps an entry in the access list of a file.
///
/// ```sls
/// /srv/media:
///   acl.present:
///     - acl_type: user
///     - acl_name: joe
///     - perms: rwx
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The file.
    pub name: String,
    /// `user`, `group`, `mask` or `other`; with `default:` in front, for what is made in a directory.
    pub acl_type: String,
    /// The user or group; the owner's if none is given.
    #[serde(default)]
    pub acl_name: String,
    /// Letters: `rwx`.
    #[serde(default)]
    pub perms: String,
    /// All that is in the directory, too.
    #[serde(default)]
    pub recurse: bool,
    /// Take all other entries off first.
    #[serde(default)]
    pub force: bool,
}

impl State for Present {
    const NAME: &'static str = "acl.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, perms) = (&self.acl_name, &self.perms);
        let wanted = Wanted { path: &self.name, acl_type: &self.acl_type, acl_name: name, recurse: self.recurse };
        let same = Plan::unchanged("Permissions are in the desired state");
        let (files, bits) = (wanted.files(cx)?, acl::bits(perms));
        wanted.check(&files[0])?;
        if cx.host.predicted(&wanted.fact()) == Some(i64::from(bits).into()) {
            return Ok(same);
        }
        let have = wanted.of(&files[0]);
        let right = |file: &acl::File| wanted.of(file) == Some(bits);
        if have.is_some() && files.iter().filter(|file| wanted.takes(cx, file)).all(right) {
            return Ok(same);
        }
        let mut plan = Plan::default();
        if self.force {
            plan.exec(acl::set(&["-b"], self.recurse, std::slice::from_ref(&self.name)), vec![]);
        }
        let entry = format!("{}:{perms}", acl::written(&self.acl_type, name));
        let becomes = vec![Prediction::Fact(wanted.fact(), i64::from(bits).into())];
        plan.exec(acl::set(&["-m", &entry], self.recurse, std::slice::from_ref(&self.name)), becomes);
        let shown = |perms: &str| -> Value {
            let words = [("acl_name", name.as_str()), ("acl_type", &self.acl_type), ("perms", perms)];
            words.into_iter().collect::<Map>().into()
        };
        plan.changes.insert("new", shown(perms));
        let Some(have) = have else {
            return Ok(plan.says(
                format!("New permissions will be applied for {name}: {perms}"),
                format!("Applied new permissions for {name}"),
            ));
        };
        // Salt takes the bit of reading for that of executing here, and the other way round.
        let old: String =
            [(1, 'r'), (2, 'w'), (4, 'x')].iter().map(|(bit, c)| if have & bit == 0 { '-' } else { *c }).collect();
        plan.changes.insert("old", shown(&old));
        Ok(plan.says(
            format!("Updated permissions will be applied for {name}: {old} -> {perms}"),
            format!("Updated permissions for {name}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        match seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
            None => Ok(Settled::as_planned(plan)),
            Some(output) => {
                let why = corpus_exec::ask::said(output);
                let comment = format!("Error updating permissions for {}: {why}", self.acl_name);
                Ok(Settled { result: false, changes: Map::new(), comment })
            }
        }
    }
}
