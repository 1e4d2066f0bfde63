//! The log as the read models see it.

use commands::log::{EventLog, Filter};
use domain::Position;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use projections::{Delivery, Feed, FeedError, Interest, Page};
use std::sync::Arc;

/// Adapts the log.
pub struct LogFeed(pub Arc<dyn EventLog>);

fn filter(interest: Interest) -> Filter {
    Filter::categories(interest.categories).kinds(interest.kinds)
}

impl Feed for LogFeed {
    fn subscribe(&self, after: Position, interest: Interest) -> BoxStream<'static, Delivery> {
        let deliveries = self.0.subscribe(after, filter(interest));
        let adapt = |news: commands::log::Delivery| Delivery {
            events: news.events,
            position: news.position,
        };
        deliveries.map(adapt).boxed()
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
        interest: Interest,
    ) -> BoxFuture<'_, Result<Page, FeedError>> {
        async move {
            let filter = filter(interest);
            let page = self.0.read_all(after, limit, &filter).await;
            let page = page.map_err(|error| FeedError(error.to_string().into()))?;
            Ok(Page { events: page.events, scanned: page.scanned })
        }
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, FeedError>> {
        async move { self.0.head().await.map_err(|error| FeedError(error.to_string().into())) }
            .boxed()
    }
}
