//! Walking a directory, links not followed.

use corpus_core::Meta;
use corpus_core::host::{HostResult, Look};
use std::path::{Path, PathBuf};

/// Something below a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub path: PathBuf,
    pub meta: Meta,
    /// 1 for what lies directly in the directory.
    pub depth: usize,
}

/// Lists everything below a directory, parents before what is in them, no deeper than told.
pub fn below(host: &dyn Look, top: &Path, max_depth: Option<usize>) -> HostResult<Vec<Found>> {
    let mut out = vec![];
    descend(host, top, 1, max_depth.unwrap_or(usize::MAX), &mut out)?;
    Ok(out)
}

fn descend(host: &dyn Look, dir: &Path, depth: usize, max: usize, out: &mut Vec<Found>) -> HostResult<()> {
    if depth > max {
        return Ok(());
    }
    for name in host.list(dir)? {
        let path = dir.join(name);
        let Some(meta) = host.lstat(&path)? else { continue };
        let inner = meta.is_dir().then(|| path.clone());
        out.push(Found { path, meta, depth });
        if let Some(inner) = inner {
            descend(host, &inner, depth + 1, max, out)?;
        }
    }
    Ok(())
}
