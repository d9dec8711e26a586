//! What the privileged side wants to know of a repository, found by a child that is no more than the project's user.

use super::{Conf, Order, Place, exe};
use corpus_git::{Oid, Repo, program, tree};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the child saw.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Sight {
    /// The branch that HEAD names, which is the one that deploys, and whether it has a commit.
    pub head: String,
    pub born: bool,
    /// Where the pushed branch is now.
    pub at: Option<String>,
    /// Whether the pushed object is a commit that is here, and contains what the branch has.
    pub commit: bool,
    pub contains: bool,
    pub subject: Option<String>,
    pub submodules: Vec<String>,
    pub complaints: Vec<String>,
}

/// How the privileged side reaches a repository.
pub trait Hands: Send + Sync + 'static {
    /// Looks at a repository.
    fn look(&self, order: &Order) -> Result<Sight, String>;
    /// Moves a branch from what was seen to what is ordered.
    fn settle(&self, order: &Order, sight: &Sight) -> Result<(), String>;
    /// Clears up in the background.
    fn tidy(&self, order: &Order);
}

/// A child process as the project's user.
pub struct Child {
    pub conf: Conf,
}

/// Takes what a child says, up to a length.
fn drain(pipe: Option<impl Read>) -> Vec<u8> {
    let mut text = vec![];
    if let Some(pipe) = pipe {
        // A child that says more finds its pipe closed.
        let _ = pipe.take(256 << 10).read_to_end(&mut text);
    }
    text
}

impl Child {
    fn place(&self, order: &Order) -> Result<(Place, u32, u32), String> {
        let place = self.conf.place(&order.project)?;
        let (uid, gid) = place.owner()?;
        Ok((place, uid, gid))
    }

    fn answer(&self, mut command: Command, order: &Order) -> Result<Vec<u8>, String> {
        let (_, uid, gid) = self.place(order)?;
        // The standard library drops root's other groups with this.
        command.uid(uid).gid(gid).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot read the repository: {error}"))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let errors = std::thread::spawn(move || drain(err));
        let text = drain(out);
        let status = child.wait().map_err(|error| error.to_string())?;
        let errors = errors.join().unwrap_or_default();
        if status.success() {
            return Ok(text);
        }
        let said = String::from_utf8_lossy(&errors);
        Err(super::text::short(said.trim().lines().last().unwrap_or("it ended without a word"), 200))
    }
}

impl Hands for Child {
    fn look(&self, order: &Order) -> Result<Sight, String> {
        let (place, ..) = self.place(order)?;
        let mut command = Command::new(exe()?);
        command.env_clear().env("PATH", program::PATH).env("HOME", "/nonexistent");
        command.args(["project-hook", "look", &order.reference, &order.new]).current_dir(place.bare(order.kind));
        let text = self.answer(command, order)?;
        serde_json::from_slice(&text).map_err(|error| format!("the repository cannot be read: {error}"))
    }

    fn settle(&self, order: &Order, sight: &Sight) -> Result<(), String> {
        let (place, ..) = self.place(order)?;
        if !sight.born && sight.head != order.reference {
            let mut git = program::git(&place.bare(order.kind), &[]);
            git.args(["symbolic-ref", "HEAD", &order.reference]);
            self.answer(git, order)?;
        }
        let zero = "0".repeat(40);
        let settings = [("core.fsync", "committed"), ("core.logAllRefUpdates", "true")];
        let mut git = program::git(&place.bare(order.kind), &settings);
        git.env("GIT_COMMITTER_NAME", "corpus").env("GIT_COMMITTER_EMAIL", "corpus@localhost");
        git.args(["update-ref", "-m", "deployed", &order.reference, &order.new, sight.at.as_deref().unwrap_or(&zero)]);
        self.answer(git, order).map(drop)
    }

    fn tidy(&self, order: &Order) {
        let Ok((place, uid, gid)) = self.place(order) else { return };
        let mut git = program::git(&place.bare(order.kind), &[("gc.autoDetach", "false")]);
        git.args(["gc", "--auto", "--quiet"]).uid(uid).gid(gid);
        git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        std::thread::spawn(move || git.status());
    }
}

/// Looks at the repository of the working directory: what the child does.
pub fn look(conf: &Conf, reference: &str, new: &str) -> Result<Sight, String> {
    let repo = Repo::open(Path::new(".")).map_err(|error| error.to_string())?;
    let id = Oid::from_str(new).map_err(|_| "no object id".to_owned())?;
    let at = repo.resolve(reference);
    let head = repo.head().map_err(|error| error.to_string())?;
    let mut sight = Sight {
        born: repo.resolve(&head).is_some(),
        head,
        at: at.map(|id| id.to_string()),
        commit: repo.is_commit(id),
        ..Sight::default()
    };
    if sight.commit {
        sight.contains = at.is_none_or(|at| repo.contains(id, at));
        sight.subject = repo.subject(id).map(|text| super::text::short(&text, 80));
        let found = tree::inspect(&repo, id, &conf.limits()).map_err(|error| error.to_string())?;
        (sight.submodules, sight.complaints) = (found.submodules, found.complaints);
    }
    Ok(sight)
}
