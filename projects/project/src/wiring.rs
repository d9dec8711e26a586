//! How a project is tied into the state tree and the pillar tree: two links, and a line of the pillar's top file.

use crate::{Cx, ProjectError, ProjectName, R, disk};
use corpus_core::{Map, Value};
use std::path::{Path, PathBuf};

/// Ties a project in, wherever it is not. Tells what it did.
pub fn link(cx: &Cx, name: &ProjectName, cfg: &Map) -> R<Vec<String>> {
    let mut done = link_salt(cx, name, cfg)?;
    done.extend(link_pillar(cx, name, cfg)?);
    Ok(done)
}

/// Links the recipes into the state tree.
pub fn link_salt(cx: &Cx, name: &ProjectName, cfg: &Map) -> R<Vec<String>> {
    let env = cfg.str("default_env").unwrap_or_default();
    symlink(&cx.layout(name).salt(env), &cx.salt_root().join("makina-projects").join(name))
}

/// Links the pillar into the pillar tree, and names it in the top file.
pub fn link_pillar(cx: &Cx, name: &ProjectName, _: &Map) -> R<Vec<String>> {
    let mut done = symlink(&cx.layout(name).pillar, &cx.pillar_root().join("makina-projects").join(name))?;
    let top = cx.pillar_root().join("top.sls");
    let before = match std::fs::read_to_string(&top) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(ProjectError::io("read", &top, error)),
    };
    if let Some(after) = with_line(&before, &format!("makina-projects.{name}")) {
        write_top(&top, &after)?;
        done.push(format!("{} names makina-projects.{name}", top.display()));
    }
    Ok(done)
}

/// Takes the link of the recipes away; what lies behind it stays.
pub fn unlink_salt(cx: &Cx, name: &ProjectName) -> R<Vec<String>> {
    remove_link(&cx.salt_root().join("makina-projects").join(name))
}

/// Takes the link of the pillar and its line in the top file away; what lies behind it stays.
pub fn unlink_pillar(cx: &Cx, name: &ProjectName) -> R<Vec<String>> {
    let mut done = vec![];
    let top = cx.pillar_root().join("top.sls");
    if let Ok(before) = std::fs::read_to_string(&top)
        && let Some(after) = without_line(&before, &format!("makina-projects.{name}"))
    {
        write_top(&top, &after)?;
        done.push(format!("{} no longer names makina-projects.{name}", top.display()));
    }
    done.extend(remove_link(&cx.pillar_root().join("makina-projects").join(name))?);
    Ok(done)
}

fn write_top(top: &Path, text: &str) -> R<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(top).map_or(0o640, |meta| meta.permissions().mode() & 0o7777);
    disk::write(top, text.as_bytes(), mode)
}

fn symlink(target: &Path, link: &Path) -> R<Vec<String>> {
    let fail = |error| ProjectError::io("link", link, error);
    if std::fs::read_link(link).is_ok_and(|found| found == target) {
        return Ok(vec![]);
    }
    let folder = link.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|error| ProjectError::io("make", folder, error))?;
    if std::fs::symlink_metadata(link).is_ok_and(|meta| !meta.is_symlink()) {
        return Err(ProjectError::new(format!("{} is there and is no link", link.display()))
            .hint("move it away: corpus links a project there"));
    }
    let temporary: PathBuf = folder.join(format!(".corpus-{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    std::os::unix::fs::symlink(target, &temporary).and_then(|()| std::fs::rename(&temporary, link)).map_err(fail)?;
    Ok(vec![format!("{} -> {}", link.display(), target.display())])
}

fn remove_link(link: &Path) -> R<Vec<String>> {
    match std::fs::symlink_metadata(link) {
        Ok(meta) if meta.is_symlink() => {
            std::fs::remove_file(link).map_err(|error| ProjectError::io("unlink", link, error))?;
            Ok(vec![format!("removed {}", link.display())])
        }
        _ => Ok(vec![]),
    }
}

/// A top file that names nothing.
const EMPTY: &str = "base: {}";

/// Adds an SLS to the list under `'*'` of `base` in a top file's text; `None` if it is there. Only this line is new:
/// comments, templates and order stay.
fn with_line(text: &str, sls: &str) -> Option<String> {
    if text.lines().any(|line| names(line, sls)) {
        return None;
    }
    // What `without_line` leaves when nothing is left.
    let lines: Vec<&str> = text.lines().map(|line| if line == EMPTY { "base:" } else { line }).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let base = lines.iter().position(|line| line.trim_end() == "base:");
    let Some(base) = base else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{text}{gap}base:\n  '*':\n    - {sls}\n"));
    };
    let end = lines[base + 1..]
        .iter()
        .position(|line| content(line) && indent(line) == 0 && !line.starts_with("{%"))
        .map_or(lines.len(), |at| base + 1 + at);
    let everybody = |line: &&str| ["'*':", "\"*\":"].contains(&line.trim());
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    match lines[base..end].iter().position(everybody).map(|at| base + at) {
        Some(star) => {
            let deep = indent(lines[star]);
            let list = lines[star + 1..end]
                .iter()
                .take_while(|line| !content(line) || indent(line) >= deep && line.trim_start().starts_with('-'));
            let last = list.enumerate().filter(|(_, line)| content(line)).last();
            let (at, by) = last.map_or((star + 1, deep + 2), |(at, line)| (star + 2 + at, indent(line)));
            out.insert(at, format!("{}- {sls}", " ".repeat(by)));
        }
        None => {
            let by = lines[base + 1..end].iter().find(|line| content(line)).map_or(2, |line| indent(line).max(1));
            let pad = " ".repeat(by);
            out.insert(base + 1, format!("{pad}'*':\n{pad}  - {sls}"));
        }
    }
    Some(out.join("\n") + "\n")
}

