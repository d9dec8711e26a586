//! `corpus git-shell`: all that a project's user can do over SSH. It is the forced command of the user's keys, and can
//! be its login shell. No shell is between the request and git.

use super::{Conf, Kind, Place, attach, settings};
use std::os::unix::process::CommandExt;
use std::path::Path;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// One of git's services on one of the two repositories.
    Git(&'static str, Kind),
    /// Show the deployment that is under way, or the last one.
    Attach,
    /// End it.
    Cancel,
    /// Nothing: somebody looks in.
    Greeting,
}

const SERVICES: &[&str] = &["receive-pack", "upload-pack", "upload-archive"];
const LONGEST: usize = 400;
/// How many seconds of a processor one program of a push may take.
const PROCESSOR: u64 = 1800;

/// Reads the command that the client sent. What is not exactly one of the known forms is refused.
pub fn parse(command: &str, place: &Place) -> Result<Request, String> {
    let refused = || {
        let shown = super::text::short(command, 60);
        format!(
            "`{shown}` is not something that can be done here: git push, fetch and clone, `attach` and `cancel` can"
        )
    };
    if command.is_empty() {
        return Ok(Request::Greeting);
    }
    if command.len() > LONGEST || command.chars().any(|c| c.is_control()) {
        return Err(refused());
    }
    match command {
        "attach" => return Ok(Request::Attach),
        "cancel" => return Ok(Request::Cancel),
        _ => {}
    }
    let rest = command.strip_prefix("git-").or_else(|| command.strip_prefix("git ")).ok_or_else(refused)?;
    let (service, rest) = rest.split_once(' ').ok_or_else(refused)?;
    let service = SERVICES.iter().find(|known| **known == service).ok_or_else(refused)?;
    // As git writes it: quoted. What needs more than quotes is no path of ours.
    let path = rest.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(rest);
    if path.starts_with('-') || !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-~".contains(&b)) {
        return Err(refused());
    }
    let of = |kind: Kind| {
        let full = place.bare(kind);
        let short = path.strip_prefix("~/").or_else(|| path.strip_prefix('/')).unwrap_or(path);
        let named = short.strip_prefix(&place.name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(short);
        Path::new(path).as_os_str() == full.as_os_str() || named == kind.file()
    };
    let kind = [Kind::Project, Kind::Pillar].into_iter().find(|kind| of(*kind));
    kind.map(|kind| Request::Git(service, kind)).ok_or_else(|| {
        format!(
            "`{path}` is no repository of `{}`: there are {} and {}",
            place.name,
            Kind::Project.file(),
            Kind::Pillar.file()
        )
    })
}

/// Does what the client asks for; returns only what could not be done, or the exit code of what needs no other program.
pub fn run(conf: &Conf, project: Option<&str>, who: &str, command: &str) -> Result<u8, String> {
    let user = std::env::var("LOGNAME").or_else(|_| std::env::var("USER")).unwrap_or_default();
    let project = project.map_or_else(|| user.strip_suffix("-user").unwrap_or(&user).to_owned(), str::to_owned);
    let place = conf.place(&project)?;
    let (uid, _) = place.owner()?;
    let me = rustix::process::geteuid().as_raw();
    if uid != me {
        return Err(format!("the project `{project}` belongs to another user"));
    }
    match parse(command, &place)? {
        Request::Greeting => {
            greet(&place);
            Ok(0)
        }
        Request::Attach => attach(conf, &project, &mut std::io::stdout()),
        Request::Cancel => attach::cancel(conf, &project, who, &mut std::io::stdout()),
        Request::Git(service, kind) => Err(exec(conf, service, &place, kind, who)),
    }
}

fn exec(conf: &Conf, service: &str, place: &Place, kind: Kind, who: &str) -> String {
    let bare = place.bare(kind);
    let protocol = std::env::var("GIT_PROTOCOL")
        .ok()
        .filter(|text| text.strip_prefix("version=").is_some_and(|version| ["0", "1", "2"].contains(&version)));
    let settings = settings::of(conf);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut git = corpus_git::program::git(&bare, &settings);
    git.env("CORPUS_PUSH_WHO", super::text::short(who, 80));
    // What is only set aside counts against the limit, too.
    git.env("MALLOC_ARENA_MAX", "2");
    if let Some(protocol) = protocol {
        git.env("GIT_PROTOCOL", protocol);
    }
    git.arg(service);
    match service {
        "upload-pack" => _ = git.args(["--strict", "--timeout=600"]),
        "receive-pack" => confine(conf),
        _ => {}
    }
    format!("cannot start git: {}", git.arg(&bare).exec())
}

