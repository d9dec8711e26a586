//! What goes over the privileged side's socket: a little-endian `u32` length and that many bytes of JSON.

use super::{Kind, Options};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// The version of the frames.
pub const VERSION: u32 = 1;
/// The longest frame.
pub const FRAME: usize = 64 << 10;

/// The one frame that a client sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub version: u32,
    pub what: What,
}

/// All that can be asked of the privileged side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    Deploy(Order),
    Attach {
        project: String,
    },
    /// End the deployment that is under way.
    Cancel {
        project: String,
        who: String,
    },
}

/// Deploy this revision of this project.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub project: String,
    pub kind: Kind,
    /// The branch that is pushed to, and what the pusher knows it to be.
    pub reference: String,
    pub old: String,
    /// The commit.
    pub new: String,
    pub options: Options,
    /// Who pushes, as far as that is known; for people's eyes only.
    pub who: String,
}

/// What the privileged side says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tell {
    /// Another deployment is under way; this one waits.
    Queued { behind: String },
    /// A line, with the step that it belongs to.
    Line { step: String, text: String },
    /// Nothing was to be told for a while.
    Beat { step: String, at: String, seconds: u64 },
    /// This reader was too slow for so many lines.
    Skipped { lines: u64 },
    /// The end.
    Verdict { ok: bool, plan: bool, revision: String, summary: String },
    /// Nothing was done.
    Refused { why: String },
}

/// Writes a frame.
pub fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= FRAME);
    let length = length.ok_or_else(|| bad(format!("a frame of {} bytes; {FRAME} is the most", body.len())))?;
    let mut whole = length.to_le_bytes().to_vec();
    whole.extend(body);
    to.write_all(&whole)
}

/// Reads a frame; `None` at the end.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut length[1..])?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length == 0 || length > FRAME {
        return Err(bad(format!("a frame of {length} bytes; {FRAME} is the most")));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    serde_json::from_slice(&body).map(Some).map_err(|error| bad(format!("a frame that is not understood: {error}")))
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            project: "foo".into(),
            kind: Kind::Project,
            reference: "refs/heads/main".into(),
            old: "0".repeat(40),
            new: "1".repeat(40),
            options: Options::default(),
            who: "a".into(),
        }
    }

    #[test]
    fn frames_go_there_and_back() {
        let mut bytes = vec![];
        write(&mut bytes, &Ask { version: VERSION, what: What::Deploy(order()) }).expect("it is written");
        let back: Ask = read(&mut bytes.as_slice()).expect("it is read").expect("it is there");
        assert!(matches!(back.what, What::Deploy(order) if order.project == "foo"));
        assert!(read::<Ask>(&mut &[][..]).expect("an end is no error").is_none());
    }

    #[test]
    fn garbage_is_refused() {
        let framed = |body: &[u8]| [&(body.len() as u32).to_le_bytes()[..], body].concat();
        for bytes in [
            vec![1],
            vec![0; 4],
            vec![0xff; 64],
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            framed(b"{}"),
            framed(b"[]"),
            framed(b"\xff\xfe"),
            framed(br#"{"version":1,"what":{"shell":{"command":"id"}}}"#),
            framed(br#"{"version":1,"what":{"attach":{"project":"foo"}},"more":1}"#),
            framed(br#"{"version":1,"what":{"attach":{"project":"foo","as":"root"}}}"#),
            framed(br#"{"version":1,"what":{"attach":{"project":"foo"}}} x"#),
            framed("[".repeat(60_000).as_bytes()),
            framed(br#"{"version":1,"what":{"attach":{"project":"foo"}}}"#)[..20].to_vec(),
        ] {
            assert!(read::<Ask>(&mut bytes.as_slice()).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
        let long = Tell::Refused { why: "x".repeat(FRAME) };
        assert!(write(&mut vec![], &long).is_err());
    }
}
