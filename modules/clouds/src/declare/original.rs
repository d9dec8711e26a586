//! The original's profiles, which nobody declares: `ms-NODE[-SIZE]-TYPE`, with dashes in the node's name.

use super::source::{Layers, Source};
use crate::spec::SIZES;
use corpus_core::Map;

const TYPES: &[&str] = &["lvm-scratch", "dir-scratch", "overlayfs-scratch", "lvm", "dir", "overlayfs"];

/// Reads such a name; `nodes` are those that are known.
pub fn profile(name: &str, nodes: &[String], source: &Source) -> Option<Layers> {
    let rest = name.strip_prefix("ms-")?;
    let (kind, rest) = TYPES.iter().find_map(|kind| Some((*kind, rest.strip_suffix(kind)?.strip_suffix('-')?)))?;
    let sized = SIZES.iter().find_map(|(size, _)| Some((*size, rest.strip_suffix(size)?.strip_suffix('-')?)));
    let (size, dashed) = sized.map_or((None, rest), |(size, rest)| (Some(size), rest));
    let node = nodes.iter().find(|node| node.replace('.', "-") == dashed).map_or(dashed, String::as_str);
    let backing = kind.trim_end_matches("-scratch");
    let mut said: Map = [("driver", "lxc"), ("node", node), ("backing", backing)].into_iter().collect();
    // Sizes are those of volumes.
    if let Some(size) = size.filter(|_| backing == "lvm") {
        said.insert("disk", size);
    }
    let mut layers = Layers::default();
    layers.say(&said, source);
    Some(layers)
}

#[cfg(test)]
mod tests {
    use super::Source;
    use super::profile;
    use corpus_core::python;

    #[test]
    fn names_are_taken_apart() {
        let source = Source::parse("", "map").expect("a source");
        let read = |name: &str| {
            let layers = profile(name, &["n1.example.org".into()], &source)?;
            let get = |key: &str| layers.get(key).map(|item| python::str(&item.value)).unwrap_or_default();
            Some((get("node"), get("backing"), get("disk")))
        };
        let are = |node: &str, backing: &str, disk: &str| Some((node.to_owned(), backing.to_owned(), disk.to_owned()));
        assert_eq!(read("ms-n1-example-org-dir-scratch"), are("n1.example.org", "dir", ""));
        assert_eq!(read("ms-n1-example-org-xxxsmall-lvm"), are("n1.example.org", "lvm", "xxxsmall"));
        assert_eq!(read("ms-h1-small-overlayfs"), are("h1", "overlayfs", ""));
        assert_eq!(read("ms-h1-nothing"), None);
        assert_eq!(read("web"), None);
    }
}
