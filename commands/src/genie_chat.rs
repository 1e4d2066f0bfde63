//! Chats of people with their assistant: one run answers each message, in the words of the GenieHelper dialect.
//!
//! A run of a chat is a run like any other: recorded before it is sent, performed under a lease, taken over when its
//! performer dies. A model that was cut off in mid-sentence is asked again, and what it says the same again is not said
//! twice.

mod actions;
mod begin;
mod desk;
mod echo;
mod lines;
pub(crate) mod perform;
mod prompt;
mod steps;
mod told;

pub use begin::{ChatError, Wish, begin};
pub use desk::{Desk, Kept, Shelf};
pub(crate) use lines::broken;
pub use steps::MOST_ITEMS;