/// The last line of defence against a push that fills the disk or the memory: a few bytes of deltas can unfold to an
/// object of any size, long before somebody can look at it.
fn confine(conf: &Conf) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let most = conf.max_push.saturating_mul(2).saturating_add(64 << 20);
    // The pack is mapped, and of the largest file that is taken there may be a base and what is made of it.
    let memory = most.saturating_add(conf.max_file.saturating_mul(2)).saturating_add(1 << 30);
    for (what, most) in
        [(Resource::Fsize, most), (Resource::Core, 0), (Resource::As, memory), (Resource::Cpu, PROCESSOR)]
    {
        // Where the limit is lower already, it stays.
        let _ = setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) });
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
}

fn greet(place: &Place) {
    eprintln!(
        "Hello. This is the project `{0}`, and you are known here; there is no shell.\n\
         Deploy by pushing:        git push <this host>:{1}\n\
         Change the pillar:        git push <this host>:{2}\n\
         Watch the deployment:     ssh <this host> attach\n\
         End it:                   ssh <this host> cancel",
        place.name,
        place.bare(Kind::Project).display(),
        place.bare(Kind::Pillar).display(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_and_people_send_is_understood() {
        let place = Conf::default().place("foo").expect("a name");
        let read = |command: &str| parse(command, &place);
        for (command, service, kind) in [
            ("git-receive-pack '/srv/projects/foo/git/project.git'", "receive-pack", Kind::Project),
            ("git-receive-pack 'project.git'", "receive-pack", Kind::Project),
            ("git-upload-pack '/pillar.git'", "upload-pack", Kind::Pillar),
            ("git upload-pack '~/pillar.git'", "upload-pack", Kind::Pillar),
            ("git-upload-archive foo/project.git", "upload-archive", Kind::Project),
        ] {
            assert_eq!(read(command), Ok(Request::Git(service, kind)), "{command}");
        }
        assert_eq!((read("attach"), read("cancel")), (Ok(Request::Attach), Ok(Request::Cancel)));
        assert_eq!(read(""), Ok(Request::Greeting));
    }

    #[test]
    fn everything_else_is_refused() {
        let place = Conf::default().place("foo").expect("a name");
        for command in [
            "id",
            "sh",
            "bash -c id",
            "git",
            "git-shell",
            "git-receive-pack",
            "git-receive-pack ",
            "git-receive-pack ''",
            "git-receive-pack 'project.git'; id",
            "git-receive-pack 'project.git' ; id",
            "git-receive-pack 'project.git'\nid",
            "git-receive-pack 'project.git' && id",
            "git-receive-pack $(id)",
            "git-receive-pack `id`",
            "git-receive-pack 'pro'ject.git'",
            "git-receive-pack 'project.git' '/etc'",
            "git-receive-pack --help",
            "git-receive-pack '--upload-pack=id'",
            "git-upload-pack --upload-pack=id project.git",
            "git-upload-pack '-oProxyCommand=id'",
            "git-receive-pack '/srv/projects/bar/git/project.git'",
            "git-receive-pack '/srv/projects/foo/git/../../bar/git/project.git'",
            "git-receive-pack '/srv/projects/foo/git//project.git'",
            "git-receive-pack '/srv/projects/foo/git/project.git/'",
            "git-receive-pack '../bar/git/project.git'",
            "git-receive-pack 'bar/project.git'",
            "git-receive-pack 'foo/foo/project.git'",
            "git-receive-pack '~root/project.git'",
            "git-receive-pack 'PROJECT.GIT'",
            "git-receive-pack 'project'",
            "git-receive-pack  'project.git'",
            "GIT-RECEIVE-PACK 'project.git'",
            "git-daemon 'project.git'",
            "git -c core.sshCommand=id receive-pack 'project.git'",
            "scp -t /tmp/x",
            "rsync --server . /",
            "/usr/lib/openssh/sftp-server",
            "internal-sftp",
            "cancel bar",
            "cancel ",
            "attach bar",
            "attach; id",
            "git-receive-pack 'project.git\u{0}'",
        ] {
            assert!(parse(command, &place).is_err(), "{command:?}");
        }
        assert!(parse(&format!("git-receive-pack '{}'", "a".repeat(400)), &place).is_err());
    }
}
