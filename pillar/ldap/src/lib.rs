//! A directory: its client, the people in it (authentication, groups, keys), and the pillar source `pillar_ldap`.

mod account;
mod client;
mod people;
mod source;

pub use account::Account;
pub use client::{Bind, Directory, Found, LdapError, Scope, Settings};
pub use people::{AuthError, People, Person};
pub use source::{NAMES, make, people};
