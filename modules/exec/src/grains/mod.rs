//! Grains: what a machine is, under the names and in the forms that Salt gives. Everything is read from
//! `/proc`, `/sys`, `/etc` and the kernel; no program is started and no name server asked, so that
//! collecting them takes a few milliseconds on any machine.
//!
//! Where that differs from Salt: `fqdn`, `fqdn_ip4`, `fqdn_ip6` and `fqdns` come from `/etc/hosts` and
//! the interfaces alone. `pythonversion`, `saltversion` and `saltversioninfo` say which Salt this
//! program behaves like; formulas branch on them.

pub mod clock;
mod distro;
mod hardware;
mod names;
pub mod net;
pub mod netlink;
mod virt;

use corpus_core::host::Look;
use corpus_core::value::{Map, Value};
use std::path::Path;

/// The Salt whose behaviour formulas can count on.
pub const SALT_VERSION: (i64, i64) = (3008, 3);

/// The Python that such a Salt would bring.
const PYTHON_VERSION: [i64; 3] = [3, 12, 1];

/// Collects all grains. `extra` holds what only configuration knows (`id`, `master`, the static grains
/// of `/etc/salt/grains`), and wins over what was found.
pub fn collect(host: &dyn Look, extra: &Map) -> Map {
    let mut grains = Map::new();
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| Value::from(part.to_string_lossy().into_owned());
    grains.insert("kernel", text(uname.sysname()));
    grains.insert("nodename", text(uname.nodename()));
    grains.insert("kernelrelease", text(uname.release()));
    grains.insert("kernelversion", text(uname.version()));
    grains.insert("cpuarch", text(uname.machine()));
    let nodename = uname.nodename().to_string_lossy().into_owned();

    distro::add(host, &uname.machine().to_string_lossy(), &mut grains);
    hardware::add(host, &mut grains);
    virt::add(host, &mut grains);
    net::add(host, &nodename, &mut grains);
    clock::add(host, &mut grains);
    process(host, &mut grains);

    let [major, minor, micro] = PYTHON_VERSION.map(Value::from);
    grains.insert("pythonversion", vec![major, minor, micro, "final".into(), 0.into()]);
    grains.insert("saltversion", format!("{}.{}", SALT_VERSION.0, SALT_VERSION.1));
    grains.insert("saltversioninfo", vec![Value::from(SALT_VERSION.0), SALT_VERSION.1.into()]);
    let program = std::env::current_exe().unwrap_or_default();
    grains.insert("saltpath", program.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned());

    for (key, value) in extra {
        grains.0.insert(key.clone(), value.clone());
    }
    if !grains.contains("id") {
        let id = grains.get("fqdn").cloned().unwrap_or_default();
        grains.insert("id", id);
    }
    if !grains.contains("master") {
        grains.insert("master", "salt");
    }
    if !extra.contains("server_id") {
        let id = grains.str("id").map(server_id);
        grains.insert("server_id", id);
    }
    grains
}

/// Returns the number that Salt derives from a minion's id: its SHA-256 modulo 2³¹.
pub fn server_id(id: &str) -> i64 {
    let digest = corpus_core::digest::sha256(id.as_bytes());
    let tail = u32::from_be_bytes([digest[28], digest[29], digest[30], digest[31]]);
    i64::from(tail & 0x7fff_ffff)
}

/// Reads a small text file; what cannot be read is not there.
fn text(host: &dyn Look, path: &str) -> Option<String> {
    host.read(Path::new(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn exists(host: &dyn Look, path: &str) -> bool {
    host.stat(Path::new(path)).ok().flatten().is_some()
}

/// Grains of this process and its environment.
fn process(host: &dyn Look, grains: &mut Map) {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    grains.insert("uid", uid);
    grains.insert("gid", gid);
    grains.insert("username", host.user_by_id(uid).ok().flatten().map(|u| u.name));
    grains.insert("groupname", host.group_by_id(gid).ok().flatten().map(|g| g.name));
    grains.insert("pid", std::process::id());
    grains.insert("cwd", std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned());
    let path = std::env::var("PATH").unwrap_or_default();
    grains.insert("path", path.trim());
    grains.insert("systempath", path.trim().split(':').collect::<Vec<_>>());
    grains.insert("shell", std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into()));
    grains.insert("ps", "ps -efHww");
    let machine_id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|p| text(host, p));
    if let Some(id) = machine_id {
        grains.insert("machine_id", id.trim());
    }
}
