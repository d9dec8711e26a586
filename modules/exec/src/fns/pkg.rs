//! `pkg.*`: what a machine's package manager knows and does.

use crate::ask;
use crate::pkg::{self, Options, Wanted};
use corpus_core::host::{Act, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};
use std::cmp::Ordering;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("pkg.version", "(*names)", "Returns the installed version of packages; empty for one that is not.", version),
    read("pkg.list_pkgs", "(removed=False)", "Returns all installed packages with their versions.", list_pkgs),
    read(
        "pkg.latest_version",
        "(*names)",
        "Returns the version that an upgrade would bring; empty if there is none.",
        latest,
    ),
    read("pkg.list_upgrades", "()", "Returns what an upgrade of everything would bring.", |_, look, _| {
        let all = pkg::provider(look)?.upgrades(look)?;
        Ok(Value::map(all.into_iter().collect()))
    }),
    read("pkg.upgrade_available", "(name)", "Tells whether there is a newer version.", |call, look, data| {
        Ok(latest(call, look, data)?.truthy().into())
    }),
    read("pkg.version_cmp", "(pkg1, pkg2)", "Compares two versions: -1, 0 or 1.", |call, look, _| {
        let (a, b) = (call.need(0, "pkg1")?, call.need(1, "pkg2")?);
        Ok(match pkg::provider(look)?.compare(look, &a, &b) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
        .into())
    }),
    read("pkg.owner", "(*paths)", "Returns the package that a file belongs to.", |call, look, _| {
        let packages = pkg::provider(look)?;
        let mut found = Map::new();
        for path in names(call) {
            let text = look.query(&packages.owner(&path))?.stdout_text();
            let line = text.lines().next().unwrap_or_default();
            found.insert(path, line.split(": ").next().unwrap_or(line).trim());
        }
        Ok(if found.len() == 1 { found.values().next().cloned().unwrap_or_default() } else { found.into() })
    }),
    read("pkg.get_selections", "()", "Returns the packages that are held.", |_, look, _| {
        let held = pkg::provider(look)?.installed(look)?.held.clone();
        Ok(Value::map([("hold", held)].into_iter().collect()))
    }),
    write(
        "pkg.install",
        "(name=None, pkgs=None, version=None, refresh=False, fromrepo=None, reinstall=False)",
        "Installs packages and returns what changed.",
        install,
    ),
    write("pkg.remove", "(name=None, pkgs=None)", "Removes packages and returns what changed.", |call, act, _| {
        remove(call, act, false)
    }),
    write(
        "pkg.purge",
        "(name=None, pkgs=None)",
        "Removes packages with their configuration and returns what changed.",
        |call, act, _| remove(call, act, true),
    ),
    write("pkg.refresh_db", "()", "Fetches the lists of packages.", |_, act, _| {
        Ok(ask::run(act, pkg::provider(act.as_look())?.refresh())?.ok().into())
    }),
    write(
        "pkg.upgrade",
        "(refresh=True, dist_upgrade=False)",
        "Upgrades everything and returns what changed.",
        |call, act, _| {
            let look = act.as_look();
            let packages = pkg::provider(look)?;
            changing(act, || {
                if call.flag(0, "refresh", true) {
                    ask::must(act, packages.refresh())?;
                }
                for command in packages.upgrade(&Options::default(), call.flag(1, "dist_upgrade", false)) {
                    ask::must(act, command)?;
                }
                Ok(())
            })
        },
    ),
    write("pkg.hold", "(name=None, pkgs=None)", "Keeps packages from being upgraded.", |call, act, _| {
        hold(call, act, true)
    }),
    write("pkg.unhold", "(name=None, pkgs=None)", "Lets packages be upgraded again.", |call, act, _| {
        hold(call, act, false)
    }),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

fn names(call: &Call) -> Vec<String> {
    call.args.iter().map(python::str).collect()
}

/// Salt: one name gives its answer alone, several a mapping.
fn by_name(names: &[String], answer: impl Fn(&str) -> String) -> Value {
    match names {
        [one] => answer(one).into(),
        many => Value::map(many.iter().map(|name| (name.as_str(), answer(name))).collect()),
    }
}

