//! `acl.list_present`

use super::shared::Wanted;
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::acl;
use serde::Deserialize;

/// Keeps entries for several users or groups in the access list of a file.
///
/// ```sls
/// /srv/media:
///   acl.list_present:
///     - acl_type: user
///     - acl_names: [joe, ann]
///     - perms: rwx
/// ```
#[derive(Deserialize)]
pub struct ListPresent {
    /// The file.
    pub name: String,
    /// `user` or `group`; with `default:` in front, for what is made in a directory.
    pub acl_type: String,
    /// The users or groups.
    #[serde(default)]
    pub acl_names: Vec<String>,
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

impl State for ListPresent {
    const NAME: &'static str = "acl.list_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (perms, bits) = (&self.perms, acl::bits(&self.perms));
        let (mut missing, mut old) = (vec![], None);
        for name in &self.acl_names {
            let wanted = Wanted { path: &self.name, acl_type: &self.acl_type, acl_name: name, recurse: self.recurse };
            let files = wanted.files(cx)?;
            wanted.check(&files[0])?;
            let foretold = cx.host.predicted(&wanted.fact()) == Some(i64::from(bits).into());
            let have = wanted.of(&files[0]);
            let right = |file: &acl::File| wanted.of(file) == Some(bits);
            if foretold || (have.is_some() && files.iter().filter(|file| wanted.takes(cx, file)).all(right)) {
                continue;
            }
            old = old.or(have);
            missing.push((name, wanted.fact()));
        }
        if missing.is_empty() {
            return Ok(Plan::unchanged(format!("Permissions and {}s are in the desired state", self.acl_type)));
        }
        let mut plan = Plan::default();
        if self.force {
            plan.exec(acl::set(&["-b"], self.recurse, std::slice::from_ref(&self.name)), vec![]);
            missing = self
                .acl_names
                .iter()
                .map(|name| {
                    let meant = Wanted { path: &self.name, acl_type: &self.acl_type, acl_name: name, recurse: false };
                    (name, meant.fact())
                })
                .collect();
        }
        for (name, fact) in missing {
            let entry = format!("{}:{perms}", acl::written(&self.acl_type, name));
            let becomes = vec![Prediction::Fact(fact, i64::from(bits).into())];
            plan.exec(acl::set(&["-m", &entry], self.recurse, std::slice::from_ref(&self.name)), becomes);
        }
        let names = self.acl_names.join(", ");
        let shown = |perms: Value| -> Map {
            let words = [
                ("acl_name", Value::from(names.as_str())),
                ("acl_type", self.acl_type.as_str().into()),
                ("perms", perms),
            ];
            words.into_iter().collect()
        };
        let listed = python::repr(&self.acl_names.clone().into());
        let Some(old) = old else {
            return Ok(plan.change("new", shown(perms.as_str().into())).says(
                format!("New permissions will be applied for {listed}: {perms}"),
                format!("Applied new permissions for {names}"),
            ));
        };
        // Salt shows these two as numbers.
        let plan = plan.change("new", shown(i64::from(bits).into())).change("old", shown(old.to_string().into()));
        Ok(plan.says(
            format!("Updated permissions will be applied for {listed}: {old} -> {perms}"),
            format!("Updated permissions for {listed}"),
        ))
    }
}
