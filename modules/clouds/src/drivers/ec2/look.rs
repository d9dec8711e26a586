//! Looking: pages to their end, throttling waited out, and what was made waited for until EC2 itself knows of it.

use super::api::{ApiError, Change, Ec2Api, Instance, Page, Query};
use super::mark::{GUEST, Mark, OWNER};
use crate::driver::DriverError;
use crate::hands::HandsError;
use std::time::Duration;

/// How often a call that was throttled is made again.
const TRIES: u32 = 8;
/// Seconds for which EC2 may not know what it made.
pub const SETTLES: u64 = 90;
/// Seconds for which an instance may take to come up or go down.
pub const MOVES: u64 = 600;

impl From<ApiError> for DriverError {
    fn from(error: ApiError) -> Self {
        let text = error.to_string();
        Self::Hands(if error.code == "lost" { HandsError::Unreachable(text) } else { HandsError::Failed(text) })
    }
}

/// One account at work.
pub struct Ec2Work<'a> {
    pub api: &'a dyn Ec2Api,
    pub mark: Mark,
    pub pause: &'a (dyn Fn(Duration) + Sync),
}

/// An instance that goes, or is gone.
pub fn is_dead(instance: &Instance) -> bool {
    ["shutting-down", "terminated"].contains(&instance.state.as_str())
}

impl Ec2Work<'_> {
    /// Calls, and again with growing pauses while there are too many calls: such a call had no effect.
    pub fn call<T>(&self, call: impl Fn() -> Result<T, ApiError>) -> Result<T, ApiError> {
        let mut tries = 0;
        loop {
            match call() {
                Err(error) if error.is_throttled() && tries < TRIES => {
                    (self.pause)(Duration::from_millis(250 << tries));
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Lists all pages.
    pub fn all<T>(
        &self,
        list: impl Fn(&Query) -> Result<Page<T>, ApiError>,
        mut query: Query,
    ) -> Result<Vec<T>, ApiError> {
        let mut all = vec![];
        loop {
            let page = self.call(|| list(&query))?;
            all.extend(page.items);
            match page.next.filter(|next| !next.is_empty()) {
                Some(next) if query.next.as_ref() != Some(&next) => query.next = Some(next),
                _ => return Ok(all),
            }
        }
    }

    /// Asks for what is a guest's of ours.
    pub fn of(&self, guest: &str) -> Query {
        Query::all().by(&format!("tag:{OWNER}"), &self.mark.0).by(&format!("tag:{GUEST}"), guest)
    }

    /// The instances of a guest, the one that is kept first: one whose creation came to its end, then the oldest.
    pub fn instances_of(&self, guest: &str) -> Result<Vec<Instance>, ApiError> {
        let mut found = self.all(|query| self.api.instances(query), self.of(guest))?;
        found.retain(|instance| self.mark.of(&instance.tags, guest));
        found.sort_by_key(rank);
        Ok(found)
    }

    /// Looks at one instance, which EC2 may not know of yet.
    pub fn instance(&self, id: &str) -> Result<Option<Instance>, ApiError> {
        let query = Query::all().by("instance-id", id);
        Ok(self.all(|query| self.api.instances(query), query)?.into_iter().next())
    }

    /// Tries until there is an answer, for so many seconds, slower and slower.
    pub fn until<T>(
        &self,
        what: &str,
        patience: u64,
        mut look: impl FnMut() -> Result<Option<T>, DriverError>,
    ) -> Result<T, DriverError> {
        let (mut waited, mut pause) = (Duration::ZERO, Duration::from_millis(300));
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if waited >= Duration::from_secs(patience) {
                return Err(HandsError::Failed(format!("EC2: {what}: waited {patience} s in vain")).into());
            }
            (self.pause)(pause);
            waited += pause;
            pause = (pause * 3 / 2).min(Duration::from_secs(5));
        }
    }

    /// Changes something.
    pub fn change(&self, change: &Change) -> Result<String, ApiError> {
        self.call(|| self.api.change(change))
    }

    /// Changes what was just made, or what others are just leaving: waits while EC2 does not know it, or it is in use.
    pub fn settle(&self, what: &str, patience: u64, change: &Change) -> Result<String, DriverError> {
        let mut last = None;
        let done = self.until(what, patience, || match self.change(change) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.is_missing() || error.is_in_use() => {
                last = Some(error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        });
        done.map_err(|error| last.map_or(error, DriverError::from))
    }

    /// Ends something; what is not there is ended.
    pub fn end(&self, what: &str, change: &Change) -> Result<(), DriverError> {
        let mut last = None;
        let done = self.until(what, SETTLES, || match self.change(change) {
            Ok(_) => Ok(Some(())),
            Err(error) if error.is_missing() => Ok(Some(())),
            Err(error) if error.is_in_use() => {
                last = Some(error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        });
        done.map_err(|error| last.map_or(error, DriverError::from))
    }
}

/// Which of several is kept.
pub fn rank(instance: &Instance) -> (bool, bool, String, String) {
    let unready = !instance.tags.contains_key(super::mark::READY);
    (is_dead(instance), unready, instance.launched.clone(), instance.id.clone())
}
