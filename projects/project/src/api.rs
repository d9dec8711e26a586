//! Versions of the project API: which one serves a project.

use crate::saved::Saved;
use crate::{ProjectError, R};
use corpus_core::{Map, Value, python};

/// The versions that there are, the newest last. Version 1 knows the configuration alone.
pub const VERSIONS: &[&str] = &["1", "2"];

/// What projects get that say nothing.
pub const LATEST: &str = "2";

/// Decides the version of a project: the call's, the configured one, the one that it was installed with.
pub fn of_project(kwargs: &Map, saved: &Saved, configured: Option<&Value>) -> R<String> {
    let called = kwargs.get("api_ver").or_else(|| kwargs.get("api_version"));
    let wanted = called.or(configured).filter(|value| value.truthy()).map(python::str);
    let version = wanted.or_else(|| saved.api_version.clone()).unwrap_or_else(|| LATEST.into());
    known(&version)?;
    Ok(version)
}

/// Refuses a version that there is not.
pub fn known(version: &str) -> R<()> {
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(ProjectError::new(format!("there is no version `{version}` of the project API"))
        .hint(format!("there are {}", VERSIONS.join(" and "))))
}

/// Refuses a function that a version does not have.
pub fn offers(version: &str, fun: &str) -> R<()> {
    known(version)?;
    if version == "1" && !["get_configuration", "get_project", "get_configuration_item"].contains(&fun) {
        return Err(ProjectError::new(format!("version 1 of the project API has no `{fun}`"))
            .hint("only get_configuration works with projects of version 1; set api_version to 2"));
    }
    Ok(())
}
