//! The release repository: static files that any web server, object store or directory serves.
//!
//! ```text
//! metadata/   N.root.json  N.targets.json  N.snapshot.json  timestamp.json  N.<delegation>.json
//! targets/    restapi/7.0/<sha256>.restapi-7.0.40.spr
//! blobs/      ab/<blake3>.zst
//! .pending/   <role>.json, which waits for signatures and no reader looks at
//! ```
//!
//! Reading hands out bytes: [`read::fetch`] collects what a chain needs, and `trust` says whether
//! it is one. Writing ([`write::Repository`]) goes bottom up and ends with `timestamp.json`, so that
//! a reader, and a power cut, see the old repository or the new one. Nothing here goes over a
//! network: another [`Source`] does.

pub mod blob;
mod commit;
mod delegate;
mod deliver;
mod draft;
pub mod envelope;
mod error;
pub mod layout;
pub mod paper;
pub mod read;
mod rotate;
mod seal;
pub mod source;
pub mod state;
mod take;
pub mod tuf;
pub mod write;

pub use commit::{Standing, Written};
pub use delegate::Grant;
pub use envelope::Envelope;
pub use error::ReleaseError;
pub use paper::{Paper, Tally};
pub use read::{FetchedVendor, Wanted, fetch};
pub use rotate::{NewKeys, Rotation};
pub use seal::Signers;
pub use source::{Directory, Source};
pub use state::State;
pub use take::Offer;
pub use write::Repository;
