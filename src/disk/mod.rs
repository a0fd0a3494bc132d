//! Everything that touches an installation or a key file; Unix calls live here alone.
//!
//! What is written is durable before it counts: a temporary file, fsync, rename, fsync of the
//! folder. What is read is bounded. Links are never followed below a root.
//!
//! | file | is |
//! |---|---|
//! | [`root`], [`stamp`] | an installation's root, and what stands at its paths |
//! | [`lock`], [`operator`], [`rights`], [`obstacle`] | who may work on it: one command, one user, with room and rights, and what bars the way |
//! | [`founding`], [`marks`], [`state`], [`store`] | the node's own key, place, trusted state and documents |
//! | [`scan`], [`stage`], [`inherit`], [`acl`] | what stands there, and what shall |
//! | [`rules`], [`walk`], [`inventory`] | what else stands there, and what may be told of it |
//! | [`journal`], [`exchange`], [`shut`], [`recover`], [`generations`] | the change itself, back or forward, and what is kept of it |
//! | [`keys`], [`terminal`], [`handout`], [`medium`], [`syslog`] | key files of people, their passphrases, files handed out and brought in, the system's log |
//! | [`durable`], [`folder`], [`entropy`] | files, folders and random bytes as such |

pub mod acl;
mod attributes;
pub mod durable;
pub mod entropy;
mod error;
pub mod exchange;
pub mod folder;
pub mod founding;
pub mod generations;
pub mod handout;
pub mod inherit;
pub mod inventory;
pub mod journal;
pub mod keys;
pub mod lock;
pub mod marks;
pub mod medium;
pub mod obstacle;
pub mod operator;
pub mod recover;
pub mod rights;
pub mod root;
pub mod rules;
pub mod scan;
pub mod shut;
mod sparse;
pub mod stage;
pub mod stamp;
pub mod state;
pub mod store;
pub mod syslog;
pub mod terminal;
pub mod walk;

pub use error::DiskError;
