//! What joins the actors: for now the demonstration of the whole road.

pub mod demo;
