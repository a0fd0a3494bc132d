//! Publishing, from an empty folder to a repository that python-tuf reads.

#![cfg(feature = "publish")]

mod hostile;
mod recipes;
mod repository;
mod roots;
mod vendor;
