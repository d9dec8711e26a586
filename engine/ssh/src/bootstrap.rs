//! Starting the minion with one command: a line of POSIX shell that runs the program if it is there under its
//! digest, and otherwise takes it in on its standard input. The second run is one exec and no upload.
//!
//! What is on the machine is trusted by these checks: the directory is a real one, ours, closed to others; the
//! program's name is its digest, its size is right, and it is ours. Nothing about the directory is mended: what is
//! not as we make it was made by somebody else. A program that arrives is hashed there,
//! before it is run (by `openssl` or `sha256sum`; the former needs a sixth of the time where the processor helps) and before it gets its name, which it gives itself: each
//! program less that the script starts is worth milliseconds on each machine.

use crate::session::{Pipe, Session};
use crate::{Host, SshError};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// How much of a shell's chatter is put up with before the script's first word.
const CHATTER: usize = 64 * 1024;

/// `$1` directory, `$2` architectures as `name=digest:size …`, `$3` umask of the minion. No single quote, no new
/// line and no exclamation mark may occur in it: it is quoted for whatever login shell there is, csh included.
const SCRIPT: &str = concat!(
    r#"d=$1; m=$(uname -m); a=; for w in $2; do case $w in "$m="*) a=${w#*=};; esac; done; "#,
    r#"say() { printf "\nCORPUS-%s\n" "$*"; }; "#,
    r#"[ -n "$a" ] || { say ARCH "$(uname -s)" "$m"; exit 0; }; "#,
    r#"s=${a%:*}; z=${a#*:}; f=$d/corpus-minion-$s; t=$d/.up-$$; u=$3; umask 077; "#,
    r#"fail() { rm -f "$t"; say FAIL "$*"; exit 0; }; "#,
    r#"run() { umask "$u"; say RUN; exec "$f" serve --cache "$d/cache"; }; "#,
    r#"ok() { set -- $(LC_ALL=C ls -ldn "$d" "$f" 2>/dev/null); case "${1-}/${10-}" in "#,
    r#"drwx------*/-rwx------*) [ "${14-}" = "$z" ] && [ -O "$d" ] && [ -O "$f" ];; *) false;; esac; }; "#,
    r#"if ok; then run; fi; "#,
    r#"mkdir -m 700 "$d" 2>/dev/null || { "#,
    r#"[ -e "$d" ] || [ -L "$d" ] || e=$(mkdir -p -m 700 "$d" 2>&1) || fail dir "$e"; "#,
    r#"if [ -L "$d" ]; then fail trust it is a symbolic link; fi; "#,
    r#"[ -d "$d" ] || fail trust it is not a directory; "#,
    r#"[ -O "$d" ] || fail trust it belongs to another user; "#,
    r#"set -- $(LC_ALL=C ls -ldn "$d"); case $1 in drwx------|drwx------.|drwx--S---|drwx--S---.) ;; "#,
    r#"*) fail trust "it is open to others ($1)";; esac; }; say NEED "$m"; "#,
    r#"e=$({ head -c "$z" > "$t"; } 2>&1) || fail write "$e"; "#,
    r#"h=$(openssl dgst -sha256 -r "$t" 2>/dev/null || sha256sum "$t" 2>/dev/null); h=${h%% *}; "#,
    r#"[ "$h" = "$s" ] || { set -- $(wc -c < "$t"); [ "$1" = "$z" ] || fail digest "$1 of $z bytes came"; "#,
    r#"[ -z "$h" ] || fail digest "its SHA-256 is $h"; }; "#,
    r#"chmod 700 "$t"; e=$("$t" --move-in "$f" "$s" "$h" 2>&1) || fail check "$e"; "#,
    r#"run"#,
);

/// A minion program at hand on the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinionBinary {
    pub path: PathBuf,
    pub sha256: [u8; 32],
    pub size: u64,
    /// What `uname -m` says on machines that can run it, `x86_64`.
    pub arch: String,
}

