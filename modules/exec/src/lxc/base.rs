//! Bases: file systems that guests start from, built once by mmdebstrap (or debootstrap) and kept by the hash of what
//! they are declared to be. `NAME` is a link to `NAME-HASH`; guests stand on the latter, so that a new declaration of
//! the name takes nothing away from them.

use super::guest::make_dirs;
use super::{disk, names};
use crate::ask;
use corpus_core::{Act, Attrs, Command, Effect, ExecError, Look, Map, Value, decode, digest, python};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where bases are kept, but for those that must lie beside the guests.
const KEPT: &str = "/var/lib/corpus/lxc/bases";

/// What a guest needs to boot and to be reached by SSH.
const NEEDED: &[&str] =
    &["systemd-sysv", "dbus", "openssh-server", "iproute2", "procps", "netbase", "ca-certificates", "iputils-ping"];

/// The arguments that declare a base.
pub const ARGUMENTS: &[&str] = &["suite", "mirror", "variant", "components", "packages", "includes", "script"];

/// Changes when the way of building does, so that older bases are not taken for new ones.
const FORM: u32 = 1;

/// What a base is declared to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declaration {
    pub suite: String,
    pub mirror: Option<String>,
    pub variant: String,
    pub components: Option<String>,
    /// Packages beyond [`NEEDED`].
    pub packages: Vec<String>,
    /// Files to write into it: path, text.
    pub includes: BTreeMap<String, String>,
    /// A shell script that runs in it at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

impl Default for Declaration {
    fn default() -> Self {
        Self {
            suite: "bookworm".into(),
            mirror: None,
            variant: "minbase".into(),
            components: None,
            packages: vec![],
            includes: BTreeMap::new(),
            script: None,
        }
    }
}

/// A base that is there.
#[derive(Clone, Debug)]
pub struct Base {
    pub name: String,
    pub hash: String,
    pub rootfs: PathBuf,
    /// It was not there before.
    pub built: bool,
}

