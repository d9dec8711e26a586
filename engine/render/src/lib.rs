//! Templates as Salt has them: the render pipe, Jinja with Python-like values on minijinja's parser, and Salt's
//! dialect of YAML. Text and data in, nodes with positions out; nothing here touches a machine.

mod access;
mod args;
mod blocks;
mod calls;
mod checks;
mod compare;
mod containers;
mod data;
mod decrypt;
mod engine;
mod eval;
mod expr;
mod fail;
pub mod files;
mod filters;
mod globals;
mod lower;
mod methods;
mod ops;
pub mod outline;
mod percent;
mod pipe;
mod show;
mod source;
mod tree;
mod unclosed;
mod value;

pub use decrypt::{Cipher, Decrypt, decrypt_value};
pub use engine::{Engine, RenderCx};
pub use files::FileRoots;
pub use pipe::RenderedSls;
