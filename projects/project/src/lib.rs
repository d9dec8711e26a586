//! Projects: what is deployed, and how a push gets there.