fn version(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let installed = pkg::provider(look)?.installed(look)?;
    Ok(by_name(&names(call), |name| installed.version(name).unwrap_or_default()))
}

fn list_pkgs(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let installed = pkg::provider(look)?.installed(look)?;
    Ok(if call.flag(1, "removed", false) {
        Value::map(installed.residual.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect())
    } else {
        installed.to_value()
    })
}

fn latest(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let packages = pkg::provider(look)?;
    let names = names(call);
    let installed = packages.installed(look)?;
    let offered = packages.candidates(look, &names, &Options::default())?;
    Ok(by_name(&names, |name| match (offered.get(name), installed.version(name)) {
        (Some(new), Some(old)) if packages.compare(look, new, &old) != Ordering::Greater => String::new(),
        (Some(new), _) => new.clone(),
        (None, _) => String::new(),
    }))
}

fn targets(call: &Call) -> Result<Vec<Wanted>, ExecError> {
    match call.arg(99, "pkgs") {
        Some(Value::List(items)) => pkg::parse_pkgs(items).map_err(|why| call.invalid("pkgs", why)),
        _ => {
            let version = call.text(99, "version");
            let name = call.need(0, "name")?;
            Ok(name.split(',').map(|name| Wanted::new(name.trim(), version.clone())).collect())
        }
    }
}

/// Runs and returns what it changed.
fn changing(act: &dyn Act, run: impl FnOnce() -> Result<(), ExecError>) -> Result<Value, ExecError> {
    let packages = pkg::provider(act.as_look())?;
    let before = packages.installed(act.as_look())?.to_value();
    run()?;
    Ok(pkg::difference(&before, &*packages.installed(act.as_look())?).into())
}

fn install(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let packages = pkg::provider(act.as_look())?;
    let options = Options {
        fromrepo: call.text(99, "fromrepo"),
        skip_verify: call.flag(99, "skip_verify", false),
        reinstall: call.flag(99, "reinstall", false),
        only_upgrade: call.flag(99, "only_upgrade", false),
        recommends: call.arg(99, "install_recommends").map(Value::truthy),
        ..Options::default()
    };
    let wanted: Vec<_> =
        targets(call)?.into_iter().map(|want| (want.name.clone(), want.exact().map(str::to_owned))).collect();
    changing(act, || {
        if call.flag(99, "refresh", false) {
            ask::must(act, packages.refresh())?;
        }
        for command in packages.install(&wanted, &options) {
            ask::must(act, command)?;
        }
        Ok(())
    })
}

fn remove(call: &Call, act: &dyn Act, purge: bool) -> Result<Value, ExecError> {
    let packages = pkg::provider(act.as_look())?;
    let names: Vec<_> = targets(call)?.into_iter().map(|want| want.name).collect();
    let installed = packages.installed(act.as_look())?;
    let there: Vec<String> = names
        .into_iter()
        .filter(|name| installed.versions.contains_key(name) || (purge && installed.residual.contains_key(name)))
        .collect();
    changing(act, || {
        if !there.is_empty() {
            for command in packages.remove(&there, purge) {
                ask::must(act, command)?;
            }
        }
        Ok(())
    })
}

fn hold(call: &Call, act: &dyn Act, held: bool) -> Result<Value, ExecError> {
    let names: Vec<_> = targets(call)?.into_iter().map(|want| want.name).collect();
    for command in pkg::provider(act.as_look())?.hold(&names, held)? {
        ask::must(act, command)?;
    }
    let word = if held { "held" } else { "unheld" };
    Ok(Value::map(
        names
            .iter()
            .map(|name| {
                let entry: Map = [
                    ("name", Value::from(name)),
                    ("result", true.into()),
                    ("comment", format!("Package {name} is now being {word}.").into()),
                ]
                .into_iter()
                .collect();
                (name.as_str(), Value::map(entry))
            })
            .collect(),
    ))
}
