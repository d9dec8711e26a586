//! Names this build: a hash over the sources of the frames and of the types in them. Both ends of a connection
//! must have the same.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for folder in [root.join("src"), root.join("../core/src")] {
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        list(&folder, &mut files);
        files.sort();
        for byte in files.iter().flat_map(|file| fs::read(file).expect("a source file can be read")) {
            // FNV-1a: no secret is kept here, builds only have to differ.
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=CORPUS_BUILD={}-{hash:016x}", env!("CARGO_PKG_VERSION"));
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
}
