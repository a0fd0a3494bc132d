//! Publishing, from an empty folder to a repository that python-tuf reads.

#![cfg(feature = "publish")]

mod delegate;
mod hostile;
mod recipes;
mod repository;
mod restart;
mod roots;
mod rotate;
mod tuf;
mod vendor;
