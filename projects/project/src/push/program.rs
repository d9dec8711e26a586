//! Another program that deploys, by the configuration's `deployer`: it is started with the project's name, `project` or
//! `pillar`, the revision, the branch, and `deploy` or `plan`. What it prints is shown; a line `::step NAME` begins a
//! step. It deployed if it exits with 0.

use super::frame::Order;
use super::{Deployer, Kind, Out, Verdict, text};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often it is looked whether somebody cancels.
const PAUSE: Duration = Duration::from_millis(200);

/// A program with its first arguments.
pub struct Program {
    pub words: Vec<String>,
    /// How long it may take.
    pub patience: Duration,
}

impl Deployer for Program {
    fn deploy(&self, order: &Order, out: &mut dyn Out) -> Verdict {
        match self.run(order, out) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::failed(format!("{}: {error}", self.words.join(" "))),
        }
    }
}

impl Program {
    fn run(&self, order: &Order, out: &mut dyn Out) -> std::io::Result<Verdict> {
        let (program, words) = self.words.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let (from, to) = std::io::pipe()?;
        let mut command = Command::new(program);
        command.args(words).arg(&order.project);
        command.arg(if order.kind == Kind::Project { "project" } else { "pillar" });
        command.args([&*order.new, &*order.reference, if order.options.plan { "plan" } else { "deploy" }]);
        command.env_clear().env("PATH", corpus_git::program::PATH).env("LC_ALL", "C.UTF-8");
        command.env("CORPUS_ONLY", order.options.only.join(",")).env("CORPUS_WHO", text::short(&order.who, 80));
        // A group of its own, so that all of it ends when the time is over.
        command.process_group(0).stdin(Stdio::null()).stdout(to.try_clone()?).stderr(to);
        let mut child = command.spawn()?;
        drop(command);
        let (send, lines) = mpsc::sync_channel(100);
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            while let Ok(Some(line)) = next_line(&mut from) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let (until, cancelled) = (Instant::now() + self.patience, out.cancelled());
        loop {
            if let Some(who) = cancelled.who() {
                stop(&mut child);
                return Ok(Verdict::failed(format!("cancelled by {who}")));
            }
            match lines.recv_timeout(until.saturating_duration_since(Instant::now()).min(PAUSE)) {
                Ok(line) => match line.strip_prefix("::step ") {
                    Some(step) => out.step(step),
                    None => out.line(&line),
                },
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    stop(&mut child);
                    let seconds = self.patience.as_secs();
                    return Ok(Verdict::failed(format!("stopped: it took longer than {seconds} seconds")));
                }
            }
        }
        let status = child.wait()?;
        let summary = if status.success() { "done".into() } else { format!("failed: {status}") };
        Ok(Verdict { ok: status.success(), summary, serving: None })
    }
}

/// Reads a line, the beginning of it if it is endless.
fn next_line(from: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = vec![];
    if from.take(64 << 10).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned()))
}

fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::Options;

    #[derive(Default)]
    struct Heard(String, crate::Cancelled);

    impl Out for Heard {
        fn step(&mut self, name: &str) {
            self.0 += &format!("<{name}>");
        }
        fn line(&mut self, text: &str) {
            self.0 += &format!("{text}|");
        }
        fn at(&mut self, _: &str) {}
        fn cancelled(&self) -> crate::Cancelled {
            self.1.clone()
        }
    }

    fn run(script: &str, patience: u64) -> (Verdict, String) {
        let words = ["sh", "-c", script, "x"].map(str::to_owned).to_vec();
        let order = Order {
            project: "foo".into(),
            kind: Kind::Pillar,
            reference: "refs/heads/main".into(),
            old: "0".repeat(40),
            new: "1".repeat(40),
            options: Options { plan: true, ..Options::default() },
            who: String::new(),
        };
        let mut heard = Heard::default();
        if script.contains("cancelled") {
            heard.1.by("ann");
        }
        let verdict = Program { words, patience: Duration::from_secs(patience) }.deploy(&order, &mut heard);
        (verdict, heard.0)
    }

    #[test]
    fn it_is_told_what_to_deploy_and_heard() {
        let (verdict, heard) = run("echo $1 $2 $4 $5; echo ::step install; echo bad >&2; exit 3", 60);
        assert_eq!(heard, "foo pillar refs/heads/main plan|<install>bad|");
        assert!(!verdict.ok && verdict.summary.contains('3'), "{}", verdict.summary);
        assert!(run("exit 0", 60).0.ok);
        let started = Instant::now();
        let (verdict, _) = run("sleep 100 & sleep 100", 1);
        assert_eq!(run("sleep 100; echo cancelled", 60).0.summary, "cancelled by ann");
        assert!(verdict.summary.contains("longer than 1 seconds") && started.elapsed().as_secs() < 20);
    }
}
