//! What file states and `file.*` functions share: comparing, editing text as Salt edits it, ownership,
//! hashes and walking. Everything here looks and computes; whoever calls it turns the outcome into effects.

pub mod block;
pub(crate) mod call;
pub mod comment;
pub mod diff;
pub mod hash;
pub mod line;
pub mod pattern;
pub mod perms;
pub mod replace;
pub mod times;
pub mod walk;

use corpus_core::Value;
use corpus_core::host::{HostResult, Look};
use std::path::{Path, PathBuf};

/// Splits text into lines that keep their line feeds, as Python's `readlines` does.
pub fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Splits text as Python's `splitlines` does for the line ends that configuration files have.
pub fn split_lines(text: &str) -> Vec<&str> {
    let mut out: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    if out.last() == Some(&"") {
        out.pop();
    }
    out
}

/// Text of a file and how to write it back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    latin1: bool,
}

impl Text {
    /// Reads bytes as text; `None` if they are none. Bytes that are no UTF-8 are read as Latin-1, so that an
    /// edit leaves them as they are.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if diff::is_binary(bytes) {
            return None;
        }
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => Self { text: text.to_owned(), latin1: false },
            Err(_) => Self { text: bytes.iter().map(|byte| char::from(*byte)).collect(), latin1: true },
        })
    }

    /// Returns the bytes of an edited text, in the encoding that it was read in.
    pub fn bytes(&self, text: &str) -> Vec<u8> {
        let narrow = || text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>();
        self.latin1.then(narrow).flatten().unwrap_or_else(|| text.as_bytes().to_vec())
    }
}

/// Expands a leading `~`, as Python's `os.path.expanduser` does.
pub fn expand_user(host: &dyn Look, path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
    let (name, tail) = rest.split_once('/').map_or((rest, String::new()), |(name, tail)| (name, format!("/{tail}")));
    let user = if name.is_empty() { "root" } else { name };
    match host.user(user) {
        Ok(Some(user)) => format!("{}{tail}", user.home.trim_end_matches('/')),
        _ => path.to_owned(),
    }
}

/// Resolves `.`, `..` and doubled slashes without looking, as Python's `os.path.normpath` does.
pub fn normpath(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut out: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if out.last().is_some_and(|last| *last != "..") => _ = out.pop(),
            ".." if absolute => {}
            other => out.push(other),
        }
    }
    match (absolute, out.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".into(),
        (false, rest) => rest,
    }
}

/// Follows the links of a path's last part to what it names.
pub fn real_path(host: &dyn Look, path: &Path) -> HostResult<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..40 {
        match host.lstat(&at)? {
            Some(meta) if meta.is_symlink() => {
                let target = host.read_link(&at)?;
                at = PathBuf::from(normpath(&at.parent().unwrap_or(Path::new("/")).join(target).to_string_lossy()));
            }
            _ => break,
        }
    }
    Ok(at)
}

/// Follows all links, those of the parents too, but for the last part's own: where something of that name is or would be.
pub fn place(host: &dyn Look, path: &Path) -> HostResult<PathBuf> {
    let mut at = PathBuf::from("/");
    for part in parent(path).components().skip(1) {
        at = real_path(host, &at.join(part))?;
    }
    Ok(path.file_name().map_or(at.clone(), |name| at.join(name)))
}

/// Returns the directory of a path, `/` for what has none.
pub fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Returns the parents of a path that do not exist, outermost first.
pub fn missing_parents(host: &dyn Look, path: &Path) -> HostResult<Vec<PathBuf>> {
    let mut out = vec![];
    for dir in path.ancestors().skip(1) {
        if dir.as_os_str().is_empty() || host.stat(dir)?.is_some() {
            break;
        }
        out.push(dir.to_owned());
    }
    out.reverse();
    Ok(out)
}

/// Returns the name that Salt gives the n-th back-up of a file: its path under the cache, with the time.
pub fn backup_path(root: &Path, path: &Path, mtime: i128) -> PathBuf {
    let seconds = mtime.div_euclid(1_000_000_000);
    let micros = mtime.rem_euclid(1_000_000_000) / 1000;
    let ((year, month, day), weekday) = calendar(seconds.div_euclid(86_400) as i64);
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    let name = path.strip_prefix("/").unwrap_or(path).display();
    root.join(format!(
        "{name}_{}_{}_{day:02}_{hour:02}:{minute:02}:{second:02}_{micros:06}_{year}",
        WEEKDAYS[weekday], MONTHS[month]
    ))
}

/// Returns where a fetched file lies on a minion, by saltenv and path as in Salt's cache.
pub fn cached(url: &str, env: &str) -> String {
    const CACHE: &str = "/var/cache/corpus/cp";
    match url.split_once("://") {
        Some(("salt", path)) => format!("{CACHE}/files/{env}/{}", path.split('?').next().unwrap_or(path)),
        Some((_, rest)) => format!("{CACHE}/extrn_files/{env}/{rest}"),
        None => format!("{CACHE}/files/{env}/{}", url.trim_start_matches('/')),
    }
}

/// Returns where `backup: minion` keeps what a file was: below the minion's `cachedir`.
pub fn backups(opts: &Value) -> PathBuf {
    let cache = opts.get("cachedir").and_then(Value::as_str).unwrap_or("/var/cache/salt/minion");
    Path::new(cache).join("file_backup")
}

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns year, month from 0 and day, and the weekday counted from Thursday, of a day counted from 1970.
fn calendar(days: i64) -> ((i64, usize, i64), usize) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    ((year, (month - 1) as usize, doy - (153 * mp + 2) / 5 + 1), days.rem_euclid(7) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes_as_python_does() {
        for (path, expected) in
            [("/a/../b//c/.", "/b/c"), ("a/..", "."), ("../x", "../x"), ("/..", "/"), ("", "."), ("/", "/")]
        {
            assert_eq!(normpath(path), expected);
        }
    }

    #[test]
    fn names_backups_after_their_time() {
        let path = backup_path(Path::new("/kept"), Path::new("/etc/motd"), 1_700_000_000_123_456_000);
        assert_eq!(path, Path::new("/kept/etc/motd_Tue_Nov_14_22:13:20_123456_2023"));
    }

    #[test]
    fn text_that_is_no_utf8_survives_an_edit() {
        let bytes = b"caf\xe9\n";
        let text = Text::read(bytes).expect("it is text");
        assert_eq!(text.bytes(&text.text), bytes);
        assert_eq!(Text::read(b"a\0b"), None);
    }
}
