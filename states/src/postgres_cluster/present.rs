//! `postgres_cluster.present`

use super::shared;
use corpus_core::host::Command;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Keeps a cluster of PostgreSQL there, by Debian's tools.
///
/// ```sls
/// main:
///   postgres_cluster.present:
///     - version: '15'
///     - port: 5433
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// PostgreSQL's version.
    pub version: String,
    /// The cluster.
    pub name: String,
    /// Its port.
    pub port: Option<String>,
    /// The encoding of its databases.
    pub encoding: Option<String>,
    /// Their locale.
    pub locale: Option<String>,
    /// The directory of its data.
    pub datadir: Option<String>,
    /// Let the group read its data.
    #[serde(default)]
    pub allow_group_access: bool,
    /// Keep checksums of pages.
    #[serde(default)]
    pub data_checksums: bool,
    /// The size of the pieces of its log, in MB.
    pub wal_segsize: Option<String>,
}

impl State for Present {
    const NAME: &'static str = "postgres_cluster.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (version, name) = (&self.version, &self.name);
        if let Some(have) = shared::find(cx, version, name)? {
            let differs = have.is_some_and(|have| {
                let other = |want: &Option<String>, have: &str| want.as_ref().is_some_and(|want| want != have);
                other(&self.port, &have.port) || other(&self.datadir, &have.datadir)
            });
            if differs {
                return Err(StateError::failed(format!(
                    "Cluster {version}/{name} has wrong parameters which couldn't be changed on fly."
                )));
            }
            return Ok(Plan::unchanged(format!("Cluster {version}/{name} is already present")));
        }
        let mut command = Command::new(["pg_createcluster"]);
        for (flag, value) in [
            ("--port", &self.port),
            ("--locale", &self.locale),
            ("--encoding", &self.encoding),
            ("--datadir", &self.datadir),
        ] {
            command.argv.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        command.argv.extend([version.clone(), name.clone()]);
        let mut more = vec![];
        if self.allow_group_access {
            more.push("--allow-group-access".to_owned());
        }
        if self.data_checksums {
            more.push("--data-checksums".into());
        }
        more.extend(self.wal_segsize.iter().flat_map(|size| ["--wal-segsize".to_owned(), size.clone()]));
        if !more.is_empty() {
            command.argv.push("--".into());
            command.argv.extend(more);
        }
        let cluster = format!("{version}/{name}");
        let mut plan = Plan::default()
            .says(format!("Cluster {cluster} is set to be created"), format!("The cluster {cluster} has been created"))
            .change(cluster, "Present");
        plan.exec(command, vec![Prediction::Fact(shared::fact(version, name), true.into())]);
        Ok(plan)
    }
}
