//! Docker: its API over the socket, Salt's arguments in the API's words, and how a container differs from them.

pub mod body;
pub(crate) mod calls;
pub mod client;
pub mod compare;
pub mod container;
pub mod image;
pub mod network;

pub use client::Docker;
