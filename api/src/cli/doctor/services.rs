//! What annals calls: models, the broker, the mail server, other logs, upstream logins.

use super::Finding;
use crate::config::{Config, Endpoint};
use commands::{
    effects::{embedder_static::Static, upstream::Endpoints},
    log::{EventLog, eventstore::EventStoreLog},
    publish::{self, BrokerUrl},
};
use futures::{FutureExt, future::BoxFuture, future::join_all};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// How long each may take.
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let client = Client::builder().timeout(DEADLINE).build().unwrap_or_default();
    let mut looks: Vec<BoxFuture<'_, Finding>> = Vec::new();
    match &config.llm {
        Some(endpoint) => looks.push(model("chat model", "ANNALS_LLM", endpoint, &client).boxed()),
        None => looks.push(
            std::future::ready(Finding::advice(
                "chat model",
                "none: the offline provider answers from documents, and says so",
                "set ANNALS_LLM_BASE_URL, ANNALS_LLM_MODEL and ANNALS_LLM_API_KEY",
            ))
            .boxed(),
        ),
    }
    if let Some(endpoint) = &config.embedding {
        looks.push(model("embeddings", "ANNALS_EMBEDDING", endpoint, &client).boxed());
    } else if let Some(folder) = &config.embedding_path {
        looks.push(
            std::future::ready(match Static::open(folder) {
                Ok(_) => Finding::fine("embeddings", format!("from {}", folder.display())),
                Err(error) => Finding::trouble(
                    "embeddings",
                    error.to_string(),
                    "ANNALS_EMBEDDING_PATH needs model.safetensors and tokenizer.json",
                ),
            })
            .boxed(),
        );
    }
    if let Some(endpoint) = &config.rerank {
        looks.push(
            reached("reranker", "ANNALS_RERANK_BASE_URL", endpoint.base_url.clone(), &client)
                .boxed(),
        );
    }
    if let Some(url) = &config.search {
        looks.push(reached("web search", "ANNALS_SEARCH_URL", url.to_string(), &client).boxed());
    }
    for provider in &config.auth_providers {
        let url = match &provider.endpoints {
            Endpoints::Discovered(document) => document,
            Endpoints::Listed { authorize, .. } => authorize,
        };
        looks.push(reached("login", "ANNALS_AUTH_PROVIDERS", url.to_string(), &client).boxed());
    }
    if let Some(url) = &config.nats_url {
        looks.push(broker(BrokerUrl(url.expose().to_owned())).boxed());
    }
    if let Some(url) = &config.eventstore_url {
        looks.push(event_store(url.clone()).boxed());
    }
    if let Some(mailer) = &config.mail {
        looks.push(
            async move {
                match mailer.check().await {
                    Ok(()) => Finding::fine("mail", "the server takes our login"),
                    Err(error) => {
                        Finding::trouble("mail", error.to_string(), "check ANNALS_SMTP_URL")
                    }
                }
            }
            .boxed(),
        );
    }
    join_all(looks).await
}

/// Whether the endpoint knows our key, and lists our model.
async fn model(area: &'static str, setting: &str, endpoint: &Endpoint, client: &Client) -> Finding {
    let url = format!("{}/models", endpoint.base_url.trim_end_matches('/'));
    let mut request = client.get(url);
    if !endpoint.api_key.expose().is_empty() {
        request = request.bearer_auth(endpoint.api_key.expose());
    }
    let Endpoint { base_url, model, .. } = endpoint;
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            return Finding::trouble(
                area,
                format!("{base_url}: {}", cause(&error)),
                format!("check {setting}_BASE_URL, and that this machine reaches it"),
            );
        }
    };
    match answer.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Finding::trouble(
            area,
            format!("{base_url} refuses our key"),
            format!("check {setting}_API_KEY"),
        ),
        status if status.is_success() => {
            let listed: Value = answer.json().await.unwrap_or_default();
            let names = listed["data"]
                .as_array()
                .map(|all| all.iter().filter_map(|one| one["id"].as_str()).collect::<Vec<_>>());
            match names {
                Some(names) if !names.is_empty() && !names.contains(&model.as_str()) => {
                    Finding::advice(
                        area,
                        format!("{base_url} does not list {model}"),
                        format!(
                            "check {setting}_MODEL; listed first: {}",
                            names[..names.len().min(5)].join(", ")
                        ),
                    )
                }
                _ => Finding::fine(area, format!("{model} at {base_url}")),
            }
        }
        status => Finding::advice(
            area,
            format!("{base_url} lists no models ({status})"),
            "some endpoints do not; a chat will tell",
        ),
    }
}

/// Whether anything answers there.
async fn reached(area: &'static str, setting: &str, url: String, client: &Client) -> Finding {
    match client.get(&url).send().await {
        Ok(answer) if !answer.status().is_server_error() => {
            Finding::fine(area, format!("{url} answers"))
        }
        Ok(answer) => Finding::trouble(
            area,
            format!("{url} answers {}", answer.status()),
            format!("check {setting}"),
        ),
        Err(error) => Finding::trouble(
            area,
            format!("{url}: {}", cause(&error)),
            format!("check {setting}, and that this machine reaches it"),
        ),
    }
}

/// The innermost cause says it best, and holds no address.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

async fn broker(url: BrokerUrl) -> Finding {
    const AREA: &str = "NATS";
    match publish::check(&url).await {
        Ok(version) => Finding::fine(AREA, format!("server {version} with JetStream")),
        Err(reason) => Finding::trouble(
            AREA,
            reason,
            "check NATS_URL, and that the server runs with JetStream (nats-server -js)",
        ),
    }
}

async fn event_store(url: commands::effects::Sensitive) -> Finding {
    const AREA: &str = "EventStoreDB";
    let log = match EventStoreLog::open(&url) {
        Ok(log) => log,
        Err(error) => return Finding::trouble(AREA, error.to_string(), "check EVENTSTORE_URL"),
    };
    match timeout(DEADLINE, log.head()).await {
        Ok(Ok(head)) => Finding::fine(AREA, format!("answers; the log ends at {head}")),
        Ok(Err(error)) => {
            Finding::trouble(AREA, error.to_string(), "check EVENTSTORE_URL and its credentials")
        }
        Err(_) => Finding::trouble(
            AREA,
            "does not answer",
            "check EVENTSTORE_URL, and that this machine reaches it",
        ),
    }
}
