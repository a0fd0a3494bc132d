//! The isolated host: one root, one key, one chain of receipts.
//!
//! One file per command: [`init`], [`snapshot`], [`apply`], [`recover`], [`rehome`], [`trust`], [`status`],
//! [`components`], [`history`], [`receipt`], [`gc`]. [`node`] opens the node that they work on;
//! [`statement`] writes what a node signs; [`service`] stops and starts the product.

pub mod apply;
mod change;
pub mod components;
mod deeds;
mod full;
pub mod gc;
mod generations;
pub mod history;
pub mod init;
mod intact;
mod marks;
pub mod node;
mod output;
pub mod receipt;
pub mod recover;
pub mod rehome;
pub mod rollback;
pub mod service;
pub mod snapshot;
pub mod statement;
pub mod status;
pub mod survey;
pub mod trust;

pub use node::Node;
