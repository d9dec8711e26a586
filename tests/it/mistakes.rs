//! Seeded mistakes: each small tree has one, at the place that `▸` marks, and the message must lead there: file, line
//! and column. `docs/mistakes.md` shows the messages beside those of real Salt, which `tests/mistakes/salt.py` recorded.

use crate::support::{Said, Tree};
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

const MARK: char = '▸';
/// How many of a hundred must be told exactly.
const WANTED: usize = 98;
/// How much of a message the table shows.
const SHOWN: usize = 160;

/// One mistake.
#[derive(Default)]
struct Case {
    title: String,
    /// The command, without the program.
    run: Vec<String>,
    files: Vec<(String, String)>,
    /// `file:line:column` of the mark; for a mark in the command, nothing.
    place: String,
    /// What Salt said, and the place that it named: `file:line`, or several lines.
    salt: Vec<String>,
    salt_place: String,
}

/// What came out.
struct Told {
    place: String,
    message: String,
    all: String,
}

/// Reads the cases of one file: its heading and the mistakes.
fn read(text: &str) -> (String, Vec<Case>) {
    let (mut heading, mut cases) = (String::new(), vec![]);
    let mut fence: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        match (&mut fence, cases.last_mut()) {
            (Some((info, body)), Some(case)) if line == "```" => {
                close(case, info, std::mem::take(body));
                fence = None;
            }
            (Some((_, body)), _) => body.push(line.to_owned()),
            (None, case) => {
                if let Some(info) = line.strip_prefix("```") {
                    fence = Some((info.to_owned(), vec![]));
                } else if let Some(title) = line.strip_prefix("## ") {
                    let run = ["state.apply", "a", "test=True"].map(str::to_owned).to_vec();
                    cases.push(Case { title: title.to_owned(), run, ..Case::default() });
                } else if let Some(title) = line.strip_prefix("# ") {
                    title.clone_into(&mut heading);
                } else if let (Some(words), Some(case)) = (line.strip_prefix("Run: "), case) {
                    case.run = words.replace(MARK, "").split(' ').map(str::to_owned).collect();
                }
            }
        }
    }
    (heading, cases)
}

fn close(case: &mut Case, info: &str, body: Vec<String>) {
    if let Some(rest) = info.strip_prefix("salt") {
        case.salt = body;
        rest.trim().trim_start_matches("at=").clone_into(&mut case.salt_place);
        return;
    }
    let Some(name) = info.split("file=").nth(1).map(str::trim) else { return };
    let text: String = body.iter().map(|line| format!("{line}\n")).collect::<String>().replace("\\t", "\t");
    if let Some(at) = text.find(MARK) {
        let (line, start) = (text[..at].matches('\n').count() + 1, text[..at].rfind('\n').map_or(0, |i| i + 1));
        let file = name.split_once('/').map_or(name, |(_, file)| file);
        case.place = format!("{file}:{line}:{}", text[start..at].chars().count() + 1);
    }
    case.files.push((name.to_owned(), text.replace(MARK, "")));
}

/// Makes the mistake and hears what is said of it.
fn tell(case: &Case) -> Told {
    let tree = Tree::new();
    for (name, text) in &case.files {
        tree.file(name, text);
    }
    let words: Vec<&str> = case.run.iter().map(String::as_str).collect();
    let mut all = vec!["--local"];
    all.extend(words);
    let said = Said::of(tree.corpus(&all).output().expect("the program starts"));
    let all = format!("{}{}", said.out, said.err).replace(&tree.path().display().to_string(), "$TREE");
    let (mut place, mut message) = (String::new(), String::new());
    for line in all.lines().map(str::trim_start) {
        if let Some(found) = line.strip_prefix("--> ").or(line.strip_prefix("At: ")) {
            found.trim().clone_into(&mut place);
            break;
        }
        // The last message before the first place is the one that it belongs to.
        if let Some(words) = ["error: ", "warning: ", "Comment: "].iter().find_map(|head| line.strip_prefix(head)) {
            words.clone_into(&mut message);
        }
    }
    Told { place, message, all }
}

/// Tells whether Salt named the line; of several that it names, one is enough.
fn salt_is_exact(case: &Case) -> bool {
    let Some((file, lines)) = case.salt_place.split_once(':') else { return false };
    lines.split(',').any(|line| case.place.starts_with(&format!("{file}:{line}:")))
}

fn salt_accepts(case: &Case) -> bool {
    case.salt.first().is_some_and(|line| {
        ["Result: True", "Result: None", "(no message, and no state was run)"].contains(&line.trim())
    })
}

fn cell(text: &str) -> String {
    let one: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = one.chars().take(SHOWN).collect();
    let more = if one.chars().count() > SHOWN { "…" } else { "" };
    format!("{cut}{more}").replace('|', "\\|").replace('<', "\\<").replace('*', "\\*").replace('_', "\\_")
}

