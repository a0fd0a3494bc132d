//! Publishing: what a vendor, or the customer's own platform team, does on its build server.
//!
//! One file is one command; each takes a `Request` and hands back an `Outcome` that says what was
//! done and what comes next. Input files are only read. A command that refuses has written
//! nothing that a reader of the repository can see. The root key signs once, at [`init`]; every
//! daily command works without it.

pub mod component;
mod contents;
mod deliver;
mod fit;
pub mod init;
pub mod keys;
mod outlook;
pub mod release;
pub mod renew;
pub mod sign;
mod walk;
pub mod words;

pub use keys::KeyFolder;
