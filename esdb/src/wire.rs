//! The protocol's messages and services, generated from `proto/`.

#![expect(
    clippy::all,
    clippy::allow_attributes,
    unused_qualifications,
    reason = "generated from `proto/`"
)]

include!(concat!(env!("OUT_DIR"), "/wire.rs"));

pub(crate) use event_store::{
    client as shared,
    client::{gossip, persistent_subscriptions, server_features, streams},
};
pub(crate) use google::rpc;
