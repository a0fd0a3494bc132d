//! Lockstep: offline patches for component-based server installations, bound to one environment
//! in one state.
//!
//! The rooms stand in layers; each imports only what stands below it (`tests/house.rs` holds
//! that). `docs/architecture.md` is the map.

pub mod audit;
pub mod cli;
pub mod delta;
#[cfg(feature = "desk")]
pub mod desk;
pub mod disk;
pub mod host;
pub mod model;
pub mod plan;
#[cfg(feature = "publish")]
pub mod publish;
#[cfg(any(feature = "desk", feature = "publish"))]
pub mod release;
#[cfg(all(feature = "desk", feature = "publish"))]
pub mod road;
pub mod spr;
pub mod trust;