impl MinionBinary {
    /// Reads a file and computes its digest; the architecture is read from its ELF header.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SshError> {
        let path = path.into();
        let unusable = |why: String| SshError::Binary { path: path.clone(), why };
        let mut head = [0; 20];
        let mut file = File::open(&path).map_err(|error| unusable(error.to_string()))?;
        file.read_exact(&mut head).map_err(|error| unusable(error.to_string()))?;
        if !head.starts_with(b"\x7fELF") {
            return Err(unusable("it is not a Linux program".into()));
        }
        let machine = if head[5] == 2 { [head[19], head[18]] } else { [head[18], head[19]] };
        let arch = match u16::from_le_bytes(machine) {
            0x3e => "x86_64",
            0xb7 => "aarch64",
            0xf3 => "riscv64",
            0x16 => "s390x",
            0x15 => "ppc64le",
            other => return Err(unusable(format!("its machine type {other:#x} is not known"))),
        };
        let size = file.metadata().map_err(|error| unusable(error.to_string()))?.len();
        let sha256 = corpus_wire::file_sha256(&path).ok_or_else(|| unusable("it cannot be read".into()))?;
        Ok(Self { path, sha256, size, arch: arch.to_owned() })
    }
}

impl Session {
    /// Starts the minion, bringing it there first if it is not; its first frame is the next thing to read.
    pub fn start_minion(&self, binaries: &[MinionBinary]) -> Result<Pipe, SshError> {
        let dir = self.host.thin_dir.clone().unwrap_or_else(|| default_dir(&self.host));
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
        if !dir.starts_with('/') || dir.ends_with('/') || !dir.chars().all(plain) {
            return Err(SshError::Config(format!(
                "thin_dir `{dir}` must be an absolute path of letters, digits and `/._-+@%`, without a `/` at the end"
            )));
        }
        let mut pipe = self.begin(&words(&self.host, &dir, binaries))?;
        let mut uploaded = false;
        loop {
            let Some(line) = marker(&mut pipe)? else { return Err(not_started(&mut pipe, &self.host)) };
            pipe.read.no_questions();
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "RUN" => {
                    pipe.read.for_ever();
                    return Ok(pipe);
                }
                "NEED" if !uploaded => {
                    uploaded = true;
                    upload(&mut pipe, binaries, rest)?;
                }
                "ARCH" => {
                    let (system, arch) = rest.split_once(' ').unwrap_or((rest, ""));
                    let have = binaries.iter().map(|b| b.arch.clone()).collect();
                    return Err(SshError::NoBinary { system: system.into(), arch: arch.into(), have });
                }
                "FAIL" => return Err(failure(rest, dir)),
                _ => return Err(SshError::Start { code: None, said: format!("unexpected answer `{line}`") }),
            }
        }
    }
}

