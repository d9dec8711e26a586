//! `corpus lint`: which tree, which SLS, and the findings on paper.

use crate::args::{self, Args, Format};
use crate::output::paint::{Colour, Painter};
use corpus_core::Value;
use corpus_master::lint::rules::Level;
use corpus_master::lint::{Finding, Request};
use corpus_master::{Failure, Kind, Overrides};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Looks for mistakes in what the words name; returns the exit code.
pub fn run(args: &Args, mut overrides: Overrides) -> Result<u8, Failure> {
    let usage = |message: String| Failure::new(Kind::Usage, message);
    overrides.local = true;
    let (words, kwargs) = args::arguments_of(&args.words[1..]);
    let mut request = Request { grains_file: args.grains_file.clone(), ..Request::default() };
    for (key, value) in &kwargs {
        match (key.as_str(), value) {
            (Some("pillar"), Value::Map(pillar)) => request.pillar = (**pillar).clone(),
            (Some("pillar"), other) => {
                let hint = format!("this is a {}; write pillar='{{\"key\": \"value\"}}'", other.type_name());
                return Err(usage("`pillar` is a dictionary".into()).hint(hint));
            }
            (key, _) => return Err(usage(format!("lint takes no `{}=`, only `pillar=`", key.unwrap_or_default()))),
        }
    }
    let (mut trees, mut files) = (vec![], vec![]);
    for word in words.iter().map(corpus_core::python::str) {
        let path = PathBuf::from(&word);
        if path.is_dir() {
            trees.push(path);
        } else if word.ends_with(".sls") && path.is_file() {
            files.push(path);
        } else if word.contains('/') {
            return Err(usage(format!("{word} is neither a directory nor an SLS file")));
        } else {
            request.names.extend(word.split(',').map(str::to_owned));
        }
    }
    if let [tree, rest @ ..] = trees.as_slice() {
        if !rest.is_empty() || !overrides.file_roots.is_empty() || !request.names.is_empty() || !files.is_empty() {
            return Err(usage("lint looks at one tree at a time, and at all of it".into())
                .hint("`corpus --file-root TREE lint NAME…` looks at some SLS of a tree"));
        }
        overrides.file_roots = vec![absolute(tree)?];
        request.formula = true;
        if overrides.pillar_roots.is_empty() {
            let example = tree.join("pillar.example");
            request.example = Some(example).filter(|path| path.is_file() && request.pillar.is_empty());
            // The machine's own pillar is none of this tree's business.
            overrides.pillar_roots = vec![absolute(tree)?.join(".no-pillar")];
        }
    }
    let mut corpus = crate::start_bare(&overrides)?;
    for file in &files {
        let name = name_of(&corpus.config, &absolute(file)?);
        match name {
            Some(name) => request.names.push(name),
            None if overrides.file_roots.is_empty() && files.len() == 1 => {
                // A file of no tree that is known: its folder is one.
                let path = absolute(file)?;
                overrides.file_roots = vec![path.parent().map(Path::to_path_buf).unwrap_or_default()];
                corpus = crate::start_bare(&overrides)?;
                request.names.extend(name_of(&corpus.config, &path));
            }
            None => {
                let message = format!("{} is below no file root", file.display());
                return Err(usage(message).hint("`--file-root DIR` names the tree that it belongs to"));
            }
        }
    }
    for name in &request.names {
        if corpus.engine.roots().sls_path(name, "base").is_none() {
            let known = corpus.engine.roots().list_sls("base");
            let near = corpus_core::suggest::did_you_mean(name, known.iter().map(String::as_str));
            let failure = usage(format!("No matching sls found for '{name}' in env 'base'"));
            return Err(near.into_iter().fold(failure, Failure::hint));
        }
    }
    let found = corpus.lint(&request)?;
    print(args, &found)?;
    let worst = found.iter().map(|finding| finding.level).max();
    let fails = |level| level == Level::Error || level == Level::Warning && args.strict;
    Ok(u8::from(worst.is_some_and(fails)))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| Failure::new(Kind::Usage, format!("{}: {error}", path.display())))
}

/// Returns the SLS name of a file below one of the file roots.
fn name_of(config: &corpus_master::Config, path: &Path) -> Option<String> {
    let roots = config.file_roots.values().flatten();
    let below = roots.filter_map(|root| path.strip_prefix(root.canonicalize().ok()?).ok()).next()?;
    let name = below.with_extension("").display().to_string().replace('/', ".");
    Some(name.strip_suffix(".init").map_or(name.clone(), str::to_owned))
}

fn print(args: &Args, found: &[Finding]) -> Result<(), Failure> {
    let mut out = crate::sink(args)?;
    let written = match args.out {
        Some(Format::Quiet) => Ok(()),
        Some(Format::Json) => {
            let all: Vec<serde_json::Value> = found.iter().map(Finding::to_json).collect();
            writeln!(out, "{:#}", serde_json::Value::from(all))
        }
        Some(Format::Jsonl) => found.iter().try_for_each(|finding| writeln!(out, "{}", finding.to_json())),
        None | Some(Format::Txt) => text(args, found, &mut out),
        Some(_) => {
            let failure = Failure::new(Kind::Usage, "lint has no such output");
            return Err(failure.hint("`--out=` takes `txt` (the default), `json`, `jsonl` or `quiet`"));
        }
    };
    crate::broken_pipe_is_fine(written.and_then(|()| out.finish()));
    Ok(())
}

fn text(args: &Args, found: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    let paint = Painter::decide(args.force_color, args.no_color, std::io::stdout().is_terminal());
    for finding in found {
        let colour = match finding.level {
            Level::Error => Colour::Red,
            Level::Warning => Colour::Yellow,
            Level::Info => Colour::Cyan,
        };
        let text = finding.to_text();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        writeln!(out, "{}\n{rest}", paint.with(colour, first))?;
    }
    let count = |level| found.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings, infos) = (count(Level::Error), count(Level::Warning), count(Level::Info));
    let several = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    writeln!(out, "{}, {}, {infos} for information", several(errors, "error"), several(warnings, "warning"))
}