impl Declaration {
    /// Reads the arguments of `lxc.base`, without its name and place.
    pub fn read(args: &Map) -> Result<Self, String> {
        let own: Map = args
            .iter()
            .filter(|(key, value)| !matches!(key.as_str(), Some("name" | "bases" | "path")) && !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let read: Self = decode::from_map(&own).map_err(|error| format!("a base: {error}"))?;
        let word = |text: &String| !text.is_empty() && !text.starts_with('-') && !text.contains([',', ' ', '\n']);
        if let Some(bad) = read.packages.iter().chain([&read.suite, &read.variant]).find(|text| !word(text)) {
            return Err(format!("a base: `{bad}` is no name of a package, suite or variant"));
        }
        if let Some(bad) = read.includes.keys().find(|path| !path.starts_with('/') || path.contains("..")) {
            return Err(format!("a base: `includes`: {bad} is no path from / on"));
        }
        Ok(read)
    }

    /// Returns what tells it from others.
    pub fn hash(&self) -> String {
        let text = serde_json::to_string(&(FORM, NEEDED, self)).unwrap_or_default();
        digest::hex(&digest::sha256(text.as_bytes()))[..16].to_owned()
    }
}

/// Returns where bases are kept for guests of a directory: btrfs can only share within one file system.
pub fn place(look: &dyn Look, root: &Path, given: Option<&str>) -> Result<PathBuf, ExecError> {
    Ok(match given {
        Some(path) => PathBuf::from(path.trim_end_matches('/')),
        None if disk::on_btrfs(look, root)? => root.join(".bases"),
        None => PathBuf::from(KEPT),
    })
}

/// Finds the base of a name, as it was last built.
pub fn find(look: &dyn Look, place: &Path, name: &str) -> Result<Option<Base>, ExecError> {
    let link = place.join(name);
    if !look.lstat(&link)?.is_some_and(|meta| meta.is_symlink()) {
        return Ok(None);
    }
    let target = look.read_link(&link)?.display().to_string();
    let rootfs = place.join(&target).join("rootfs");
    let hash = target.rsplit_once('-').map_or("", |(_, hash)| hash).to_owned();
    Ok(ask::is_dir(look, &rootfs).then_some(Base { name: name.into(), hash, rootfs, built: false }))
}

/// Returns the base that a guest is to start from: one that is there by name, or what a mapping declares.
pub fn obtain(act: &dyn Act, wanted: &Value, root: &Path, bases: Option<&str>) -> Result<Base, ExecError> {
    let place = place(act.as_look(), root, bases)?;
    match wanted {
        Value::Map(args) => {
            let name = args.str("name").unwrap_or("default").to_owned();
            keep(act, &place, &name, &Declaration::read(args).map_err(ExecError::Failed)?)
        }
        name => {
            let name = python::str(name);
            find(act.as_look(), &place, &name)?.ok_or_else(|| {
                ExecError::failed(format!(
                    "no base `{name}` in {}; build it first (`lxc.base_present`), or declare it in place",
                    place.display()
                ))
            })
        }
    }
}

/// Keeps a base: builds it, unless it is there.
pub fn keep(act: &dyn Act, place: &Path, name: &str, wanted: &Declaration) -> Result<Base, ExecError> {
    // The name becomes a file's, as a guest's does.
    super::Guest::new(place, name)?;
    let look = act.as_look();
    let hash = wanted.hash();
    let folder = format!("{name}-{hash}");
    let rootfs = place.join(&folder).join("rootfs");
    let built = !ask::is_dir(look, &rootfs);
    if built {
        make_dirs(act, place)?;
        let part = place.join(format!(".part-{folder}"));
        disk::remove_tree(act, &part)?;
        let made = build(act, &part, wanted);
        if made.is_err() {
            disk::remove_tree(act, &part)?;
        }
        made?;
        adopt(act, place, name, &hash, &part)?;
    } else {
        point(act, place, name, &folder)?;
    }
    Ok(Base { name: name.into(), hash, rootfs, built })
}

/// Gives a base that is whole its place, and has its name lead there. One that is there already may carry guests: it stays.
pub(super) fn adopt(act: &dyn Act, place: &Path, name: &str, hash: &str, part: &Path) -> Result<(), ExecError> {
    let folder = format!("{name}-{hash}");
    let home = place.join(&folder);
    if ask::is_dir(act.as_look(), home.join("rootfs")) {
        disk::remove_tree(act, part)?;
    } else {
        act.perform(&Effect::Rename { from: part.into(), to: home })?;
    }
    point(act, place, name, &folder)
}

fn point(act: &dyn Act, place: &Path, name: &str, folder: &str) -> Result<(), ExecError> {
    let link = place.join(name);
    if act.as_look().read_link(&link).ok().as_deref() != Some(Path::new(folder)) {
        act.perform(&Effect::Symlink { path: link, target: folder.into(), attrs: Attrs::default() })?;
    }
    Ok(())
}

fn build(act: &dyn Act, part: &Path, wanted: &Declaration) -> Result<(), ExecError> {
    let look = act.as_look();
    let attrs = |mode| Attrs { mode: Some(mode), ..Attrs::default() };
    act.perform(&Effect::Mkdir { path: part.into(), attrs: attrs(0o711) })?;
    let rootfs = part.join("rootfs");
    if disk::on_btrfs(look, part)? {
        disk::make_subvolume(act, &rootfs)?;
    } else {
        act.perform(&Effect::Mkdir { path: rootfs.clone(), attrs: attrs(0o755) })?;
    }
    ask::must(act, builder(look, &rootfs, wanted)?)?;
    let text = serde_json::to_string_pretty(wanted).unwrap_or_default();
    act.perform(&Effect::text(part.join("declaration.json"), format!("{text}\n")))?;
    // What a machine has of its own: its guests get their own.
    let ssh = rootfs.join("etc/ssh");
    for file in look.list(&ssh).unwrap_or_default().into_iter().filter(|file| file.starts_with("ssh_host_")) {
        act.perform(&Effect::Remove { path: ssh.join(file) })?;
    }
    act.perform(&Effect::text(rootfs.join("etc/machine-id"), ""))?;
    // What cannot work in a container would leave the guest degraded.
    for unit in ["sys-kernel-debug.mount", "systemd-networkd-wait-online.service"] {
        let path = rootfs.join("etc/systemd/system").join(unit);
        if ask::is_dir(look, rootfs.join("etc/systemd/system")) {
            act.perform(&Effect::Symlink { path, target: "/dev/null".into(), attrs: Attrs::default() })?;
        }
    }
    for (path, text) in &wanted.includes {
        let at = rootfs.join(path.trim_start_matches('/'));
        make_dirs(act, at.parent().unwrap_or(&rootfs))?;
        act.perform(&Effect::text(at, text.as_str()))?;
    }
    if let Some(script) = &wanted.script {
        // The mounts that programs expect go away with the namespace.
        const INSIDE: &str = r#"mount -t proc proc "$1/proc" && exec chroot "$1" /bin/sh -e"#;
        let at = rootfs.display().to_string();
        let command = Command::new(["unshare", "-m", "/bin/sh", "-c", INSIDE, "sh", &at]).stdin(script.as_str());
        ask::must(act, command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C"))?;
    }
    Ok(())
}

fn builder(look: &dyn Look, rootfs: &Path, wanted: &Declaration) -> Result<Command, ExecError> {
    let mut packages: Vec<&str> = NEEDED.to_vec();
    packages.extend(wanted.packages.iter().map(String::as_str).filter(|package| !NEEDED.contains(package)));
    let include = format!("--include={}", packages.join(","));
    let variant = format!("--variant={}", wanted.variant);
    let target = rootfs.display().to_string();
    let mirror = wanted.mirror.clone().or_else(|| node_mirror(look)).unwrap_or("http://deb.debian.org/debian".into());
    let components = wanted.components.as_ref().map(|names| format!("--components={names}"));
    let program = if look.which("mmdebstrap").is_some() {
        "mmdebstrap"
    } else if look.which("debootstrap").is_some() {
        "debootstrap"
    } else {
        return Err(ExecError::failed(
            "neither mmdebstrap nor debootstrap is installed on this machine; install one first (`pkg.installed`)",
        ));
    };
    let mut command = Command::new([program, &variant, &include]);
    command.argv.extend(components);
    if program == "mmdebstrap" {
        let more = ["--mode=root", "--quiet", "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*"];
        command.argv.extend(more.map(str::to_owned));
        command.argv.extend(["--dpkgopt=path-exclude=/usr/share/doc/*".to_owned()]);
    }
    command.argv.extend([wanted.suite.clone(), target, mirror]);
    Ok(command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C"))
}

/// Returns the mirror that the machine itself uses.
fn node_mirror(look: &dyn Look) -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let folder = Path::new("/etc/apt/sources.list.d");
    files.extend(look.list(folder).unwrap_or_default().into_iter().map(|name| folder.join(name)));
    let text: String = files.iter().filter_map(|file| ask::text(look, file).ok().flatten()).collect();
    let plain = |word: &&str| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian");
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .find(plain)
        .map(str::to_owned)
}

/// Lists the bases, each with the guests of `roots` that stand on it.
pub fn list(look: &dyn Look, place: &Path, roots: &[PathBuf]) -> Result<Vec<Value>, ExecError> {
    let mut out = vec![];
    let names = match look.list(place) {
        Err(error) if error.is_missing() => vec![],
        other => other?,
    };
    for name in names {
        let Some(base) = find(look, place, &name)? else { continue };
        let text = ask::text(look, base.rootfs.with_file_name("declaration.json"))?.unwrap_or_default();
        let declaration: Value = serde_json::from_str(&text).unwrap_or_default();
        let users: Vec<String> = users(look, &base, roots)?;
        let row: Map = [
            ("name", Value::from(base.name)),
            ("hash", base.hash.into()),
            ("rootfs", base.rootfs.display().to_string().into()),
            ("declaration", declaration),
            ("users", users.into()),
        ]
        .into_iter()
        .collect();
        out.push(row.into());
    }
    Ok(out)
}

/// Returns the guests that stand on a base, by their directories.
fn users(look: &dyn Look, base: &Base, roots: &[PathBuf]) -> Result<Vec<String>, ExecError> {
    let mut out = vec![];
    for root in roots {
        for name in names(look, root)? {
            let guest = super::Guest { root: root.clone(), name };
            let config = guest.config(look)?;
            let below = format!(":{}:", base.rootfs.display());
            if config.get("lxc.rootfs.path").is_some_and(|path| path.starts_with("overlay") && path.contains(&below)) {
                out.push(guest.dir().display().to_string());
            }
        }
    }
    Ok(out)
}

/// Removes a base and what was built for its name before, unless a guest stands on it.
pub fn remove(act: &dyn Act, place: &Path, name: &str, roots: &[PathBuf]) -> Result<bool, ExecError> {
    super::Guest::new(place, name)?;
    let look = act.as_look();
    let prefix = format!("{name}-");
    let is = |folder: &String| folder.strip_prefix(&prefix).is_some_and(|hash| hash.len() == 16 && !hash.contains('-'));
    let folders: Vec<String> = look.list(place).unwrap_or_default().into_iter().filter(is).collect();
    for folder in &folders {
        let rootfs = place.join(folder).join("rootfs");
        let base = Base { name: name.into(), hash: String::new(), rootfs, built: false };
        let users = users(look, &base, roots)?;
        if !users.is_empty() {
            return Err(ExecError::failed(format!("base `{name}` carries guests: {}", users.join(", "))));
        }
    }
    let link = place.join(name);
    let there = look.lstat(&link)?.is_some();
    if there {
        act.perform(&Effect::Remove { path: link })?;
    }
    for folder in &folders {
        disk::remove_tree(act, &place.join(folder))?;
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::Declaration;
    use corpus_core::{Map, Value};

    #[test]
    fn the_hash_follows_the_declaration() {
        let read = |args: &[(&str, Value)]| Declaration::read(&args.iter().cloned().collect::<Map>());
        let plain = read(&[("name", "a".into())]).expect("good");
        assert_eq!(plain.hash(), read(&[("name", "b".into()), ("suite", "bookworm".into())]).expect("good").hash());
        assert_ne!(plain.hash(), read(&[("packages", vec!["nginx"].into())]).expect("good").hash());
        assert!(read(&[("packages", vec!["--hook=x"].into())]).is_err());
        assert!(read(&[("sweet", "x".into())]).is_err());
    }
}
