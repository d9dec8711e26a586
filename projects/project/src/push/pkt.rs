//! Git's pkt-lines, as `proc-receive` speaks them.

use std::io::{self, Read, Write};

/// Reads lines up to a flush, without their line ends; `None` at the end of the stream.
pub fn read_all(from: &mut impl Read) -> io::Result<Option<Vec<Vec<u8>>>> {
    let mut lines: Vec<Vec<u8>> = vec![];
    loop {
        let mut head = [0; 4];
        match from.read(&mut head[..1])? {
            0 if lines.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => from.read_exact(&mut head[1..])?,
        }
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "no pkt-line");
        let text = std::str::from_utf8(&head).map_err(|_| bad())?;
        let length = usize::from_str_radix(text, 16).map_err(|_| bad())?;
        match length {
            0 => return Ok(Some(lines)),
            4.. => {
                let mut line = vec![0; length - 4];
                from.read_exact(&mut line)?;
                while line.last() == Some(&b'\n') {
                    line.pop();
                }
                lines.push(line);
            }
            _ => return Err(bad()),
        }
    }
}

/// Writes lines and a flush.
pub fn write_all(to: &mut impl Write, lines: &[impl AsRef<[u8]>]) -> io::Result<()> {
    for line in lines.iter().map(AsRef::as_ref) {
        to.write_all(format!("{:04x}", line.len() + 4).as_bytes())?;
        to.write_all(line)?;
    }
    to.write_all(b"0000")?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_there_and_back() {
        let mut bytes = vec![];
        write_all(&mut bytes, &["version=1\0push-options", ""]).expect("written");
        assert_eq!(bytes, b"001aversion=1\0push-options00040000");
        assert_eq!(read_all(&mut bytes.as_slice()).expect("read").expect("there").len(), 2);
        assert!(read_all(&mut &b""[..]).expect("an end").is_none());
        for bad in [&b"00"[..], b"zzzz", b"0003", b"0009ab", b"0005a"] {
            assert!(read_all(&mut &*bad).is_err(), "{bad:?}");
        }
    }
}
