//! Procedures and the project API: rows 58 to 105 of the list of capabilities.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod making;
mod running;

use corpus_project::DeployReport;

fn steps(report: &DeployReport) -> Vec<&str> {
    report.steps.iter().map(|step| step.name.as_str()).collect()
}
