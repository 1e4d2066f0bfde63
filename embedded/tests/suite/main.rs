//! The embedded database as its users meet it: real servers in real folders.

mod folder;
mod lifecycle;
mod refusals;
mod shared;
