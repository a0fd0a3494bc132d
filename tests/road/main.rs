//! The whole road, run as its users run it: every refusal, the round trip, SPOT's spelling, damaged
//! files, and the same checks by hand with stock tools.

#![cfg(all(feature = "desk", feature = "publish"))]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "a test works on its own files, and may fail loudly"
)]

mod adopt;
mod damage;
mod drift;
mod edges;
mod exact;
mod fit;
mod folders;
mod forge;
mod golden;
mod hand;
mod mounts;
mod odd;
mod printed;
mod refusals;
mod restart;
mod rights;
mod rollback;
mod round_trip;
mod service;
mod signals;
mod spot;
mod terminal;
mod thin;
mod world;
