//! What `postgres_cluster.*` share: Debian's tools, and what they list.

use corpus_core::host::Command;
use corpus_core::{PlanCx, StateError, Value};
use corpus_exec::ask;

/// A cluster, as `pg_lsclusters` lists it.
pub struct Cluster {
    pub port: String,
    pub datadir: String,
}

/// Names the fact of a cluster.
pub fn fact(version: &str, name: &str) -> String {
    format!("postgres:cluster:{version}/{name}")
}

/// Finds a cluster; `Some(None)` is one that an earlier step makes as it is declared.
pub fn find(cx: &PlanCx<'_>, version: &str, name: &str) -> Result<Option<Option<Cluster>>, StateError> {
    cx.program("pg_lsclusters", "postgresql-common")?;
    if let Some(known) = cx.host.predicted(&fact(version, name)) {
        return Ok((known != Value::Null).then_some(None));
    }
    let text = ask::output(cx.host, &Command::new(["pg_lsclusters", "--no-header"]))?;
    let found = text.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [v, n, port, _, _, datadir, ..] if v == version && n == name => {
            Some(Cluster { port: port.into(), datadir: datadir.into() })
        }
        _ => None,
    });
    Ok(found.map(Some))
}