fn salt_words(case: &Case) -> String {
    if salt_accepts(case) {
        return "*accepts it*".into();
    }
    let comment = case.salt.iter().find_map(|line| line.trim().strip_prefix("Comment: "));
    let words = comment.or(case.salt.first().map(String::as_str)).unwrap_or_default();
    // The reason of an exception is told at its end.
    let raised =
        case.salt.iter().rev().find(|line| line.starts_with("salt.exceptions.") && words.contains("Traceback"));
    cell(raised.map_or(words, String::as_str))
}

/// Tells all cases of all files, on two threads.
fn tell_all(groups: &[(String, Vec<Case>)]) -> Vec<Vec<Told>> {
    let jobs: Vec<(usize, usize)> =
        groups.iter().enumerate().flat_map(|(g, (_, cases))| (0..cases.len()).map(move |c| (g, c))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(g, c)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let told = tell(&groups[g].1[c]);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(((g, c), told));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    let mut all: Vec<Vec<Told>> = groups.iter().map(|_| vec![]).collect();
    done.into_iter().for_each(|((g, _), told)| all[g].push(told));
    all
}

fn document(groups: &[(String, Vec<Case>)], told: &[Vec<Told>]) -> String {
    let cases = || groups.iter().flat_map(|(_, cases)| cases);
    let total = cases().count();
    let exact = groups.iter().zip(told).flat_map(|((_, cases), told)| cases.iter().zip(told));
    let exact = exact.filter(|(case, told)| case.place == told.place).count();
    let (salt, accepted) =
        (cases().filter(|case| salt_is_exact(case)).count(), cases().filter(|c| salt_accepts(c)).count());
    let share = |n: usize| format!("{n} of {total} ({} %)", (n * 100 + total / 2) / total);
    let mut out = format!(
        "# Seeded mistakes\n\nGenerated from `tests/mistakes/` by its test; do not edit.\n\nEach row is a small tree with one \
         mistake in it, at the place that `▸` marks in its source. corpus is exact when the first place of its \
         message is that file, line *and column*; Salt when its message names the SLS file and the line (of several lines, \
         one is enough). Salt's messages are those of `salt-call --local` of Salt 3008, recorded by \
         `tests/mistakes/salt.py`; the whole of them stands beside each tree in `tests/mistakes/`.\n\n\
         | | corpus | Salt |\n|---|---|---|\n| exact place | {} | {} |\n| says nothing of it | {} | {} |\n",
        share(exact),
        share(salt),
        share(0),
        share(accepted),
    );
    for ((heading, cases), told) in groups.iter().zip(told) {
        let _ = write!(
            out,
            "\n## {heading}\n\n| mistake | place | corpus | Salt | Salt's place |\n|---|---|---|---|---|\n"
        );
        for (case, told) in cases.iter().zip(told) {
            let place = if case.place.is_empty() { "the command" } else { &case.place };
            let missed = if told.place == case.place { String::new() } else { format!(" (at {})", told.place) };
            let salt_place = match (case.salt_place.as_str(), salt_is_exact(case)) {
                ("", _) => "–".to_owned(),
                (place, true) => format!("{place} ✓"),
                (place, false) => place.to_owned(),
            };
            let _ = writeln!(
                out,
                "| {} | {place} | {}{missed} | {} | {salt_place} |",
                cell(&case.title),
                cell(&told.message),
                salt_words(case)
            );
        }
    }
    out
}

#[test]
fn mistakes_are_told_where_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(root.join("tests/mistakes")).expect("cases").flatten().collect();
    paths.retain(|entry| entry.path().extension().is_some_and(|extension| extension == "md"));
    paths.sort_by_key(std::fs::DirEntry::path);
    let read = |entry: &std::fs::DirEntry| read(&std::fs::read_to_string(entry.path()).expect("a case is text"));
    let groups: Vec<(String, Vec<Case>)> = paths.iter().map(read).collect();
    let told = tell_all(&groups);
    let mut wrong = vec![];
    for (case, told) in groups.iter().zip(&told).flat_map(|((_, cases), told)| cases.iter().zip(told)) {
        assert!(!told.message.is_empty(), "{}: nothing was said\n{}", case.title, told.all);
        assert!(
            case.salt.iter().any(|line| !line.trim().is_empty()),
            "{}: tests/mistakes/salt.py has not recorded Salt's answer",
            case.title
        );
        if case.place != told.place {
            wrong.push(format!("{}: expected {}, not {}\n{}", case.title, case.place, told.place, told.all));
        }
    }
    let total: usize = groups.iter().map(|(_, cases)| cases.len()).sum();
    assert!(total >= 100, "{total} cases");
    assert!((total - wrong.len()) * 100 >= total * WANTED, "{}", wrong.join("\n"));
    let (path, now) = (root.join("docs/mistakes.md"), document(&groups, &told));
    if std::fs::read_to_string(&path).unwrap_or_default() == now {
        return;
    }
    assert!(std::env::var_os("BLESS").is_some(), "docs/mistakes.md is not what is said now: BLESS=1 writes it\n{now}");
    std::fs::write(path, now).expect("the document can be written");
}
