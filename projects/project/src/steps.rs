//! The steps of a deployment, and which of them are wanted.

use crate::{ProjectError, R};
use corpus_core::suggest;

/// The steps, in the order in which they run when all goes well.
pub const STEPS: &[&str] = &["archive", "release_sync", "install", "fixperms", "rotate_archives", "rollback", "notify"];

/// Recipes with a place of their own in a deployment: `install` does not run them.
pub const SPECIAL: &[&str] = &["archive", "pre_archive", "post_archive", "fixperms", "notify", "rollback"];

/// Which steps are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Selection {
    /// Reads `only=` and the steps to skip; a step named in `only` runs whatever says that it be skipped.
    pub fn new(only: &[String], skip: &[String]) -> R<Self> {
        let known = |names: &[String], what: &str| -> R<Vec<String>> {
            let names: Vec<String> =
                names.iter().map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect();
            // What always runs may be named.
            for name in names.iter().filter(|name| !["sync_modules", "deploy"].contains(&name.as_str())) {
                if !STEPS.contains(&name.as_str()) {
                    let near = suggest::did_you_mean(name, STEPS.iter().copied());
                    return Err(ProjectError::new(format!("{what}: there is no step `{name}`"))
                        .hint(near.unwrap_or_else(|| format!("there are {}", STEPS.join(", ")))));
                }
            }
            Ok(names)
        };
        Ok(Self { only: known(only, "only")?, skip: known(skip, "skip")? })
    }

    /// Tells whether a step is wanted.
    pub fn wants(&self, step: &str) -> bool {
        match self.only.is_empty() {
            true => !self.skip.iter().any(|name| name == step),
            false => self.only.iter().any(|name| name == step),
        }
    }

    /// Tells whether the steps are chosen by name.
    pub fn chosen(&self) -> bool {
        !self.only.is_empty()
    }
}

/// Sorts out the recipes that `install` runs, in their order: plainly by code point.
pub fn recipes(salt: &std::path::Path) -> R<Vec<String>> {
    Ok(names(salt)?
        .into_iter()
        .filter(|name| !SPECIAL.contains(&name.as_str()) && !name.starts_with("task_"))
        .collect())
}

/// Lists all recipes of a directory, without `.sls`.
pub fn names(salt: &std::path::Path) -> R<Vec<String>> {
    let entries = match std::fs::read_dir(salt) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(ProjectError::io("list", salt, error)),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".sls").map(str::to_owned))
        .filter(|name| !name.is_empty() && !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names)
}

/// Chooses among recipes by name, with or without `.sls`; the order stays. An unknown name is an error.
pub fn chosen(all: Vec<String>, wanted: &[String], what: &str) -> R<Vec<String>> {
    let wanted: Vec<&str> = wanted.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if wanted.is_empty() {
        return Ok(all);
    }
    let bare = |name: &str| name.strip_suffix(".sls").unwrap_or(name).to_owned();
    for name in &wanted {
        if !all.contains(&bare(name)) {
            let near = suggest::did_you_mean(&bare(name), all.iter().map(String::as_str));
            let list = if all.is_empty() { "there is none".into() } else { format!("there are {}", all.join(", ")) };
            return Err(ProjectError::new(format!("{what}: there is no recipe `{name}`")).hint(near.unwrap_or(list)));
        }
    }
    Ok(all.into_iter().filter(|name| wanted.iter().any(|want| bare(want) == *name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn row_098_only_names_the_steps_that_run() {
        let all = Selection::default();
        assert!(STEPS.iter().all(|step| all.wants(step)));
        let only = Selection::new(&words("install, fixperms"), &words("fixperms")).expect("both are steps");
        let run: Vec<&str> = STEPS.iter().copied().filter(|step| only.wants(step)).collect();
        assert_eq!(run, ["install", "fixperms"]);
        let wrong = Selection::new(&words("instal"), &[]).expect_err("no such step");
        assert!(wrong.text().contains("install"), "{}", wrong.text());
    }

    #[test]
    fn row_045_recipes_are_in_the_order_of_their_code_points() {
        let folder = tempfile::tempdir().expect("a directory");
        for name in ["2_z", "0_1", "100_b", "0100_a", "0010_b", "notify", "task_x", "pre_archive", "archive"] {
            std::fs::write(folder.path().join(format!("{name}.sls")), "").expect("written");
        }
        std::fs::create_dir(folder.path().join("dir.sls")).expect("made");
        let got = recipes(folder.path()).expect("listed");
        assert_eq!(got, ["0010_b", "0100_a", "0_1", "100_b", "2_z"]);
        let some = chosen(got.clone(), &words("2_z, 0_1.sls"), "only_steps").expect("both are there");
        assert_eq!(some, ["0_1", "2_z"]);
        assert!(chosen(got, &words("2_y"), "only_steps").expect_err("no such recipe").text().contains("2_z"));
    }
}
