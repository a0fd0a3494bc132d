//! The auditor: looks into any file, believes nothing, changes nothing.
//!
//! [`inspect`] says what a file says, and needs no key. [`verify`] checks it against a pinned site
//! file and lists every check. [`approve`] is for those whose signature policy asks for.

pub mod approve;
pub mod inspect;
pub mod verify;
