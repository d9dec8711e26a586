//! `cmd_yaml`, `cmd_json`, `cmd_yamlex`: what a program of the master prints.

use super::not_a_mapping;
use crate::arguments::{Arguments, need};
use crate::source::{Ask, Given, Piece, PillarSource, Place, Sees};
use corpus_core::yaml;
use corpus_core::{Diagnostic, Node, Pos, Span, Value};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How the output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
    Yamlex,
}

struct Cmd {
    format: Format,
    command: String,
}

/// Makes the source.
pub fn make(format: Format, args: Arguments) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let command = need(&args.named(&["command"])?, "command")?;
    Ok(Arc::new(Cmd { format, command }))
}

impl PillarSource for Cmd {
    fn name(&self) -> &str {
        match self.format {
            Format::Yaml => "cmd_yaml",
            Format::Json => "cmd_json",
            Format::Yamlex => "cmd_yamlex",
        }
    }

    fn identity(&self) -> String {
        self.command.clone()
    }

    fn sees(&self) -> Sees {
        Sees::ID
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let id = &*ask.data.id;
        // Salt puts the id into the text of a shell command; an id that a shell would read otherwise is not put there.
        if self.command.contains("%s") && !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:@".contains(c)) {
            return Err(Diagnostic::error(format!("the minion id '{id}' cannot be part of a shell command"))
                .hint("ids of letters, digits and `-_.:@` can"));
        }
        let text = run(&self.command.replace("%s", id), ask.deadline)?;
        let node = self.read(&text)?;
        match node.to_value() {
            // Nothing printed is nothing known.
            Value::Null => Ok(Given::default()),
            Value::Map(map) => {
                let pieces = match ask.explain {
                    true => vec![Piece { node, under: vec![], place: Place::File(self.output().into()) }],
                    false => vec![],
                };
                Ok(Given { pillar: Arc::unwrap_or_clone(map), pieces, ..Given::default() })
            }
            other => Err(not_a_mapping(&self.output(), &other)),
        }
    }
}

impl Cmd {
    /// The output, as a place. The command is not named further: what is behind its first word may be secret.
    fn output(&self) -> String {
        format!("the output of `{}`", self.command.split_whitespace().next().unwrap_or_default())
    }

    fn read(&self, text: &str) -> Result<Node, Diagnostic> {
        let wrong = |pos: Pos, why: &str| {
            Diagnostic::error(format!("{} cannot be read: {why}", self.output())).at(Span::new(self.output(), pos), "")
        };
        match self.format {
            Format::Json if text.trim().is_empty() => Ok(Node::default()),
            Format::Json => {
                let value = serde_json::from_str::<Value>(text)
                    .map_err(|error| wrong(Pos::new(error.line() as u32, error.column() as u32), &error.to_string()))?;
                Ok(Node::from_value(&value, Pos::default()))
            }
            Format::Yamlex if text.contains("!aggregate") || text.contains("!reset") => {
                Err(wrong(Pos::default(), "the tags !aggregate and !reset of yamlex are not built")
                    .hint("print plain YAML and let `pillar_merge_lists` join lists"))
            }
            _ => yaml::parse(text).map_err(|error| wrong(error.place(text), &error.message)),
        }
    }
}

/// Runs a command of the configuration, in a shell as Salt does, and returns what it prints.
fn run(command: &str, deadline: Instant) -> Result<String, Diagnostic> {
    let fail = |why: String| Diagnostic::error(format!("the command failed: {why}"));
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that all of it can be ended.
        .process_group(0)
        .spawn()
        .map_err(|error| fail(error.to_string()))?;
    let group = rustix::process::Pid::from_child(&child);
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = err.as_mut().map(|err| err.take(64 * 1024).read_to_end(&mut text));
        // What is more is read too, or the program would wait for somebody to read it.
        let _ = err.as_mut().map(|err| std::io::copy(err, &mut std::io::sink()));
        text
    });
    let output = std::thread::spawn(move || {
        let mut text = Vec::new();
        out.as_mut().map_or(Ok(0), |out| out.read_to_end(&mut text)).map(|_| text)
    });
    let ended = wait(&mut child, deadline).map_err(|error| fail(error.to_string()))?;
    let Some(status) = ended else {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = child.wait();
        return Err(fail("it took too long and was ended".into()));
    };
    let errors = errors.join().unwrap_or_default();
    if !status.success() {
        let said = String::from_utf8_lossy(&errors);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it says nothing");
        return Err(fail(format!("it ended with {status}: {last}")));
    }
    let bytes = output.join().map_err(|_| fail("its output was lost".into()))?.map_err(|e| fail(e.to_string()))?;
    String::from_utf8(bytes).map_err(|_| fail("its output is not UTF-8".into()))
}

fn wait(child: &mut std::process::Child, deadline: Instant) -> std::io::Result<Option<std::process::ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
