//! Where the output goes: standard output, or a file that is the old one until the new one is whole.

use std::fs::{File, Metadata, Permissions};
use std::io::{BufWriter, Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// Takes the output. What is not [finished](Sink::finish) leaves the file as it was.
pub enum Sink {
    Stream(Box<dyn Write + Send>),
    File { new: BufWriter<NamedTempFile>, path: PathBuf },
}

impl Sink {
    /// Opens the file, or standard output if there is none.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::Stream(Box::new(BufWriter::new(std::io::stdout())))) };
        // Through links to what they name; pipes and devices are written as they are.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let old = std::fs::metadata(&path).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            return Ok(Self::Stream(Box::new(BufWriter::new(File::options().write(true).open(&path)?))));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::metadata(folder)?;
        let permissions = old.as_ref().map_or(Permissions::from_mode(0o666), Metadata::permissions);
        let new = Builder::new().prefix(".corpus-").permissions(permissions).tempfile_in(folder)?;
        Ok(Self::File { new: BufWriter::new(new), path })
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Stream(mut out) => out.flush(),
            Self::File { new, path } => {
                let new = new.into_inner().map_err(|error| error.into_error())?;
                new.as_file().sync_all()?;
                new.persist(path).map(drop).map_err(|error| error.error)
            }
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Stream(out) => out.write(bytes),
            Self::File { new, .. } => new.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Stream(out) => out.flush(),
            Self::File { new, .. } => new.flush(),
        }
    }
}
