//! The sources themselves: formatted, headed by a paragraph, of a size to read in one sitting, and free of
//! what only compiles.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer files than this must be divided; tests apart.
const LONGEST: usize = 1000;

/// Returns what is out of order.
pub fn check(root: &Path, bless: bool) -> Result<Vec<String>> {
    let files = rust_files(root)?;
    let mut comrustfmtts = vec![];
    for file in &files {
        let text = std::fs::read_to_string(root.join(file))?;
        let shown = file.display();
        if !text.starts_with("//!") {
            comrustfmtts.push(format!("{shown}: begins without a `//!` paragraph on what lives here"));
        }
        if text.lines().count() > LONGEST && !is_test(file) {
            comrustfmtts.push(format!("{shown}: {} lines; {LONGEST} is the most", text.lines().count()));
        }
        for (number, line) in text.lines().enumerate() {
            for word in ["todo!(", "unimplemented!(", "#[ignore"] {
                if line.contains(word) && !file.starts_with("tests/tidy") {
                    comrustfmtts.push(format!("{shown}:{}: {word} is a promise nobody keeps", number + 1));
                }
            }
        }
    }
    // `cargo fmt` does not see files that only a build script's `include!` reaches.
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.current_dir(root).args(["--edition", "2024"]);
    if !bless {
        rustfmt.arg("--check").arg("-l");
    }
    let output = rustfmt.args(&files).output().context("run rustfmt")?;
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|_| !bless) {
        comrustfmtts.push(format!("{line}: not formatted; `cargo tidy --bless` does it"));
    }
    comrustfmtts.dedup();
    Ok(comrustfmtts)
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests")
}

/// The Rust files of the checkout, in git's order.
fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root)
        .output()
        .context("run git ls-files")?;
    anyhow::ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?;
    Ok(names.lines().map(PathBuf::from).filter(|path| root.join(path).is_file()).collect())
}
