//! The vocabulary of corpus: values, low chunks, plans, effects, reports and diagnostics, and the
//! traits through which the parts meet. No I/O and no async: everything waits for this crate to
//! compile, and nothing here can touch a machine.

pub mod decode;
pub mod diagnostic;
pub mod digest;
pub mod exec;
#[cfg(feature = "fake")]
pub mod fake;
pub mod glob;
pub mod hash;
pub mod host;
pub mod keywords;
pub mod low;
pub mod merge;
pub mod module;
pub mod node;
pub mod overlay;
pub mod plan;
pub mod python;
pub mod random;
pub mod registry;
pub mod report;
pub mod secret;
pub mod source;
pub mod span;
pub mod state;
pub mod suggest;
pub mod target;
pub mod value;
pub mod yaml;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use exec::{Call, Caller, Data, ExecDef, ExecError, ExecFn, Shared};
pub use host::{Act, Command, FileKind, Group, HostError, Look, Meta, Output, User};
pub use low::{LowChunk, LowState, Requisite, RequisiteKind};
pub use module::{ModuleFile, ModuleFunction, ModuleInfo};
pub use node::{Node, NodeKind};
pub use plan::{Attrs, Content, Effect, Observed, Owner, Plan, Prediction, Settled, Step};
pub use registry::Registry;
pub use report::{ChunkReport, Event, RunOptions, RunReport};
pub use source::{FileOrigin, FileRef, FileRequest, Source, SourceError};
pub use span::{Pos, Span};
pub use state::{PlanCx, State, StateDef, StateError};
pub use value::{Map, Value};
