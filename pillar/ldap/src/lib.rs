//! A directory: its client, and the pillar source `pillar_ldap`.
