//! Frames: how messages are cut out of a byte stream. A frame is a little-endian `u32` length, one byte for
//! its kind, and the body. Lengths are bounded, and memory grows with what really arrives, not with what a
//! length claims.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a minion says before its first frame. Anything before it is the login shell's chatter.
pub(crate) const MAGIC: &[u8] = b"\0corpus-wire\n";
/// How much chatter is put up with.
const CHATTER: usize = 64 * 1024;
/// The largest frame: a low state of some hundred thousand chunks.
const LIMIT: usize = 256 * 1024 * 1024;
/// A body shorter than this is not worth compressing.
const SMALL: usize = 256;
/// How much of a file goes into one frame.
pub(crate) const CHUNK: usize = 128 * 1024;

const PLAIN: u8 = 0;
const PACKED: u8 = 1;
const CONTENT: u8 = 2;

/// A frame that has arrived.
pub(crate) enum Frame {
    /// A message, unpacked, still to be decoded.
    Message(Vec<u8>),
    /// A piece of what the ask of this number waits for.
    Content(u32, Vec<u8>),
}

/// Length, kind, and the number of the ask.
const HEAD: usize = 9;

/// A piece of a content that is being gathered, with room for its head: nothing is copied to be sent.
pub(crate) struct Piece {
    bytes: Vec<u8>,
    len: usize,
}

impl Piece {
    /// Makes an empty piece for an ask, no larger than all that is to be sent.
    pub(crate) fn new(ask: u32, all: u64) -> Self {
        let mut bytes = vec![0; HEAD + CHUNK.min(usize::try_from(all).unwrap_or(CHUNK))];
        bytes[4] = CONTENT;
        bytes[5..HEAD].copy_from_slice(&ask.to_le_bytes());
        Self { bytes, len: 0 }
    }

    /// Where the next bytes go; empty when the piece is full.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[HEAD + self.len..]
    }

    /// Takes note of bytes that were written to its room.
    pub(crate) fn grow(&mut self, n: usize) {
        self.len += n;
    }

    /// Tells whether there is something to send.
    pub(crate) fn any(&self) -> bool {
        self.len > 0
    }
}

/// The writing end, shared by all threads that have something to say.
pub(crate) struct Sender(Mutex<Box<dyn Write + Send>>, AtomicU64);

impl Sender {
    pub(crate) fn new(write: Box<dyn Write + Send>) -> Self {
        Self(Mutex::new(write), AtomicU64::new(0))
    }

    /// Writes bytes that are no frame.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut write = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write.write_all(bytes)?;
        self.1.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        write.flush()
    }

    /// Writes one message.
    pub(crate) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        let plain = postcard::to_stdvec(message).map_err(io::Error::other)?;
        if plain.len() > LIMIT {
            return Err(io::Error::other(format!("a message of {} bytes is too large to send", plain.len())));
        }
        if plain.len() >= SMALL {
            let packed = lz4_flex::block::compress_prepend_size(&plain);
            if packed.len() < plain.len() {
                return self.raw(&framed(PACKED, &packed));
            }
        }
        self.raw(&framed(PLAIN, &plain))
    }

    /// Writes a piece of a content and empties it; returns how long it was.
    pub(crate) fn content(&self, piece: &mut Piece) -> io::Result<usize> {
        let len = std::mem::take(&mut piece.len);
        let claim = u32::try_from(len + 5).unwrap_or(u32::MAX);
        piece.bytes[..4].copy_from_slice(&claim.to_le_bytes());
        self.raw(&piece.bytes[..HEAD + len]).map(|()| len)
    }

    /// Returns how many bytes were written.
    pub(crate) fn sent(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }

    /// Drops the stream, which tells the other end that nothing more will come.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(io::sink());
    }
}

/// Makes one buffer, so that one write and one packet carry a small frame. `send` bounds the body.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    out.extend_from_slice(&u32::try_from(body.len() + 1).unwrap_or(u32::MAX).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
    out
}

/// Reads the next frame; `None` at the end of the stream between two frames.
pub(crate) fn read(stream: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; 5];
    let mut have = 0;
    while have < head.len() {
        match stream.read(&mut head[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(cut()),
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if len == 0 || len > LIMIT + LIMIT / 16 {
        return Err(bad(format!("a frame of {len} bytes")));
    }
    let mut left = len - 1;
    let mut ask = [0; 4];
    if head[4] == CONTENT {
        left = left.checked_sub(ask.len()).ok_or_else(|| bad("a file frame without its number".into()))?;
        stream.read_exact(&mut ask)?;
    }
    let mut body = Vec::with_capacity(left.min(CHUNK + 64));
    stream.take(left as u64).read_to_end(&mut body)?;
    if body.len() < left {
        return Err(cut());
    }
    match head[4] {
        PLAIN => Ok(Some(Frame::Message(body))),
        PACKED => {
            let (size, packed) = lz4_flex::block::uncompressed_size(&body).map_err(|e| bad(e.to_string()))?;
            // lz4 packs 255 : 1 at best, so a size beyond that is a lie told to make us allocate.
            if size > LIMIT || size > packed.len().saturating_mul(256) {
                return Err(bad(format!("a message of {size} bytes")));
            }
            Ok(Some(Frame::Message(lz4_flex::block::decompress(packed, size).map_err(|e| bad(e.to_string()))?)))
        }
        CONTENT => Ok(Some(Frame::Content(u32::from_le_bytes(ask), body))),
        kind => Err(bad(format!("a frame of kind {kind}"))),
    }
}

/// Decodes a message.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    postcard::from_bytes(body).map_err(|error| bad(format!("a message that cannot be read ({error})")))
}

/// Skips what a login shell prints, up to and including the magic word. When the word never comes, returns what
/// was skipped, and why the stream ended.
pub(crate) fn skip_chatter(stream: &mut impl Read) -> Result<(), String> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(MAGIC) {
        match stream.read(&mut byte) {
            Ok(1) if seen.len() < CHATTER => seen.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("{} {error}", String::from_utf8_lossy(&seen).trim()).trim().to_owned()),
            Ok(_) => return Err(String::from_utf8_lossy(&seen).trim().to_owned()),
        }
    }
    Ok(())
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended within a frame")
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the stream carries {what}: it is damaged, or no minion's"))
}
