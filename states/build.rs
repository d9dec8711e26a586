//! Lists the state functions: every `src/<module>/<function>.rs` holds a struct named like the file, and
//! the file's doc comments become its documentation. `src/<module>/mod.rs`, if any, is the family's own
//! shared code, reached as `super::shared`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src");
    println!("cargo::rerun-if-changed={}", root.display());
    let (mut mods, mut table) = (String::new(), String::new());
    for folder in sorted(&root).into_iter().filter(|path| path.is_dir()) {
        let module = stem(&folder);
        let _ = writeln!(mods, "pub mod r#{module} {{");
        for file in sorted(&folder) {
            let (function, path) = (stem(&file), file.display().to_string());
            if function == "mod" {
                let _ = writeln!(mods, "    #[path = {path:?}] pub mod shared;");
                continue;
            }
            let _ = writeln!(mods, "    #[path = {path:?}] pub mod r#{function};");
            let name = camel(&function);
            let (doc, args) = docs(&fs::read_to_string(&file).expect("a source file is text"), &name);
            let _ = writeln!(
                table,
                "    corpus_core::StateDef::of::<r#{module}::r#{function}::{name}>({doc:?}, &{args:?}),"
            );
        }
        mods.push_str("}\n");
    }
    let code = format!(
        "{mods}\n/// Every state function, sorted by name.\npub static STATES: &[corpus_core::StateDef] = &[\n{table}];\n"
    );
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("states.rs");
    fs::write(out, code).expect("the build directory can be written");
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("a source folder can be read")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs"))
        .collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().and_then(|s| s.to_str()).expect("source files have plain names").to_owned()
}

fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// Returns the doc comment of the struct and of each of its fields.
fn docs(source: &str, name: &str) -> (String, Vec<(String, String)>) {
    let (mut comment, mut doc, mut args, mut inside) = (String::new(), String::new(), vec![], false);
    let mut renamed = None;
    for line in source.lines() {
        let text = line.trim();
        if let Some(words) = text.strip_prefix("///") {
            comment += words.strip_prefix(' ').unwrap_or(words);
            comment.push('\n');
        } else if text.starts_with("#[") {
            // Attributes stand between the comment and its item; one may give the argument its real name.
            if let Some((_, rest)) = text.split_once("rename = \"") {
                renamed = rest.split('"').next().map(str::to_owned);
            }
        } else if text.starts_with(&format!("pub struct {name}")) {
            doc = std::mem::take(&mut comment);
            inside = text.ends_with('{');
        } else if inside && text == "}" {
            break;
        } else if inside && let Some((field, _)) = text.split_once(':') {
            let field = field.trim_start_matches("pub ").trim_start_matches("r#").to_owned();
            args.push((renamed.take().unwrap_or(field), std::mem::take(&mut comment).trim().to_owned()));
        } else {
            comment.clear();
        }
    }
    (doc, args)
}
