//! Small files of ours, whole or not at all, and on the disk when the call returns.

use crate::{ProjectError, R};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a directory that only its owner can look into.
pub fn private_dir(path: &Path) -> R<()> {
    let fail = |error| ProjectError::io("make", path, error);
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.map_err(fail)?,
    }
    let meta = std::fs::symlink_metadata(path).map_err(fail)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(ProjectError::new(format!("{} is not a directory of ours alone", path.display()))
            .hint("remove it, or make it a directory of mode 700 that belongs to the user who runs corpus"));
    }
    Ok(())
}

/// Writes a file: old or new, never partial.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> R<()> {
    let fail = |error: std::io::Error| ProjectError::io("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".corpus-{name}-{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(fail)
}
