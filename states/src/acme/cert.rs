//! `acme.cert`

use corpus_core::decode::{Mode, OneOrMany};
use corpus_core::plan::{Attrs, Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value, state};
use corpus_exec::ask;
use corpus_exec::file::perms::Want;
use corpus_exec::fns::acme;
use serde::Deserialize;

/// Keeps a certificate of Let's Encrypt or another server of that kind, obtained and renewed by `certbot`.
///
/// ```sls
/// www.example.org:
///   acme.cert:
///     - aliases: [example.org]
///     - email: admin@example.org
///     - webroot: /srv/www
///     - renew: 14
/// ```
#[derive(Deserialize)]
pub struct Cert {
    /// The domain.
    pub name: String,
    /// Further domains.
    #[serde(default)]
    pub aliases: OneOrMany<String>,
    /// Who is told of trouble.
    pub email: Option<String>,
    /// Prove the domain by files in this directory, instead of a server of certbot's own.
    #[serde(default)]
    pub webroot: Value,
    /// Take a certificate for tests.
    #[serde(default)]
    pub test_cert: bool,
    /// Renew so many days before the end; `force` renews in each run.
    #[serde(default)]
    pub renew: Value,
    /// Bits of an RSA key.
    pub keysize: Option<u32>,
    /// Another server than Let's Encrypt's.
    pub server: Option<String>,
    /// Who owns the private key.
    #[serde(default = "root")]
    pub owner: Value,
    /// Its group.
    #[serde(default = "root")]
    pub group: Value,
    /// Its permissions.
    #[serde(default = "mode")]
    pub mode: Mode,
    /// The name that certbot keeps it under, if not the domain.
    pub certname: Option<String>,
    /// How to prove the domain, most wanted first.
    pub preferred_challenges: Option<String>,
    /// Not built: no certbot of today has it.
    pub tls_sni_01_port: Option<Value>,
    /// Not built: no certbot of today has it.
    pub tls_sni_01_address: Option<Value>,
    /// The port of certbot's own server.
    pub http_01_port: Option<u16>,
    /// The address of certbot's own server.
    pub http_01_address: Option<String>,
    /// `cloudflare`: prove the domain by DNS.
    pub dns_plugin: Option<String>,
    /// The file of the plugin's credentials.
    pub dns_plugin_credentials: Option<String>,
    /// Seconds that DNS takes.
    pub dns_plugin_propagate_seconds: Option<u32>,
    /// A program that proves the domain.
    pub manual_auth_hook: Option<String>,
    /// A program that cleans up after it.
    pub manual_cleanup_hook: Option<String>,
}

fn root() -> Value {
    "root".into()
}

fn mode() -> Mode {
    Mode::Bits(0o640)
}

/// Returns what differs between two descriptions, as Salt's `deep_diff` does.
fn difference(old: &Map, new: &Map) -> Map {
    let of = |a: &Map, b: &Map| -> Map {
        a.iter().filter(|(key, value)| b.get_value(key) != Some(value)).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let parts = [("old", of(old, new)), ("new", of(new, old))];
    parts.into_iter().filter(|(_, part)| !part.is_empty()).collect()
}

impl State for Cert {
    const NAME: &'static str = "acme.cert";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.tls_sni_01_port.is_some() || self.tls_sni_01_address.is_some() {
            return Err(StateError::failed("arguments `tls_sni_01_*` are not built: no certbot of today has them"));
        }
        let given = state::arguments(cx.low);
        let name = acme::certname(&given);
        let path = acme::file(&name, "cert");
        cx.program("certbot", "certbot")?;
        let fact = format!("acme:{name}");
        let there = ask::exists(cx.host, &path);
        let renew = cx.host.predicted(&fact).is_none() && acme::needs_renewal(cx.host, &given)?;
        if there && !renew {
            return Ok(Plan::unchanged(format!("Certificate {name} exists and does not need renewal.")));
        }
        let want = Want { user: Some(self.owner.clone()), group: Some(self.group.clone()), mode: self.mode.bits() };
        crate::file::shared::check_owner(cx, &want)?;
        let (action, done) = if renew { ("renew", "renewed") } else { ("obtain", "obtained") };
        let mut plan = Plan::default()
            .says(format!("Certificate {name} would have been {action}ed."), format!("Certificate {name} {done}"))
            .change("old", "current certificate")
            .change("new", "new certificate");
        let command = acme::command(&given, renew).map_err(StateError::failed)?;
        let key = acme::file(&name, "privkey");
        let paths = [&path, &key].map(|path| Prediction::Path(path.into()));
        plan.exec(command, paths.into_iter().chain([Prediction::Fact(fact, true.into())]).collect());
        let attrs = Attrs { ..want.attrs() };
        plan.push(Effect::Attrs { path: key.into(), attrs, follow: true }, vec![]);
        plan.memo = if there { acme::info(cx.host, &name)?.into() } else { Map::new().into() };
        plan.repeats = ["force", "True"].contains(&corpus_core::python::str(&self.renew).as_str());
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let name = acme::certname(&state::arguments(cx.low));
        if let Some(output) = seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
            let comment = format!("Certificate {} renewal failed with:\n{}", self.name, ask::said(output));
            return Ok(Settled { result: false, changes: Map::new(), comment });
        }
        let old = plan.memo.as_map().cloned().unwrap_or_default();
        let changes = difference(&old, &acme::info(cx.host, &name)?);
        Ok(Settled { changes, ..Settled::as_planned(plan) })
    }
}
