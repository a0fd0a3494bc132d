//! Everything that touches an installation or a key file; Unix calls live here alone.
//!
//! What is written is durable before it counts: a temporary file, fsync, rename, fsync of the
//! folder. What is read is bounded. Links are never followed below a root.
//!
//! | file | is |
//! |---|---|
//! | [`root`], [`stamp`], [`mounts`] | an installation's root, what stands at its paths, and on which mount |
//! | [`lock`], [`operator`], [`rights`], [`obstacle`] | who may work on it: one command, one user, with rights, and what bars the way |
//! | [`space`], [`probe`] | whether there is room, and whether files can be exchanged there |
//! | [`founding`], [`home`], [`marks`], [`state`], [`store`] | the node's own key, place, trusted state and documents |
//! | [`scan`], [`index`], [`area`], [`stage`], [`stages`], [`inherit`], [`acl`] | what stands there, and what shall, on each mount |
//! | [`rules`], [`walk`], [`inventory`] | what else stands there, and what may be told of it |
//! | [`command`], [`systemd`] | the product's own commands, run within a time limit, and its unit |
//! | [`journal`], [`exchange`], [`shut`], [`recover`], [`generations`] | the change itself, back or forward, and what is kept of it |
//! | [`keys`], [`agent`], [`secret`], [`terminal`], [`ignored`] | people's keys, in files or held by an agent, and the passphrases that open them |
//! | [`handout`], [`medium`], [`beside`], [`syslog`] | files handed out and brought in, approvals beside a patch, the system's log |
//! | [`durable`], [`folder`], [`entropy`] | files, folders and random bytes as such |

pub mod acl;
pub mod agent;
pub mod area;
mod attributes;
pub mod batch;
pub mod beside;
pub mod command;
pub mod durable;
pub mod entropy;
mod error;
pub mod exchange;
pub mod folder;
pub mod founding;
pub mod generations;
pub mod handout;
pub mod home;
pub mod ignored;
pub mod incoming;
pub mod index;
pub mod inherit;
pub mod inventory;
pub mod journal;
pub mod kept;
pub mod keys;
pub mod lock;
pub mod marks;
pub mod medium;
mod mount_error;
pub mod mounts;
pub mod obstacle;
pub mod operator;
pub mod pieces;
pub mod probe;
pub mod recover;
pub mod reserve;
pub mod rights;
pub mod root;
pub mod rules;
pub mod scan;
pub mod secret;
pub mod shut;
pub mod space;
mod sparse;
pub mod stage;
pub mod stages;
pub mod stamp;
pub mod state;
pub mod stopped;
pub mod store;
pub mod syslog;
pub mod systemd;
pub mod terminal;
pub mod volumes;
pub mod walk;

pub use error::DiskError;
pub use mount_error::MountError;
