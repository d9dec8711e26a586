//! Making, changing and unmaking a container.

use super::config::Config;
use super::inside::Inside;
use super::spec::{self, Spec};
use super::{Files, Guest, Verb, apply, base, describe, disk, moving};
use crate::ask;
use corpus_core::{Act, Attrs, Command, Data, Effect, ExecError, Look, Map, Value, digest, python};
use std::path::Path;

/// Stands in the directory of a container that is being made: what a killed creation left can be told by it.
const MARK: &str = ".corpus-creating";

/// Makes a container. What goes wrong leaves nothing behind.
pub fn create(guest: &Guest, act: &dyn Act, spec: &Spec, data: &Data) -> Result<Map, ExecError> {
    let look = act.as_look();
    super::need(look)?;
    spec.wanted().map_err(ExecError::Failed)?;
    if guest.exists(look)? {
        return Err(ExecError::failed(format!("Container '{}' already exists", guest.name)));
    }
    let origin = origin(spec)?;
    if !matches!(origin, Origin::Received) {
        clear(guest, act)?;
    }
    let made = build(guest, act, spec, origin).and_then(|config| settle(guest, act, spec, config, data));
    if let Err(error) = made {
        // The reason is worth more than what goes wrong while it is cleaned up after.
        let _ = unmake(guest, act);
        return Err(error);
    }
    let state: Map = [("old", Value::Null), ("new", guest.state(look)?.into())].into_iter().collect();
    Ok([("result", Value::Bool(true)), ("state", state.into())].into_iter().collect())
}

/// Removes what an unfinished creation left; what is there otherwise is nobody's to remove.
pub(super) fn clear(guest: &Guest, act: &dyn Act) -> Result<(), ExecError> {
    let (look, dir) = (act.as_look(), guest.dir());
    if look.lstat(&dir)?.is_none() {
        return Ok(());
    }
    if !is_begun(guest, look)? && !look.list(&dir)?.is_empty() {
        return Err(ExecError::failed(format!("{} is there, but is no container; move it away first", dir.display())));
    }
    disk::remove_tree(act, &dir)
}

/// Tells whether a creation was begun and not finished.
pub fn is_begun(guest: &Guest, look: &dyn Look) -> Result<bool, ExecError> {
    Ok(look.lstat(&guest.dir().join(MARK))?.is_some())
}

/// Gives a new container what is declared, and by its configuration, written last, makes it one.
fn settle(guest: &Guest, act: &dyn Act, spec: &Spec, mut config: Config, data: &Data) -> Result<(), ExecError> {
    let look = act.as_look();
    apply::network(&mut config, guest, spec, data)?;
    let wanted = spec.wanted().map_err(ExecError::Failed)?;
    for (key, value) in &wanted {
        apply::setting(&mut config, act, python::str(key).as_str(), value)?;
    }
    let inside =
        Inside { guest, files: Files::at_rest(config.get("lxc.rootfs.path").unwrap_or_default()), running: false };
    // What only changed its node is still who it was.
    if !spec.received {
        inside.identity(act)?;
    }
    if !wanted.contains("nameservers") {
        inside.put_key(act, "nameservers", &describe::node_servers(look).into())?;
    }
    for (key, value) in &wanted {
        inside.put_key(act, &python::str(key), value)?;
    }
    act.perform(&Effect::text(guest.config_file(), config.text()))?;
    let mark = guest.dir().join(MARK);
    if look.lstat(&mark)?.is_some() {
        act.perform(&Effect::Remove { path: mark })?;
    }
    if let Some(size) = wanted.get("disk") {
        disk::resize(guest, act, size.as_int().and_then(|size| u64::try_from(size).ok()))?;
    }
    Ok(())
}

