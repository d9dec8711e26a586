//! What can be declared: one file per state function, `src/<module>/<function>.rs`. Nothing here can touch
//! a machine; a state looks through probes and answers with a plan.

include!(concat!(env!("OUT_DIR"), "/states.rs"));
