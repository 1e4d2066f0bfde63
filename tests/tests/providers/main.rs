//! Model providers over HTTP as the Sage contract has them: saved, masked, changed, verified, used by chats.

#![expect(clippy::unwrap_used, reason = "tests")]

mod chat;
mod crud;
mod refusals;
mod room;
mod verify;
