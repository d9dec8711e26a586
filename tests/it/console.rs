//! Cases as Markdown: files, a command, and what a person sees. `BLESS=1` writes what is seen now.

use crate::support::{Said, Tree, minion};
use std::path::Path;
use std::process::Stdio;

/// Runs every case of a folder.
fn check(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(folder);
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).expect("cases").map(|entry| entry.expect("a case").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no case in {}", folder.display());
    let wrong: Vec<String> = paths.iter().filter_map(|path| one(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs the commands of one case, in order; returns what differs.
fn one(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).expect("a case is text");
    let tree = Tree::new();
    let (mut seen, mut fence) = (String::new(), None::<(String, String)>);
    for line in text.lines() {
        match &mut fence {
            None => {
                seen += &format!("{line}\n");
                if let Some(info) = line.strip_prefix("```") {
                    fence = Some((info.to_owned(), String::new()));
                }
            }
            Some((info, body)) if line == "```" => {
                if let Some(name) = info.split("file=").nth(1) {
                    // `\t` stands for a tab, which editors like to change.
                    tree.file(name.trim(), &body.replace("\\t", "\t"));
                    seen += body;
                } else if info == "console" {
                    seen += &console(&tree, body);
                } else {
                    seen += body;
                }
                seen += "```\n";
                fence = None;
            }
            Some((_, body)) => *body += &format!("{line}\n"),
        }
    }
    if seen == text {
        return None;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &seen).expect("a case can be written");
        return None;
    }
    Some(format!("{}: expected\n{text}\n=== but saw\n{seen}", path.display()))
}

/// Runs the `$ …` lines of a block by a shell and returns the block as it is seen.
fn console(tree: &Tree, block: &str) -> String {
    let mut seen = String::new();
    for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        seen += &format!("$ {line}\n");
        let said = shell(tree, line);
        for part in [&said.out, &said.err].into_iter().filter(|part| !part.is_empty()) {
            seen += &steady(part, tree);
        }
        if said.code != 0 {
            seen += &format!("exit: {}\n", said.code);
        }
    }
    seen
}

/// A machine takes one writing run at a time, and other tests are under way.
const QUEUE: &str = "case \"$*\" in *state.apply*|*state.s[il]*) set -- \"$@\" queue=True;; esac;";

/// Runs a line in which `corpus` is the program under test with the tree's configuration: on this machine, unless the
/// tree or the line has a roster.
fn shell(tree: &Tree, line: &str) -> Said {
    let named = |option: &str| line.split(' ').any(|word| word == option);
    let at = |name: &str| format!("{}/{name}", tree.path().display());
    let mut program = format!("\"{}\"", env!("CARGO_BIN_EXE_corpus"));
    for (option, value) in [("-c", "etc"), ("--file-root", "salt"), ("--pillar-root", "pillar")] {
        if !named(option) {
            program += &format!(" {option} \"{}\"", at(value));
        }
    }
    if !named("--local") && !named("--roster-file") && !tree.path().join("etc/roster").exists() && line.contains(' ') {
        program += " --local";
    }
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(format!("corpus() {{ {QUEUE} {program} \"$@\"; }}\n{line}"));
    command
        .env("TREE", tree.path())
        .env("CORPUS_MINION", minion())
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C")
        .env("COLUMNS", "100");
    Said::of(command.stdin(Stdio::null()).output().expect("sh"))
}

/// Takes out what differs from run to run: places, times, process numbers.
pub fn steady(text: &str, tree: &Tree) -> String {
    let text = text.replace(&tree.path().display().to_string(), "$TREE");
    let mut out = String::new();
    for line in text.lines() {
        let after = |word: &str| line.find(word).map(|at| &line[..at + word.len()]);
        let timed = ["Started: ", "Duration: ", "Total run time: ", "duration: ", "start_time: "];
        let line = match timed.iter().find_map(|word| after(word)) {
            Some(head) => format!("{head}…"),
            None => line.trim_end().to_owned(),
        };
        out += &line;
        out.push('\n');
    }
    pid(&out)
}

/// `cmd.run` reports the process number: two lines in the nested layout.
fn pid(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for i in 1..lines.len() {
        if lines[i - 1].trim() == "pid:" {
            let pad = lines[i].len() - lines[i].trim_start().len();
            lines[i] = format!("{}…", " ".repeat(pad));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn bad_input_is_explained() {
    check("bad-input");
}

#[test]
fn scenarios_read_as_promised() {
    check("scenarios");
}

#[test]
fn what_differs_from_run_to_run_is_taken_out() {
    let tree = Tree::new();
    let seen = steady("ID: x\n  pid:\n      42\nDuration: 1.2 ms\n", &tree);
    assert_eq!(seen, "ID: x\n  pid:\n      …\nDuration: …\n");
}
