//! The mark of ownership: tags by which an installation knows what it made. Nothing without them is ever changed or ended.

use super::api::{Owned, Tags};
use crate::driver::DriverError;

/// Whose it is: an installation's own word.
pub const OWNER: &str = "corpus:owner";
/// The guest that it belongs to.
pub const GUEST: &str = "corpus:guest";
/// The creation that made it.
pub const REQUEST: &str = "corpus:request";
/// The public half of the host key that it was given.
pub const HOST_KEY: &str = "corpus:host-key";
/// Its creation came to its end.
pub const READY: &str = "corpus:ready";

/// What an installation writes on what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(pub String);

impl Mark {
    /// Whether something is ours.
    pub fn has(&self, tags: &Tags) -> bool {
        tags.get(OWNER) == Some(&self.0)
    }

    /// Whether something is a guest's of ours.
    pub fn of(&self, tags: &Tags, guest: &str) -> bool {
        self.has(tags) && tags.get(GUEST).is_some_and(|whose| whose == guest)
    }

    /// Returns the right to change something.
    pub fn owned(&self, id: &str, tags: &Tags) -> Result<Owned, DriverError> {
        if self.has(tags) {
            return Ok(Owned(id.to_owned()));
        }
        Err(DriverError::Refused(format!("{id} does not bear our mark ({OWNER}={}); it is left as it is", self.0)))
    }

    /// Returns the right to change what was made with our mark in this very call.
    pub(super) fn made(&self, id: &str) -> Owned {
        Owned(id.to_owned())
    }

    /// Writes it, for something of a guest, or of all.
    pub fn tags(&self, guest: Option<&str>) -> Tags {
        let mut tags = Tags::from([(OWNER.to_owned(), self.0.clone())]);
        if let Some(guest) = guest {
            tags.insert(GUEST.to_owned(), guest.to_owned());
        }
        tags
    }
}
