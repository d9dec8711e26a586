//! Lists the execution modules: every `src/fns/<module>.rs` offers `pub const FNS: &[ExecDef]`.

use std::{env, fs, path::Path};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = Path::new(&root).join("src/fns");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("src/fns is a directory")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    let mods: String = names
        .iter()
        .map(|name| format!("#[path = {:?}] pub mod r#{name};\n", folder.join(format!("{name}.rs"))))
        .collect();
    let tables: String = names.iter().map(|name| format!("    r#{name}::FNS,\n")).collect();
    let code = format!(
        "{mods}\n/// The tables of all execution modules.\npub static TABLES: &[&[corpus_core::ExecDef]] = &[\n{tables}];\n"
    );
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("fns.rs");
    fs::write(out, code).expect("the build directory can be written");
}
