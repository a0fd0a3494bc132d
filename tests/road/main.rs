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
mod agent;
mod approvals;
mod chain;
mod clocks;
mod damage;
mod deltas;
mod desk_word;
mod drift;
mod edges;
mod exact;
mod fit;
mod folders;
mod forge;
mod forks;
mod golden;
mod hand;
mod hostile_desk;
mod hostile_recipe;
mod index;
mod keys;
mod mounts;
mod odd;
mod once;
mod page;
mod printed;
mod publish_page;
mod refusals;
mod rehome;
mod restart;
mod rights;
mod rollback;
mod round_trip;
mod service;
mod signals;
mod site_change;
mod spot;
mod terminal;
mod thin;
mod vendor_keys;
mod vendors;
mod volumes;
mod world;
