//! EventStoreDB's and KurrentDB's Rust clients against annals; `clients/eventstore/run` starts it.

use std::{env, error::Error as Any, time::Duration};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// The two crates have the same names in them.
macro_rules! check {
    ($client:ident, $expect:ident, $state:ident) => {
        async fn $client() -> Result<(), Box<dyn Any>> {
            use $client::*;
            let client = Client::new(env::var("OPERATOR")?.parse()?)?;
            let stream = format!("client-{}", Uuid::new_v4());
            let event = |kind: &str, n: u32| EventData::json(kind, &serde_json::json!({ "n": n }));
            let at = |state| AppendToStreamOptions::default().$expect(state);

            let first = client.append_to_stream(&*stream, &at($state::NoStream), event("Seen", 0)?).await?;
            assert_eq!(first.next_expected_version, 0);
            let two = vec![event("Heard", 1)?.id(Uuid::new_v4()), event("Felt", 2)?.id(Uuid::new_v4())];
            for _ in 0..2 {
                let answer = client.append_to_stream(&*stream, &at(exactly!($client, 0)), two.clone()).await?;
                assert_eq!(answer.next_expected_version, 2);
            }
            println!("   appended, and again with the same ids");

            let late = client.append_to_stream(&*stream, &at(exactly!($client, 1)), event("Late", 9)?).await;
            let there = CurrentRevision::Current(2);
            assert!(matches!(late, Err(Error::WrongExpectedVersion { current, .. }) if current == there), "{late:?}");
            let missing = client.append_to_stream("client-none", &at(exactly!($client, 3)), event("Late", 9)?).await;
            let nowhere = CurrentRevision::NoStream;
            assert!(matches!(missing, Err(Error::WrongExpectedVersion { current, .. }) if current == nowhere), "{missing:?}");
            println!("   conflicts tell where the stream is");

            let mut read = client.read_stream(&*stream, &ReadStreamOptions::default().position(StreamPosition::End).backwards()).await?;
            let mut seen = vec![];
            while let Some(event) = read.next().await? {
                seen.push(event.get_original_event().event_type.clone());
            }
            assert_eq!(seen, ["Felt", "Heard", "Seen"]);
            let unknown = format!("client-{}", Uuid::new_v4());
            let nothing = match client.read_stream(&*unknown, &ReadStreamOptions::default()).await {
                Ok(mut read) => read.next().await.map(|_| ()),
                Err(error) => Err(error),
            };
            assert!(matches!(nothing, Err(Error::ResourceNotFound)), "{nothing:?}");
            let mut read = client.read_all(&ReadAllOptions::default()).await?;
            let mut mine = 0;
            while let Some(event) = read.next().await? {
                mine += usize::from(stream_of!($client, event) == stream);
            }
            assert_eq!(mine, 3);
            println!("   read both ways, and the whole log");

            let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Position(1));
            let mut live = client.subscribe_to_stream(&*stream, &options).await;
            assert_eq!(live.next().await?.get_original_event().revision, 2);
            client.append_to_stream(&*stream, &at($state::Any), event("Live", 3)?).await?;
            assert_eq!(live.next().await?.get_original_event().event_type, "Live");
            let filter = SubscriptionFilter::on_stream_name().add_prefix(&stream);
            let mut all = client.subscribe_to_all(&SubscribeToAllOptions::default().filter(filter)).await;
            for revision in 0..4 {
                assert_eq!(all.next().await?.get_original_event().revision, revision);
            }
            println!("   subscribed to a stream, and to everything by prefix");

            let batch = client.batch_append(&Default::default()).await?;
            let written = batch.append_to_stream(stream.clone(), exactly!($client, 3), vec![event("Batched", 4)?]).await?;
            assert_eq!(written.current_revision(), Some(4));
            println!("   appended in a batch");

            let (group, soon) = ("workers", Duration::from_millis(200));
            let options = PersistentSubscriptionOptions::default()
                .start_from(StreamPosition::Start)
                .max_retry_count(2)
                .checkpoint_after(soon)
                .checkpoint_lower_bound(1)
                .checkpoint_upper_bound(1);
            client.create_persistent_subscription(&*stream, group, &options).await?;
            let twice = client.create_persistent_subscription(&*stream, group, &options).await;
            assert!(matches!(twice, Err(Error::ResourceAlreadyExists)), "{twice:?}");
            let mut consumer = client.subscribe_to_persistent_subscription(&*stream, group, &Default::default()).await?;
            let mut given = vec![];
            for revision in 0..5 {
                let event = consumer.next().await?;
                assert_eq!(event.get_original_event().revision, revision);
                given.push(event.get_original_event().id);
            }
            consumer.nack_ids([given[0]], NakAction::Retry, "once more").await?;
            assert_eq!(consumer.next().await?.get_original_event().id, given[0]);
            consumer.nack_ids([given[1]], NakAction::Park, "broken").await?;
            consumer.ack_ids([given[0], given[2], given[3], given[4]]).await?;
            let info = async || client.get_persistent_subscription_info(&*stream, group, &Default::default()).await;
            let settled = async {
                while info().await?.stats.last_checkpointed_event_revision != Some(4) {
                    sleep(soon).await;
                }
                Ok::<_, Error>(())
            };
            timeout(Duration::from_secs(20), settled).await??;
            assert_eq!(info().await?.stats.parked_message_count, 1);
            client.replay_parked_messages(&*stream, group, &Default::default()).await?;
            assert_eq!(consumer.next().await?.get_original_event().id, given[1]);
            let all = client.list_all_persistent_subscriptions(&Default::default()).await?;
            assert!(all.iter().any(|info| info.event_source == stream && info.group_name == group), "{all:?}");
            client.delete_persistent_subscription(&*stream, group, &Default::default()).await?;
            let dropped = consumer.next().await;
            assert!(dropped.is_err(), "{dropped:?}");
            let gone = client.delete_persistent_subscription(&*stream, group, &Default::default()).await;
            assert!(matches!(gone, Err(Error::ResourceNotFound)), "{gone:?}");
            println!("   consumed in a group: acknowledged, tried again, parked, replayed");

            assert!(client.delete_stream(&*stream, &Default::default()).await.is_err());
            let stranger = Client::new(env::var("STRANGER")?.parse()?)?;
            let refused = match stranger.read_stream(&*stream, &ReadStreamOptions::default()).await {
                Ok(mut read) => read.next().await.map(|_| ()),
                Err(error) => Err(error),
            };
            assert!(matches!(refused, Err(Error::AccessDenied)), "{refused:?}");
            println!("   refused to delete, and a stranger");
            Ok(())
        }
    };
}

macro_rules! exactly {
    (eventstore, $revision:expr) => {
        eventstore::ExpectedRevision::Exact($revision)
    };
    (kurrentdb, $revision:expr) => {
        kurrentdb::StreamState::StreamRevision($revision)
    };
}

macro_rules! stream_of {
    (eventstore, $event:expr) => {
        $event.get_original_event().stream_id
    };
    (kurrentdb, $event:expr) => {
        $event.get_original_event().stream_id()
    };
}

check!(eventstore, expected_revision, ExpectedRevision);
check!(kurrentdb, stream_state, StreamState);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Any>> {
    println!("   -- eventstore");
    eventstore().await?;
    println!("   -- kurrentdb");
    kurrentdb().await
}
