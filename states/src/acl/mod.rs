//! What `acl.*` share: the entry that is meant, and what files have of it.

use corpus_core::{PlanCx, StateError};
use corpus_exec::fns::acl::{self, File};

/// An entry of access lists as it is declared.
pub struct Wanted<'a> {
    pub path: &'a str,
    pub acl_type: &'a str,
    pub acl_name: &'a str,
    pub recurse: bool,
}

impl Wanted<'_> {
    /// Reads the access lists; the file itself comes first.
    pub fn files(&self, cx: &PlanCx<'_>) -> Result<Vec<File>, StateError> {
        cx.program("getfacl", "acl")?;
        if cx.host.stat(self.path.as_ref())?.is_none() {
            return Err(StateError::missing(format!("{} does not exist", self.path)));
        }
        let files = acl::read(cx.host, &[self.path.to_owned()], self.recurse)
            .map_err(|error| StateError::missing(error.to_string()))?;
        if files.is_empty() { Err(StateError::missing(format!("{} does not exist", self.path))) } else { Ok(files) }
    }

    fn default(&self) -> bool {
        self.kind() != self.acl_type
    }

    fn kind(&self) -> &str {
        self.acl_type.trim_start_matches("default:").trim_start_matches("d:")
    }

    /// Refuses a type that the file has no entries of, in Salt's words.
    pub fn check(&self, file: &File) -> Result<(), StateError> {
        let known = self.default() || file.entries.iter().any(|e| !e.default && e.kind == self.kind());
        if known { Ok(()) } else { Err(StateError::failed("ACL Type does not exist")) }
    }

    /// Returns the bits of the entry, if a file has it.
    pub fn of(&self, file: &File) -> Option<u8> {
        let name = match (self.acl_name, self.kind()) {
            ("", "user") => &file.owner,
            ("", "group") => &file.group,
            (name, _) => name,
        };
        let meant = |e: &&acl::Entry| e.default == self.default() && e.kind == self.kind() && e.name == name;
        file.entries.iter().rfind(meant).map(|entry| entry.bits)
    }

    /// Names the fact that a step foretells.
    pub fn fact(&self) -> String {
        format!("acl:{}:{}:{}", self.path, self.acl_type, self.acl_name)
    }

    /// Tells whether files of this kind take the entry: defaults are for directories.
    pub fn takes(&self, cx: &PlanCx<'_>, file: &File) -> bool {
        !self.default() || corpus_exec::ask::is_dir(cx.host, &file.path)
    }
}
