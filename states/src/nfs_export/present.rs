//! `nfs_export.present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a directory shared over NFS.
///
/// ```sls
/// /srv/media:
///   nfs_export.present:
///     - hosts: 10.0.2.0/24
///     - options: [rw, no_subtree_check]
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The directory.
    pub name: String,
    /// Several who may use it, each with `hosts` and `options`.
    #[serde(default)]
    pub clients: Vec<Map>,
    /// Who may use it.
    pub hosts: Option<String>,
    /// How.
    #[serde(default)]
    pub options: Option<Vec<String>>,
    /// The table.
    #[serde(default = "shared::table")]
    pub exports: String,
}

impl State for Present {
    const NAME: &'static str = "nfs_export.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let client = |hosts: Value, options: Value| -> Value {
            let out: [(&str, Value); 2] = [("hosts", hosts), ("options", options)];
            out.into_iter().collect::<Map>().into()
        };
        let listed = |options: Option<&Value>| options.filter(|o| o.as_list().is_some()).cloned();
        let none = || Value::list(vec![]);
        let clients: Vec<Value> = match (&self.hosts, self.clients.as_slice()) {
            (None, []) => return Err(StateError::failed("Either 'clients' or 'hosts' must be defined")),
            (Some(hosts), []) => {
                vec![client(hosts.as_str().into(), self.options.clone().unwrap_or_default().into())]
            }
            (_, clients) => clients
                .iter()
                .map(|one| {
                    let hosts = one.get("hosts").cloned().unwrap_or_default();
                    client(hosts, listed(one.get("options")).unwrap_or_else(none))
                })
                .collect(),
        };
        let (mut file, path) = (shared::read(cx, &self.exports)?, &self.name);
        let old = file.all().get(path).cloned();
        if old.as_ref().and_then(Value::as_list) == Some(&clients[..]) {
            return Ok(Plan::unchanged(format!("Export {path} already configured")));
        }
        let how = if old.is_some() { "changed" } else { "added" };
        let mut plan = Plan::default().change("new", clients.clone()).change("old", old);
        file.set(path, Some(&clients));
        shared::write(&mut plan, &file);
        Ok(plan.says(format!("Export {path} would be {how}"), ""))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