/// Changes a container that is there; tells what, and whether it must start again to be all that.
pub fn reconfigure(guest: &Guest, act: &dyn Act, spec: &Spec) -> Result<Map, ExecError> {
    let look = act.as_look();
    super::need(look)?;
    let changes = describe::differences(guest, look, spec)?;
    let running = guest.state(look)?.as_deref() != Some("stopped");
    let mut config = guest.config(look)?;
    let before = config.clone();
    let inside = Inside { guest, files: guest.files(look)?, running };
    let new = |key: &str| changes.get(key).and_then(|change| change.get("new")).cloned().unwrap_or_default();
    for key in spec::KEYS.iter().filter(|key| changes.contains(key)) {
        apply::setting(&mut config, act, key, &new(key))?;
    }
    for key in spec::KEYS.iter().filter(|key| changes.contains(key)) {
        inside.put_key(act, key, &new(key))?;
        if running {
            apply::live(guest, act, key, &new(key))?;
        }
    }
    if config != before {
        act.perform(&Effect::text(guest.config_file(), config.text()))?;
    }
    if changes.contains("disk") {
        disk::resize(guest, act, new("disk").as_int().and_then(|size| u64::try_from(size).ok()))?;
    }
    let restart = running && spec::AT_START.iter().any(|key| changes.contains(key));
    Ok([("changes", Value::from(changes)), ("restart", restart.into())].into_iter().collect())
}

/// Destroys a container, its snapshots included. Bases and other containers that it stands on stay.
pub fn destroy(guest: &Guest, act: &dyn Act, stop: bool) -> Result<Map, ExecError> {
    let look = act.as_look();
    if is_begun(guest, look)? && !guest.exists(look)? {
        clear(guest, act)?;
        return Ok(gone(Value::Null));
    }
    let old = guest.state(look)?.ok_or_else(|| guest.missing())?;
    if old != "stopped" {
        if !stop {
            return Err(ExecError::failed(format!("Container '{}' is not stopped", guest.name)));
        }
        guest.change(act, &Verb::Stop { kill: true })?;
    }
    let counts = disk::counts(look, &guest.dir())?;
    let output = ask::run(act, guest.command_of("lxc-destroy", ["-s"]))?;
    if guest.exists(look)? {
        // LXC cannot take everything apart that it ran: what is ours to take apart is.
        let kind = disk::backing(look, &guest.config(look)?)?;
        let cloned = ask::text(look, guest.dir().join("lxc_rdepends"))?.is_some_and(|text| !text.trim().is_empty());
        if kind == "other" || cloned {
            let why = if cloned { "other containers are clones of it".into() } else { ask::said(&output) };
            return Err(ExecError::failed(format!("Container '{}' cannot be destroyed: {why}", guest.name)));
        }
    }
    unmake(guest, act)?;
    disk::forget(act, &counts, &guest.root)?;
    Ok(gone(old.into()))
}

fn gone(old: Value) -> Map {
    let state: Map = [("old", old), ("new", Value::Null)].into_iter().collect();
    [("result", Value::Bool(true)), ("state", state.into())].into_iter().collect()
}

/// Removes what is left of a container.
fn unmake(guest: &Guest, act: &dyn Act) -> Result<(), ExecError> {
    disk::remove_tree(act, &guest.dir())
}

/// What a new container starts as.
enum Origin<'a> {
    Base(&'a Value),
    Clone(&'a str),
    Image(&'a str),
    Template(&'a str),
    Received,
}

fn origin(spec: &Spec) -> Result<Origin<'_>, ExecError> {
    let given = [
        spec.base.as_ref().filter(|base| base.truthy()).map(Origin::Base),
        spec.clone_from.as_deref().map(Origin::Clone),
        spec.image.as_deref().map(Origin::Image),
        spec.template.as_deref().map(Origin::Template),
        spec.received.then_some(Origin::Received),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(ExecError::failed("one of `base`, `clone_from`, `image` and `template` is required")),
        (Some(_), Some(_)) => {
            Err(ExecError::failed("only one of `base`, `clone_from`, `image` and `template` is permitted"))
        }
    }
}

/// Brings the files of a new container, and returns the configuration that it is to have.
fn build(guest: &Guest, act: &dyn Act, spec: &Spec, origin: Origin<'_>) -> Result<Config, ExecError> {
    make_dirs(act, &guest.root)?;
    match origin {
        Origin::Base(wanted) => {
            let base = base::obtain(act, wanted, &guest.root, spec.bases.as_deref())?;
            from_base(guest, act, spec, &base)
        }
        Origin::Image(tar) => from_image(guest, act, tar),
        Origin::Clone(from) => from_clone(guest, act, spec, from),
        Origin::Received => moving::received(guest, act),
        Origin::Template(template) => from_template(guest, act, spec, template),
    }
}

/// Makes a directory with the parents that it lacks.
pub(super) fn make_dirs(act: &dyn Act, path: &Path) -> Result<(), ExecError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|at| matches!(act.stat(at), Ok(None))).collect();
    for at in missing.into_iter().rev() {
        act.perform(&Effect::Mkdir { path: at.to_path_buf(), attrs: Attrs { mode: Some(0o755), ..Attrs::default() } })?;
    }
    Ok(())
}

