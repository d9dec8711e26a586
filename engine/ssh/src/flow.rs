//! How much of what was sent a machine has not taken yet. sshd lets us send two megabytes ahead and grows its buffer
//! for them by copying it, which costs it more than deciphering them. So little is sent ahead; more where the way is
//! so long that this would hold it up.

use russh::ChannelId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// So much is sent ahead at first. sshd tells what it has taken about every hundred kilobytes.
const AHEAD: u64 = 256 * 1024;
/// When nothing is heard for so long, twice as much may be sent ahead.
const PATIENCE: Duration = Duration::from_millis(20);

/// What is under way on the channels of a connection. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    channels: Mutex<HashMap<ChannelId, Channel>>,
    taken: Notify,
}

#[derive(Debug)]
struct Channel {
    /// The window while nothing is under way: the largest that was heard of.
    whole: u64,
    under_way: u64,
    ahead: u64,
}

impl Flow {
    /// Takes note of what the other side lets us send.
    pub(crate) fn window(&self, id: ChannelId, size: u32) {
        let size = u64::from(size);
        let mut channels = self.channels();
        let channel = channels.entry(id).or_insert(Channel { whole: 0, under_way: 0, ahead: AHEAD });
        channel.whole = channel.whole.max(size);
        channel.under_way = channel.whole - size;
        drop(channels);
        self.0.taken.notify_waiters();
    }

    /// Waits until there is room for some bytes, and counts them.
    pub(crate) async fn send(&self, id: ChannelId, bytes: usize) {
        loop {
            let taken = self.0.taken.notified();
            match self.channels().get_mut(&id) {
                Some(channel) if channel.under_way >= channel.ahead => {}
                Some(channel) => {
                    channel.under_way += bytes as u64;
                    return;
                }
                None => return,
            }
            if timeout(PATIENCE, taken).await.is_err()
                && let Some(channel) = self.channels().get_mut(&id)
            {
                channel.ahead = channel.ahead.saturating_mul(2);
            }
        }
    }

    /// Forgets a channel that is closed.
    pub(crate) fn forget(&self, id: ChannelId) {
        self.channels().remove(&id);
        self.0.taken.notify_waiters();
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<ChannelId, Channel>> {
        self.0.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
