//! Publishing: what a vendor, or the customer's own platform team, does on its build server.
//!
//! One file is one command; each takes a `Request` and hands back an `Outcome` that says what was
//! done and what comes next. Input files are only read. A command that refuses has written
//! nothing that a reader of the repository can see. The root key signs at [`init`] and [`rotate`];
//! every daily command works without it. A delegate works with its own key alone: what it publishes is
//! taken in by the repository's owner ([`renew`]).

pub mod component;
mod contents;
pub mod delegate;
mod deliver;
mod fit;
mod grant;
pub mod init;
pub mod keys;
mod named;
mod outlook;
pub mod release;
pub mod renew;
pub mod revoke;
pub mod rotate;
pub mod sign;
mod standing;
pub mod take;
mod walk;
pub mod words;

pub use keys::KeyFolder;