/// Opens the directory of a new container.
pub(super) fn open(guest: &Guest, act: &dyn Act) -> Result<(), ExecError> {
    let dir = guest.dir();
    // Others look through it: a guest with ids of its own must reach its files.
    act.perform(&Effect::Mkdir { path: dir.clone(), attrs: Attrs { mode: Some(0o711), ..Attrs::default() } })?;
    act.perform(&Effect::text(dir.join(MARK), ""))?;
    Ok(())
}

fn from_base(guest: &Guest, act: &dyn Act, spec: &Spec, base: &base::Base) -> Result<Config, ExecError> {
    open(guest, act)?;
    let dir = guest.dir();
    let rootfs = dir.join("rootfs");
    let btrfs = disk::is_subvolume(act.as_look(), &base.rootfs)? && disk::on_btrfs(act.as_look(), &dir)?;
    let usual = if btrfs { "btrfs" } else { "overlayfs" };
    let path = match spec.backing.as_deref().unwrap_or(usual) {
        "overlayfs" | "overlay" => {
            for part in ["rootfs", "overlay", "overlay/delta", "overlay/work"] {
                let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
                act.perform(&Effect::Mkdir { path: dir.join(part), attrs })?;
            }
            let delta = dir.join("overlay/delta");
            format!("overlay:{}:{}", base.rootfs.display(), delta.display())
        }
        "btrfs" if btrfs => {
            disk::clone_subvolume(act, &base.rootfs, &rootfs)?;
            format!("btrfs:{}", rootfs.display())
        }
        "btrfs" => {
            return Err(ExecError::failed(format!(
                "backing btrfs: {} and the base {} must lie on one btrfs file system",
                dir.display(),
                base.rootfs.display()
            )));
        }
        "dir" | "best" => {
            let words = ["cp", "-a", "--reflink=auto", "--"].map(str::to_owned).into_iter();
            let paths = [base.rootfs.display().to_string(), rootfs.display().to_string()];
            ask::must(act, Command::new(words.chain(paths)))?;
            format!("dir:{}", rootfs.display())
        }
        other => {
            return Err(ExecError::failed(format!(
                "backing {other}: a base can be overlayfs, btrfs or dir; `clone_from` and `template` know LXC's others"
            )));
        }
    };
    let mut config = fresh(guest, act.as_look(), &path);
    config.set_note("base", &base.hash);
    Ok(config)
}

fn from_image(guest: &Guest, act: &dyn Act, tar: &str) -> Result<Config, ExecError> {
    open(guest, act)?;
    let rootfs = guest.dir().join("rootfs");
    act.perform(&Effect::Mkdir { path: rootfs.clone(), attrs: Attrs { mode: Some(0o755), ..Attrs::default() } })?;
    let at = rootfs.display().to_string();
    ask::must(act, Command::new(["tar", "--numeric-owner", "-xpf", tar, "-C", &at]))?;
    Ok(fresh(guest, act.as_look(), &format!("dir:{at}")))
}

