//! What this server can do. Clients ask before anything else, without credentials.

use crate::wire::{
    server_features::{SupportedMethod, SupportedMethods, server_features_server::ServerFeatures},
    shared::Empty,
};
use tonic::{Request, Response, Status, async_trait};

/// The version of the original whose answers ours are like; clients choose their calls by it.
const VERSION: &str = "23.10.0";
const STREAMS: &str = "event_store.client.streams.streams";
const GROUPS: &str = "event_store.client.persistent_subscriptions.persistentsubscriptions";
const METHODS: &[(&str, &str, &[&str])] = &[
    (STREAMS, "read", &["position", "events"]),
    (STREAMS, "append", &[]),
    (STREAMS, "batchappend", &["deadline_duration"]),
    (GROUPS, "create", &["stream", "all"]),
    (GROUPS, "update", &["stream", "all"]),
    (GROUPS, "delete", &["stream", "all"]),
    (GROUPS, "read", &["stream", "all"]),
    (GROUPS, "getinfo", &["stream", "all"]),
    (GROUPS, "replayparked", &["stream", "all"]),
    (GROUPS, "list", &["stream", "all"]),
    (GROUPS, "restartsubsystem", &[]),
    ("event_store.client.gossip.gossip", "read", &[]),
    ("event_store.client.server_features.serverfeatures", "getsupportedmethods", &[]),
];

pub(crate) struct Features;

#[async_trait]
impl ServerFeatures for Features {
    async fn get_supported_methods(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<SupportedMethods>, Status> {
        let methods = METHODS.iter().map(|(service, method, features)| SupportedMethod {
            method_name: (*method).to_owned(),
            service_name: (*service).to_owned(),
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
        });
        let event_store_server_version = VERSION.to_owned();
        Ok(Response::new(SupportedMethods {
            methods: methods.collect(),
            event_store_server_version,
        }))
    }
}
