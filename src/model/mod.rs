//! Values and rules: what every other room talks about.
//!
//! Nothing here reads a file, a clock or the environment. A value of one of these types is well
//! formed by construction: parsing is the only way in, and what does not fit is refused there, so
//! that no later code checks it again. Whether a value is *true* (signed, fresh, allowed) is for
//! `trust` and `plan` to say.

pub mod digest;
pub mod enrolment;
#[cfg(feature = "faulty")]
pub mod faulty;
pub mod floor;
pub mod glob;
pub mod installed;
pub mod inventory;
pub mod key;
pub mod name;
pub mod operation;
pub mod patch;
pub mod path;
pub mod receipt;
pub mod recipe;
pub mod refusal;
pub mod rehome;
pub mod service;
pub mod site;
pub mod snapshot;
pub mod state;
pub mod statement;
pub mod stem;
pub mod text;
pub mod time;
pub mod version;
pub mod volume;
pub mod watch;

mod wire;

pub use digest::{Blake3, ContentId, Sha256};
pub use key::PublicKey;
pub use name::{Name, Principal};
pub use path::{RecipePath, TreePath};
pub use refusal::{Refusal, RefusalName};
pub use statement::{Kind, Member, Statement};
pub use time::Time;
pub use version::{Range, Version};
pub use watch::{Interrupted, Unwatched, Watch};
