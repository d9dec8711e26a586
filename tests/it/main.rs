//! The whole program, from the outside: bad input, the three distances, fleets of throw-away hosts.
//! One binary, because linking is the cost that multiplies.

mod access;
mod canary;
mod cloud_front;
mod clouds;
mod console;
mod distances;
mod docker;
mod documents;
mod fire;
mod firewalld;
mod fleet;

mod http;
mod library;
mod lint;
mod lxc;
mod mistakes;
mod nftables;
mod pillar;
mod pillar_git;
mod pillar_ldap;
mod pillar_sql;
mod postgres;
mod projects;
mod push;
mod push_keys;
mod sdb;
mod secrets;
mod support;
mod thin;
mod vault;
