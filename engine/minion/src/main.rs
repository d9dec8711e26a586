//! `corpus-minion`: the static program that a master puts on a machine and talks to through its standard
//! input and output. It needs nothing on the machine but a kernel.

use corpus_core::digest::hex;
use corpus_minion::{Local, LocalOptions};
use corpus_wire::{ServeOptions, file_sha256, serve};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, setsid};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const USAGE: &str =
    "usage: corpus-minion serve [--cache DIR [--lock FILE]] | --version | --digest | --move-in NAME SHA256 KNOWN\n";
/// This program's own file, whatever it is called.
const SELF: &str = "/proc/self/exe";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve"] => run(LocalOptions::new(default_cache())),
        ["serve", "--cache", dir] => run(LocalOptions::new(*dir)),
        ["serve", "--cache", dir, "--lock", lock] => run(LocalOptions { cache: dir.into(), lock: lock.into() }),
        ["--version"] => say(&format!("corpus-minion {}\n", corpus_minion::build())),
        ["--digest"] => digest().and_then(|digest| say(&format!("{digest}\n"))),
        ["--move-in", name, wanted, known] => move_in(Path::new(name), wanted, known),
        _ => {
            let _ = io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "corpus-minion: {why}");
            ExitCode::FAILURE
        }
    }
}

fn default_cache() -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() { "/var/cache/corpus".into() } else { format!("/var/tmp/.corpus_{}/cache", user.as_raw()).into() }
}

/// Serves a master over standard input and output.
fn run(options: LocalOptions) -> Result<(), String> {
    let (read, write) = take_stdio().map_err(|error| format!("cannot take the standard streams: {error}"))?;
    // A dropped connection must not stop a run. A flag instead of `ignore`: programs that a run starts inherit
    // an ignored signal, and daemons among them would be deaf to it.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::new(AtomicBool::new(false)));
    let _ = setsid();
    // No core dumps, which would hold pillar; unlike a limit this is not inherited.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = std::env::set_current_dir("/");
    let serving = ServeOptions::new(&options.cache);
    serve(Box::new(read), Box::new(write), &Local::new(options), &serving).map_err(|error| error.to_string())
}

/// Moves the streams out of the way of the programs that a run starts: one that reads from its standard input
/// or writes to its standard output must not meet the frames.
fn take_stdio() -> io::Result<(File, File)> {
    use rustix::io::fcntl_dupfd_cloexec;
    use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};
    let read = fcntl_dupfd_cloexec(stdin(), 3)?;
    let write = fcntl_dupfd_cloexec(stdout(), 3)?;
    // A bare root has no /dev: a pipe that nobody writes to is as empty.
    let empty = File::open("/dev/null").map(OwnedFd::from).or_else(|_| rustix::pipe::pipe().map(|(read, _)| read))?;
    dup2_stdin(empty)?;
    dup2_stdout(stderr())?;
    Ok((File::from(read), File::from(write)))
}

fn say(text: &str) -> Result<(), String> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}

fn digest() -> Result<String, String> {
    file_sha256(Path::new(SELF)).map(|digest| hex(&digest)).ok_or_else(|| format!("cannot read {SELF}"))
}

/// Gives this file the name that its digest promises, once it is what it should be and on the disk; `known` is the
/// digest that somebody else has found. Programs of earlier builds go a month later.
fn move_in(name: &Path, wanted: &str, known: &str) -> Result<(), String> {
    let have = if known == wanted { known.to_owned() } else { digest()? };
    if have != wanted {
        return Err(format!("its SHA-256 is {have}"));
    }
    let failed = |error: io::Error| format!("cannot write it to the disk: {error}");
    let own = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    File::open(SELF).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(own, name).map_err(failed)?;
    let old = |path: &Path| -> Option<bool> {
        let named = path.file_name()?.to_str()?.starts_with("corpus-minion-");
        let age = fs::symlink_metadata(path).ok()?.modified().ok()?.elapsed().ok()?;
        Some(named && age > Duration::from_secs(30 * 24 * 3600))
    };
    let folder = name.parent().and_then(|folder| fs::read_dir(folder).ok());
    for path in folder.into_iter().flatten().flatten().map(|entry| entry.path()) {
        if old(&path) == Some(true) {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}
