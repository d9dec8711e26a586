//! `cargo tidy`: what the compiler does not check. Arrows between crates, one owner per heavy dependency,
//! formatting of files that only the build scripts know, file sizes, and generated documents that must be
//! fresh. `cargo tidy --bless` writes the documents instead of comparing them.

mod arrows;
mod documents;
mod sources;

use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let bless = std::env::args().any(|arg| arg == "--bless");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let checks: [(&str, Result<Vec<String>>); 3] = [
        ("arrows", arrows::check(&root)),
        ("sources", sources::check(&root, bless)),
        ("documents", documents::check(&root, bless)),
    ];
    let mut failed = false;
    for (name, outcome) in checks {
        let complaints = outcome.unwrap_or_else(|error| vec![format!("cannot check: {error:#}")]);
        for complaint in &complaints {
            eprintln!("tidy: {name}: {complaint}");
        }
        failed |= !complaints.is_empty();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
