//! `examples/tuf-client.rs` against a web server on the loopback, with a repository that each test
//! builds and then spoils in one way.
//!
//! A suite by others can be run against the same program (`docs/trust.md`); what is here goes further
//! where such suites do not go: a store cut short, keys under two names, answers without end.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test works on its own files, and may fail loudly"
)]

mod artifacts;
mod attacks;
mod delegations;
mod program;
mod repository;
mod server;
mod store;
mod transport;
mod world;

/// What a test, or a part of one, may fail with.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;
