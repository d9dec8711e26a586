//! `corpus-minion`: the static program that a master puts on a machine and talks to through its standard
//! input and output. It needs nothing on the machine but a kernel.

use corpus_core::digest::hex;
use corpus_minion::{Local, LocalOptions};
use corpus_wire::{ServeOptions, file_sha256, serve};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, setsid};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const USAGE: &str =
    "usage: corpus-minion serve [--cache DIR [--lock FILE]] | --version | --digest | --self-check SHA256\n";
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
        ["--self-check", wanted] => self_check(wanted),
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

/// Checks that this file is what its name is going to promise, and that it is on the disk.
fn self_check(wanted: &str) -> Result<(), String> {
    let have = digest()?;
    if have != wanted {
        return Err(format!("its SHA-256 is {have}"));
    }
    File::open(SELF).and_then(|file| file.sync_all()).map_err(|error| format!("cannot write it to the disk: {error}"))
}