impl Session {
    /// Starts a program as whom the minion runs as; what it writes is the next thing to read.
    pub fn start_program(&self, argv: &[String]) -> Result<Pipe, SshError> {
        let start = ["/bin/sh", "-c", r#"printf "\nCORPUS-RUN\n"; exec "$@""#, "corpus"].map(str::to_owned);
        let mut pipe = self.begin(&[start.to_vec(), argv.to_vec()].concat())?;
        match marker(&mut pipe)? {
            Some(line) if line == "RUN" => {
                pipe.read.no_questions();
                pipe.read.for_ever();
                Ok(pipe)
            }
            Some(line) => Err(SshError::Start { code: None, said: format!("unexpected answer `{line}`") }),
            None => Err(not_started(&mut pipe, &self.host)),
        }
    }

    /// Starts a command as the user that the roster says, whose password is given when it is asked for.
    fn begin(&self, words: &[String]) -> Result<Pipe, SshError> {
        let password = self.host.passwd.clone().filter(|_| self.host.sudo);
        let prompt = password.as_ref().map(|_| prompt());
        let mut pipe = self.spawn(&command(&self.host, words, prompt.as_deref()))?;
        if let (Some(prompt), Some(password)) = (prompt, password) {
            pipe.read.answer(prompt, password);
        }
        Ok(pipe)
    }
}

/// Returns where the minion lives on a machine: per user, in a place that survives a restart.
fn default_dir(host: &Host) -> String {
    let user = match (&host.sudo_user, host.sudo) {
        (Some(user), true) => user.as_str(),
        (None, true) => "root",
        (_, false) => host.user.as_deref().unwrap_or("user"),
    };
    let plain: String = user.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    format!("/var/tmp/.corpus_{plain}")
}

/// Makes a question that nobody else asks.
fn prompt() -> String {
    use std::hash::{BuildHasher, Hasher};
    format!("corpus-sudo-{:016x}:", std::hash::RandomState::new().build_hasher().finish())
}

/// Writes the start of the minion.
fn words(host: &Host, dir: &str, binaries: &[MinionBinary]) -> Vec<String> {
    let arches: Vec<String> =
        binaries.iter().map(|b| format!("{}={}:{}", b.arch, corpus_core::digest::hex(&b.sha256), b.size)).collect();
    let umask = format!("{:04o}", host.umask.unwrap_or(0o022));
    ["/bin/sh", "-c", SCRIPT, "corpus", dir, &arches.join(" "), &umask].map(str::to_owned).to_vec()
}

/// Writes the command for the login shell. With a prompt, sudo asks on standard error and reads the answer from
/// standard input, before the script does; without, it refuses to ask.
fn command(host: &Host, words: &[String], prompt: Option<&str>) -> String {
    let words = host.wrap.iter().chain(words);
    let shell = words.map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    match (host.sudo, &host.sudo_user) {
        (false, _) => format!("exec {shell}"),
        (true, user) => {
            let ask = prompt.map_or_else(|| "-n".to_owned(), |prompt| format!("-S -p {}", quote(prompt)));
            let user = user.as_ref().map(|user| format!("-u {} ", quote(user))).unwrap_or_default();
            format!("exec sudo {ask} {user}-- {shell}")
        }
    }
}

/// Quotes a word for any shell.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Reads up to and including the script's next word; `None` if the program ends before.
fn marker(pipe: &mut Pipe) -> Result<Option<String>, SshError> {
    const MARK: &[u8] = b"\nCORPUS-";
    let mut line = Vec::new();
    let mut byte = [0];
    let mut found = false;
    let mut seen = 0;
    loop {
        match pipe.read.read(&mut byte) {
            Ok(1) => {}
            Ok(_) => return Ok(None),
            // A failed program: its status and words are told by `not_started`.
            Err(_) => return Ok(None),
        }
        seen += 1;
        if seen > CHATTER {
            let said = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
            return Err(SshError::Start { code: None, said: format!("the login shell prints without end: {said}…") });
        }
        match (found, byte[0]) {
            (true, b'\n') => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            _ => line.push(byte[0]),
        }
        if !found && line.ends_with(MARK) {
            found = true;
            line.clear();
        }
    }
}

fn upload(pipe: &mut Pipe, binaries: &[MinionBinary], arch: &str) -> Result<(), SshError> {
    let lost = |why: String| SshError::Lost(format!("while the minion was sent: {why}"));
    let Some(binary) = binaries.iter().find(|binary| binary.arch == arch.trim()) else {
        return Err(lost(format!("the machine asks for the architecture `{arch}`")));
    };
    let unusable = |error: std::io::Error| SshError::Binary { path: binary.path.clone(), why: error.to_string() };
    let mut file = File::open(&binary.path).map_err(unusable)?.take(binary.size);
    let mut buffer = vec![0; 128 * 1024];
    let mut sent = 0;
    loop {
        let n = file.read(&mut buffer).map_err(unusable)?;
        if n == 0 {
            break;
        }
        sent += n as u64;
        // A disk that is full ends the script: its words, not the broken pipe, are the reason to tell.
        if !pipe.write_unanswered(&buffer[..n]) {
            return Ok(());
        }
    }
    if sent < binary.size {
        return Err(SshError::Binary { path: binary.path.clone(), why: "it changed while it was sent".into() });
    }
    Ok(())
}

/// Makes an error of the script's own words.
fn failure(words: &str, dir: String) -> SshError {
    let (kind, why) = words.split_once(' ').unwrap_or((words, ""));
    let why = why.trim().to_owned();
    match kind {
        "trust" => SshError::ThinDir { dir, why },
        "digest" => SshError::Damaged { dir, why },
        "check" if why.contains("ermission denied") => SshError::NoExec { dir, why },
        "check" => SshError::Damaged { dir, why },
        _ if why.contains("No space") || why.contains("quota") => SshError::NoSpace { dir, why },
        _ => SshError::Unwritable { dir, why },
    }
}

/// Makes the error for a program that ended before it said anything.
fn not_started(pipe: &mut Pipe, host: &Host) -> SshError {
    if pipe.read.refused() {
        return SshError::Sudo { why: "the password is wrong".into() };
    }
    let (code, said) = pipe.read.finish();
    if host.sudo && (said.contains("sudo:") || said.contains("sudo ")) {
        return SshError::Sudo { why: said };
    }
    SshError::Start { code, said: if said.is_empty() { "it said nothing".into() } else { said } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Runs the script with a shell, and answers `NEED` with the program.
    fn play(shell: &[&str], dir: &Path, wanted: &[u8], sent: &[u8]) -> String {
        let arch = Command::new("uname").arg("-m").output().expect("uname").stdout;
        let digest = corpus_core::digest::hex(&corpus_core::digest::sha256(wanted));
        let word = format!("{}={digest}:{}", String::from_utf8_lossy(&arch).trim(), wanted.len());
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", SCRIPT, "corpus"]).arg(dir).args([&word, "0022"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the shell starts");
        // Whether it wants the program or not: what it does not read is nobody's harm.
        let _ = child.stdin.take().expect("a pipe").write_all(sent);
        String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("text")
    }

    #[test]
    fn every_shell_plays_the_script_alike() {
        // Says yes to its own check, and what it was called with.
        let program = b"#!/bin/sh\nif [ $1 = --move-in ]; then exec mv \"$0\" \"$2\"; fi\necho \"$@ $(umask)\"\n";
        let shells: [&[&str]; 5] =
            [&["/bin/sh"], &["/bin/dash"], &["/bin/bash", "--posix"], &["/bin/busybox", "ash"], &["/bin/mksh"]];
        for shell in shells {
            if !Path::new(shell[0]).exists() {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            let dir = folder.path().join("a/thin");
            let runs = format!("\nCORPUS-RUN\nserve --cache {}/cache 0022\n", dir.display());
            let said = play(shell, &dir, program, program);
            assert!(said.starts_with("\nCORPUS-NEED ") && said.ends_with(&runs), "{shell:?}: {said}");
            assert_eq!(play(shell, &dir, program, b""), runs, "{shell:?}: the second time it is there");
            let damaged = [&program[..program.len() - 1], b"x"].concat();
            std::fs::remove_dir_all(&dir).expect("it can be removed");
            let said = play(shell, &dir, program, &damaged);
            assert!(said.contains("CORPUS-FAIL digest its SHA-256 is "), "{shell:?}: {said}");
            let said = play(shell, &dir, program, &program[..10]);
            assert!(said.contains("CORPUS-FAIL digest 10 of "), "{shell:?}: {said}");
            assert_eq!(std::fs::read_dir(&dir).expect("the folder").count(), 0, "{shell:?}: nothing half-written");
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o770)).expect("chmod");
            let said = play(shell, &dir, program, program);
            assert!(said.contains("CORPUS-FAIL trust it is open to others (drwxrwx---"), "{shell:?}: {said}");
        }
    }

    #[test]
    fn the_script_can_be_quoted_for_any_shell() {
        assert!(!SCRIPT.contains(['\'', '\n', '!']));
    }
}