fn from_clone(guest: &Guest, act: &dyn Act, spec: &Spec, from: &str) -> Result<Config, ExecError> {
    let orig = Guest::new(guest.root.clone(), from)?;
    match orig.state(act.as_look())?.as_deref() {
        None => return Err(ExecError::failed(format!("Container '{from}' does not exist"))),
        Some("stopped") => {}
        Some(_) => return Err(ExecError::failed(format!("Container '{from}' must be stopped to be cloned"))),
    }
    if act.as_look().which("rsync").is_none() {
        // LXC ends with an error and says nothing.
        return Err(ExecError::failed("lxc-copy needs rsync on this machine; install it first (`pkg.installed`)"));
    }
    let mut words = vec!["-l", "ERROR", "-N", guest.name.as_str()];
    let backing = spec.backing.as_deref().map(str::to_lowercase);
    if spec.snapshot && backing.as_deref() != Some("dir") {
        words.push("-s");
    }
    if let Some(backing) = &backing {
        words.extend(["-B", backing]);
    }
    if let (Some(size), false) = (&spec.size, matches!(backing.as_deref(), Some("dir" | "overlayfs" | "btrfs"))) {
        words.extend(["-L", size]);
    }
    ask::must(act, orig.command_of("lxc-copy", words))?;
    let mut config = guest.config(act.as_look())?;
    config.set("lxc.uts.name", &guest.name);
    // Two machines of one address are none.
    if config.get("lxc.net.0.hwaddr").is_some() {
        config.set("lxc.net.0.hwaddr", &own_mac(guest));
    }
    if spec.address.is_none() {
        config.set_all("lxc.net.0.ipv4.address", &[]);
    }
    config.set_note("owner", "");
    Ok(config)
}

fn from_template(guest: &Guest, act: &dyn Act, spec: &Spec, template: &str) -> Result<Config, ExecError> {
    let mut words = vec!["-t".to_owned(), template.to_owned()];
    let mut option = |flag: &str, value: &Option<String>| {
        if let Some(value) = value {
            words.extend([flag.to_owned(), value.clone()]);
        }
    };
    option("-f", &spec.config);
    option("-B", &spec.backing);
    option("--lvname", &spec.lvname);
    option("--vgname", &spec.vgname);
    option("--thinpool", &spec.thinpool);
    option("--fstype", &spec.fstype);
    option("--fssize", &spec.size);
    if let Some(options) = &spec.options {
        if template == "download" {
            let lacks: Vec<&str> =
                ["dist", "release", "arch"].into_iter().filter(|key| !options.contains(key)).collect();
            if !lacks.is_empty() {
                return Err(ExecError::failed(format!("Missing params in 'options' dict: {}", lacks.join(", "))));
            }
        }
        words.push("--".into());
        words.extend(options.iter().flat_map(|(key, value)| [format!("--{}", python::str(key)), python::str(value)]));
    }
    let output = ask::run(act, guest.command_of("lxc-create", words.iter().map(String::as_str)))?;
    if output.ok() && guest.exists(act.as_look())? {
        return guest.config(act.as_look());
    }
    let why = ask::said(&output);
    Err(ExecError::failed(format!("Container could not be created with template {template}: {why}")))
}

/// The configuration of a new container over files that are there.
pub(super) fn fresh(guest: &Guest, look: &dyn Look, rootfs: &str) -> Config {
    let armoured = ask::text(look, "/sys/module/apparmor/parameters/enabled").ok().flatten();
    let armour = if armoured.is_some_and(|text| text.trim() == "Y") { "generated" } else { "unconfined" };
    Config::parse(&format!(
        "lxc.include = /usr/share/lxc/config/common.conf\nlxc.arch = {}\nlxc.uts.name = {}\nlxc.rootfs.path = {rootfs}\n\
         lxc.apparmor.profile = {armour}\nlxc.mount.auto = proc:mixed sys:mixed cgroup:mixed\n",
        std::env::consts::ARCH,
        guest.name,
    ))
}

/// Returns a hardware address that is always the same for a container of a name and place.
pub(super) fn own_mac(guest: &Guest) -> String {
    let hash = digest::sha256(guest.dir().display().to_string().as_bytes());
    format!("00:16:3e:{:02x}:{:02x}:{:02x}", hash[0] & 0x7f, hash[1], hash[2])
}
