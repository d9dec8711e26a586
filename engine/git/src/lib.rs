//! Git repositories of projects and of pillar: reading by libgit2, everything that talks by the git program.
//!
//! A repository that others push to belongs to a user who is not trusted. So nothing here follows its hooks or its
//! user's configuration, and a tree is [`tree::inspect`]ed before anybody checks it out.

pub mod name;
pub mod program;
pub mod remote;
mod repo;
pub mod tree;

pub use git2::Oid;
pub use repo::{GitError, Repo};
