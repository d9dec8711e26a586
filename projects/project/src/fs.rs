//! The operations by which the engine itself moves trees: few, so that a test can stop at each of them.

use crate::{ProjectError, R, copy, disk};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Who a tree is, wherever it is moved: device and inode of its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TreeId {
    pub dev: u64,
    pub ino: u64,
}

/// Returns who the tree at a path is; `None` if no directory is there.
pub fn tree_id(path: &Path) -> Option<TreeId> {
    let meta = std::fs::symlink_metadata(path).ok().filter(|meta| meta.is_dir())?;
    Some(TreeId { dev: meta.dev(), ino: meta.ino() })
}

/// What the engine does to trees and to its own records.
pub trait Fs: Send + Sync {
    /// Copies a tree with everything that belongs to it; what is half copied when the flag is set is an error.
    fn copy_tree(&self, from: &Path, to: &Path, stop: Option<&AtomicBool>) -> R<()>;
    /// Removes a tree or a file; what is not there is removed.
    fn remove(&self, path: &Path) -> R<()>;
    /// Moves a tree to where nothing is.
    fn rename(&self, from: &Path, to: &Path) -> R<()>;
    /// Puts each of two trees into the other's place, in one moment.
    fn exchange(&self, one: &Path, other: &Path) -> R<()>;
    /// Makes a directory, if it is not there.
    fn make_dir(&self, path: &Path, mode: u32) -> R<()>;
    /// Brings everything written to the file system of a path to the disk.
    fn sync_all(&self, path: &Path) -> R<()>;
    /// Brings the names in a directory to the disk.
    fn sync_dir(&self, path: &Path) -> R<()>;
    /// Writes a record: old or new, and on the disk.
    fn record(&self, path: &Path, bytes: &[u8]) -> R<()>;
    /// Does work of others on a tree: a checkout.
    fn work(&self, tree: &Path, work: &mut dyn FnMut() -> R<()>) -> R<()>;
}

/// The disk of this machine.
pub struct Disk;

impl Fs for Disk {
    fn copy_tree(&self, from: &Path, to: &Path, stop: Option<&AtomicBool>) -> R<()> {
        copy::tree_until(from, to, stop).map(|_| ())
    }

    fn remove(&self, path: &Path) -> R<()> {
        let removed = match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
            Ok(_) => std::fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ProjectError::io("remove", path, error)),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> R<()> {
        renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(|error| {
            ProjectError::new(format!("move {} to {}: {}", from.display(), to.display(), std::io::Error::from(error)))
        })
    }

    fn exchange(&self, one: &Path, other: &Path) -> R<()> {
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|error| {
            ProjectError::new(format!(
                "exchange {} and {}: {}",
                one.display(),
                other.display(),
                std::io::Error::from(error)
            ))
            .hint("the projects must lie on one file system that knows RENAME_EXCHANGE (ext4, xfs, btrfs, tmpfs)")
        })
    }

    fn make_dir(&self, path: &Path, mode: u32) -> R<()> {
        match DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists || !path.is_dir() => {
                Err(ProjectError::io("make", path, error))
            }
            _ => Ok(()),
        }
    }

    fn sync_all(&self, path: &Path) -> R<()> {
        let sync = || -> std::io::Result<()> { Ok(rustix::fs::syncfs(&File::open(path)?)?) };
        sync().map_err(|error| ProjectError::io("sync", path, error))
    }

    fn sync_dir(&self, path: &Path) -> R<()> {
        File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| ProjectError::io("sync", path, error))
    }

    fn record(&self, path: &Path, bytes: &[u8]) -> R<()> {
        disk::write(path, bytes, 0o600)
    }

    fn work(&self, _: &Path, work: &mut dyn FnMut() -> R<()>) -> R<()> {
        work()
    }
}