fn names(line: &str, sls: &str) -> bool {
    let item = line.trim().strip_prefix('-').map(str::trim);
    item.is_some_and(|item| item.split(" #").next().unwrap_or_default().trim().trim_matches(['\'', '"']) == sls)
}

/// Takes an SLS out of a top file's text; `None` if it is not there.
fn without_line(text: &str, sls: &str) -> Option<String> {
    let kept: Vec<&str> = text.lines().filter(|line| !names(line, sls)).collect();
    if kept.len() == text.lines().count() {
        return None;
    }
    // A target without a list is no top file.
    let mut out: Vec<&str> = vec![];
    for (at, line) in kept.iter().enumerate() {
        let next = kept[at + 1..].iter().find(|line| !line.trim().is_empty());
        let empty =
            ["'*':", "\"*\":"].contains(&line.trim()) && next.is_none_or(|next| !next.trim_start().starts_with('-'));
        if !empty {
            out.push(line);
        }
    }
    let only_base = out.iter().filter(|line| !line.trim().is_empty()).all(|line| line.trim() == "base:");
    Some(if only_base { format!("{EMPTY}\n") } else { out.join("\n") + "\n" })
}

/// Lists the projects that are whole: these can be linked and are worth listing.
pub fn complete(cx: &Cx) -> R<Vec<ProjectName>> {
    let whole = |name: &ProjectName| {
        let layout = cx.layout(name);
        let salt = layout.project.join(".salt");
        let files = [layout.pillar.join("init.sls"), salt.join("fixperms.sls"), salt.join("PILLAR.sample")];
        files.iter().all(|file| file.is_file())
    };
    Ok(all(cx)?.into_iter().filter(whole).collect())
}

/// Lists the directories that are named like projects.
pub fn all(cx: &Cx) -> R<Vec<ProjectName>> {
    let entries = match std::fs::read_dir(&cx.projects) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(ProjectError::io("list", &cx.projects, error)),
    };
    let mut found: Vec<ProjectName> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| ProjectName::parse(entry.file_name().to_str()?).ok())
        .collect();
    found.sort();
    Ok(found)
}

/// Returns a list argument: a list, or a text with commas.
pub fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().map(corpus_core::python::str).map(|t| t.trim().to_owned()).collect(),
        Some(Value::Null) | None => vec![],
        Some(other) => {
            let text = corpus_core::python::str(other);
            text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_project_in_the_top_file_once_and_takes_it_out_again() {
        let cases = [
            ("", "base:\n  '*':\n    - p\n"),
            ("base:\n  '*':\n    - a\n", "base:\n  '*':\n    - a\n    - p\n"),
            ("# mine\nbase:\n  'web*':\n    - a\n", "# mine\nbase:\n  '*':\n    - p\n  'web*':\n    - a\n"),
            ("base:\n  '*':\n  - a\n\n  'b':\n  - c\n", "base:\n  '*':\n  - a\n  - p\n\n  'b':\n  - c\n"),
            (
                "base:\n  '*':\n    - a\n{% if x %}\n    - b\n{% endif %}\n",
                "base:\n  '*':\n    - a\n    - p\n{% if x %}\n    - b\n{% endif %}\n",
            ),
        ];
        for (before, after) in cases {
            let got = with_line(before, "p").expect("it was not there");
            assert_eq!(got, after);
            assert_eq!(with_line(&got, "p"), None);
            let back = without_line(&got, "p").expect("it is there");
            assert!(!back.contains("- p"), "{back}");
        }
        assert_eq!(without_line("base:\n  '*':\n    - p\n", "p").as_deref(), Some("base: {}\n"));
        assert_eq!(with_line("base: {}\n", "p").as_deref(), Some("base:\n  '*':\n    - p\n"));
    }
}
