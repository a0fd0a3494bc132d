//! Pure verification: bytes, keys, `now` and floors in, [`Verified`] out.
//!
//! Nothing here reads a file or a clock. A value that this room hands out as verified cannot be
//! made any other way, so code that needs the proof takes the type and cannot skip the check.
//!
//! [`sshsig`] checks one signature, [`verified`] a whole statement, [`site`] the file through which
//! trust enters, [`approval`] the second pair of eyes, [`vendor`] the chain from a vendor's root to
//! a recipe, [`recipe`] the file that it leads to, [`receipt`] a receipt with the snapshot inside, [`chain`] the
//! receipts of a node, and [`patch`] all of these together, in the order in which they depend on each
//! other.

pub mod approval;
pub mod chain;
pub mod error;
pub mod key;
pub mod patch;
pub mod receipt;
pub mod recipe;
mod refuse;
pub mod site;
pub mod sshsig;
pub mod unzstd;
pub mod vendor;
pub mod verified;

pub use error::TrustError;
pub use key::{KeyFileError, SigningKey};
pub use site::{Renewal, TrustedSite};
pub use verified::Verified;
