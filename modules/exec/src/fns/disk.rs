//! `disk.*`: how full file systems are, as `df` tells it.

use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "disk.usage",
        args: "()",
        doc: "Returns size and use of the mounted file systems, in KiB.",
        run: ExecFn::Read(usage),
    },
    ExecDef {
        name: "disk.inodeusage",
        args: "()",
        doc: "Returns the inodes of the mounted file systems.",
        run: ExecFn::Read(inodeusage),
    },
    ExecDef {
        name: "disk.percent",
        args: "(path=None)",
        doc: "Returns how full file systems are.",
        run: ExecFn::Read(percent),
    },
];

/// A line of `/proc/mounts`.
pub(crate) struct Mount {
    pub device: String,
    pub path: String,
    pub kind: String,
}

/// What `statvfs` says of a file system.
pub(crate) struct Sizes {
    pub total_bytes: u64,
    pub free_bytes: u64,
    pub available_bytes: u64,
    pub inodes: u64,
    pub free_inodes: u64,
}

/// Lists what is mounted.
pub(crate) fn mounts(host: &dyn Look) -> Result<Vec<Mount>, ExecError> {
    let bytes = host.read(Path::new("/proc/mounts"))?;
    let mount = |line: &str| {
        let mut words = line.split(' ').map(unescaped);
        Some(Mount { device: words.next()?, path: words.next()?, kind: words.next()? })
    };
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(mount).collect())
}

/// Undoes the kernel's `\040` for a space.
fn unescaped(word: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(word.to_owned(), |w, (from, to)| w.replace(from, to))
}

/// Measures a file system.
pub(crate) fn sizes(path: &str) -> Result<Sizes, ExecError> {
    let s = rustix::fs::statvfs(path).map_err(|e| ExecError::failed(format!("measure {path}: {e}")))?;
    Ok(Sizes {
        total_bytes: s.f_blocks * s.f_frsize,
        free_bytes: s.f_bfree * s.f_frsize,
        available_bytes: s.f_bavail * s.f_frsize,
        inodes: s.f_files,
        free_inodes: s.f_ffree,
    })
}

/// `df` rounds up.
fn share(used: u64, rest: u64) -> String {
    match used + rest {
        0 => "-".into(),
        all => format!("{}%", (used * 100).div_ceil(all)),
    }
}

/// Measures what `df` would show: each place once, the last mount on it, and nothing without blocks.
fn measured(host: &dyn Look) -> Result<Vec<(Mount, Sizes)>, ExecError> {
    let mut out: Vec<(Mount, Sizes)> = vec![];
    for mount in mounts(host)? {
        // A file system that this user may not look at is left out, as by `df`.
        if let Ok(sizes) = sizes(&mount.path)
            && sizes.total_bytes > 0
        {
            out.retain(|(m, _)| m.path != mount.path);
            out.push((mount, sizes));
        }
    }
    Ok(out)
}

fn usage(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let entry = |(m, s): (Mount, Sizes)| {
        let used = s.total_bytes - s.free_bytes;
        let mut entry = Map::new();
        entry.insert("filesystem", m.device);
        entry.insert("1K-blocks", (s.total_bytes / 1024).to_string());
        entry.insert("used", (used / 1024).to_string());
        entry.insert("available", (s.available_bytes / 1024).to_string());
        entry.insert("capacity", share(used, s.available_bytes));
        (m.path, Value::from(entry))
    };
    Ok(measured(host)?.into_iter().map(entry).collect::<Map>().into())
}

fn inodeusage(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let entry = |(m, s): (Mount, Sizes)| {
        let used = s.inodes.saturating_sub(s.free_inodes);
        let mut entry = Map::new();
        entry.insert("inodes", s.inodes.to_string());
        entry.insert("used", used.to_string());
        entry.insert("free", s.free_inodes.to_string());
        entry.insert("use", share(used, s.free_inodes));
        entry.insert("filesystem", m.device);
        (m.path, Value::from(entry))
    };
    Ok(measured(host)?.into_iter().map(entry).collect::<Map>().into())
}

fn percent(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let all: Map = measured(host)?
        .into_iter()
        .map(|(m, s)| (m.path, Value::from(share(s.total_bytes - s.free_bytes, s.available_bytes))))
        .collect();
    match call.text(0, "args") {
        Some(path) => all.get(&path).cloned().ok_or_else(|| ExecError::failed(format!("{path} is not mounted"))),
        None => Ok(all.into()),
    }
}
