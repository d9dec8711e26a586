//! `acme.*`: certificates of Let's Encrypt and its kin, through `certbot`.

use crate::ask;
use crate::x509::show;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Call, ExecDef, ExecError, ExecFn, Map, Value, python};

/// Where certbot keeps what is in force.
const LIVE: &str = "/etc/letsencrypt/live";

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "acme.cert",
        args: "(name, aliases=None, email=None, webroot=None, test_cert=False, renew=None, keysize=None, server=None, certname=None, preferred_challenges=None, http_01_port=None, http_01_address=None, dns_plugin=None, dns_plugin_credentials=None, dns_plugin_propagate_seconds=10, manual_auth_hook=None, manual_cleanup_hook=None)",
        doc: "Obtains or renews a certificate.",
        run: ExecFn::Write(|call, act, _| {
            let mut given = call.kwargs.clone();
            given.insert("name", call.need(0, "name")?);
            let command = command(&given, needs_renewal(act.as_look(), &given)?).map_err(ExecError::Failed)?;
            let output = ask::run(act, command)?;
            let mut out: Map = [("result", Value::from(output.ok()))].into_iter().collect();
            out.insert("comment", if output.ok() { output.stdout_text() } else { ask::said(&output) });
            Ok(out.into())
        }),
    },
    ExecDef {
        name: "acme.certs",
        args: "()",
        doc: "Lists the certificates that certbot keeps.",
        run: ExecFn::Read(|_, look, _| {
            let names = look.list(LIVE.as_ref()).unwrap_or_default().into_iter();
            Ok(names.filter(|name| ask::is_dir(look, format!("{LIVE}/{name}"))).collect::<Vec<_>>().into())
        }),
    },
    ExecDef {
        name: "acme.has",
        args: "(name)",
        doc: "Tells whether certbot keeps a certificate.",
        run: ExecFn::Read(|call, look, _| Ok(ask::exists(look, file(&call.need(0, "name")?, "cert")).into())),
    },
    ExecDef {
        name: "acme.info",
        args: "(name)",
        doc: "Describes a certificate.",
        run: ExecFn::Read(|call, look, _| Ok(info(look, &call.need(0, "name")?)?.into())),
    },
    ExecDef {
        name: "acme.expires",
        args: "(name)",
        doc: "Returns when a certificate ends.",
        run: ExecFn::Read(|call, look, _| {
            Ok(info(look, &call.need(0, "name")?)?.get("not_after").cloned().unwrap_or_default())
        }),
    },
    ExecDef {
        name: "acme.needs_renewal",
        args: "(name, window=None)",
        doc: "Tells whether a certificate ends within so many days.",
        run: ExecFn::Read(|call: &Call, look, _| {
            let mut given: Map = [("name", call.need(0, "name")?)].into_iter().collect();
            given.insert("renew", call.arg(1, "window").cloned().unwrap_or_default());
            Ok(needs_renewal(look, &given)?.into())
        }),
    },
];

/// Returns the path of one of a certificate's files: `cert`, `privkey`….
pub fn file(name: &str, kind: &str) -> String {
    format!("{LIVE}/{name}/{kind}.pem")
}

/// Describes a certificate; nothing if there is none.
pub fn info(look: &dyn Look, name: &str) -> HostResult<Map> {
    let path = file(name, "cert");
    if ask::exists(look, &path) { show::certificate(look, &path) } else { Ok(Map::new()) }
}

/// Returns the name that certbot keeps a certificate under.
pub fn certname(given: &Map) -> String {
    ["certname", "name"]
        .iter()
        .find_map(|key| given.get(key).filter(|v| v.truthy()))
        .map(python::str)
        .unwrap_or_default()
}

/// Tells whether a certificate that is there is to be renewed.
pub fn needs_renewal(look: &dyn Look, given: &Map) -> Result<bool, ExecError> {
    let path = file(&certname(given), "cert");
    if !ask::exists(look, &path) {
        return Ok(false);
    }
    let window = given.get("renew").filter(|window| window.truthy()).map(python::str).unwrap_or_else(|| "0".into());
    if ["force", "true"].contains(&window.to_lowercase().as_str()) {
        return Ok(true);
    }
    let days: i64 = window.parse().map_err(|_| {
        ExecError::failed(
            "The argument \"window\", if provided, must be one of the following : True (boolean), \"force\" or \
             \"Force\" (str) or a numerical value in days.",
        )
    })?;
    let seconds = (days * 86_400).to_string();
    let ends = Command::new(["openssl", "x509", "-in", &path, "-noout", "-checkend", &seconds]);
    Ok(!look.query(&ends)?.ok())
}

/// Makes the command that obtains a certificate, or renews it.
pub fn command(given: &Map, renew: bool) -> Result<Command, String> {
    let text = |key: &str| given.get(key).filter(|value| value.truthy()).map(python::str);
    let mut command = Command::new(["certbot", "certonly", "--non-interactive", "--agree-tos", "--expand"]);
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            command.argv.extend([flag.to_owned(), value]);
        }
    };
    add("--server", text("server"));
    add("--cert-name", Some(certname(given)));
    match (given.get("webroot").filter(|webroot| webroot.truthy()), text("dns_plugin"), text("manual_auth_hook")) {
        (Some(webroot), ..) => {
            add("--authenticator", Some("webroot".into()));
            add("--webroot-path", Some(python::str(webroot)).filter(|_| webroot != &Value::Bool(true)));
        }
        (None, Some(plugin), _) if plugin == "cloudflare" => {
            let seconds = text("dns_plugin_propagate_seconds").unwrap_or_else(|| "10".into());
            add("--authenticator", Some("dns-cloudflare".into()));
            add("--dns-cloudflare-credentials", text("dns_plugin_credentials"));
            add("--dns-cloudflare-propagation-seconds", Some(seconds));
        }
        (None, Some(plugin), _) => return Err(format!("DNS plugin '{plugin}' is not supported")),
        (None, None, Some(hook)) => {
            add("--authenticator", Some("manual".into()));
            add("--manual-auth-hook", Some(hook));
            add("--manual-cleanup-hook", text("manual_cleanup_hook"));
        }
        (None, None, None) => add("--authenticator", Some("standalone".into())),
    }
    add("--email", text("email"));
    if let Some(size) = text("keysize") {
        add("--key-type", Some("rsa".into()));
        add("--rsa-key-size", Some(size));
    }
    add("--domains", text("name"));
    for alias in super::rsync::texts(given.get("aliases")) {
        add("--domains", Some(alias));
    }
    for (flag, key) in [
        ("--preferred-challenges", "preferred_challenges"),
        ("--http-01-port", "http_01_port"),
        ("--http-01-address", "http_01_address"),
    ] {
        add(flag, text(key));
    }
    if text("email").is_none() {
        command.argv.push("--register-unsafely-without-email".into());
    }
    if renew {
        command.argv.push("--force-renewal".into());
    }
    if given.get("test_cert").is_some_and(Value::truthy) {
        if text("server").is_some() {
            return Err("Use either server or test_cert, not both".into());
        }
        command.argv.push("--test-cert".into());
    }
    Ok(command)
}
