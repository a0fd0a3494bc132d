//! Decisions without I/O.
