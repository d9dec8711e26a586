//! Git repositories of projects and of pillar: reading by libgit2, everything that talks by the git program.

pub mod remote;
