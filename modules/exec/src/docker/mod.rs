//! Docker: its API over the socket, Salt's arguments in the API's words, and how a container differs from them.

pub mod body;
pub mod client;
pub mod compare;
pub mod container;
pub mod image;

pub use client::Docker;
