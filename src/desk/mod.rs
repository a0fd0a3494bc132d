//! The desk: a machine that reaches the release server and minds many environments.
//!
//! It chooses what goes into a patch; it cannot author content. One file per command: [`enrol`],
//! [`prepare`], [`receive`], [`environments`], [`compare`]. What the desk knows lies in plain
//! folders ([`store`]); copying them is its backup. Commands that take a folder tell of each file in
//! it ([`many`]).

pub mod compare;
pub mod enrol;
pub mod environments;
mod forks;
mod gather;
pub mod learn;
pub mod many;
pub mod prepare;
pub mod receive;
pub mod site;
pub mod statements;
pub mod store;

use std::path::PathBuf;

/// Where the desk keeps what it knows and what it can fetch again.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Enrolments, statements seen, settings: worth a backup.
    pub state: PathBuf,
    /// Blobs and recipes: can be fetched again.
    pub cache: PathBuf,
}
