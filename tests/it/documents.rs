//! What is written for people: every SLS in the documents compiles, every function has a word on what it does.

use crate::support::Tree;
use std::path::{Path, PathBuf};

/// Collects the Markdown files below a folder.
fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Returns the fenced blocks of a language, each with the line it begins on.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    let mut open: Option<(usize, String, bool)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => open = Some((number + 1, String::new(), info.trim() == language)),
            (Some(_), Some(_)) => found.extend(open.take().filter(|(.., ours)| *ours).map(|(at, body, _)| (at, body))),
            (Some((_, body, _)), None) => *body += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    found
}

#[test]
fn every_sls_in_the_documents_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    markdown(&root.join("docs"), &mut files);
    let tree = Tree::new();
    let mut wrong = vec![];
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a document is text");
        for (line, body) in blocks(&text, "sls") {
            tree.file("salt/doc.sls", &body);
            let said = tree.local(&["--strict", "state.show_lowstate_sls", "doc", "--out=yaml"]);
            // An example may name a state of the reader's.
            let errors = |what: &str| said.out.matches(what).count();
            if said.code != 0 && errors("error: ") != errors("error: Referenced state does not exist") {
                wrong.push(format!("{}:{line}\n{}{}", file.display(), said.out, said.err));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_function_says_what_it_does() {
    let tree = Tree::new();
    let mut silent = vec![];
    for (list, doc) in [("sys.list_functions", "sys.doc"), ("sys.list_state_functions", "sys.state_doc")] {
        let names = tree.local(&[list, "--out=json"]).expect(0).json();
        let docs = tree.local(&[doc, "--out=json"]).expect(0).json();
        for name in names["local"].as_array().expect("names") {
            let name = name.as_str().expect("a name");
            let text = docs["local"][name].as_str().unwrap_or_default();
            // The first line of an execution function's is its call.
            let words = text.strip_prefix(name).and_then(|rest| rest.split_once('\n')).map_or(text, |(_, words)| words);
            if words.trim().len() < 5 {
                silent.push(name.to_owned());
            }
        }
    }
    assert!(silent.is_empty(), "without a word of documentation: {}", silent.join(", "));
}
