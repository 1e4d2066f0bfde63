//! The scripted provider keeps its promises: scripts in messages, the same words every time, vectors, its own binary.

use annals_tests::model_server::{Script, vector};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// The binary, killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> Result<(Process, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-server"));
    let child = command.args(arguments).stdout(Stdio::piped()).spawn()?;
    let mut process = Process(child);
    let out = process.0.stdout.take().context("its output is piped")?;
    let mut address = String::new();
    BufReader::new(out).read_line(&mut address)?;
    Ok((process, address.trim().to_owned()))
}

async fn ask(base: &str, content: &str) -> Result<String> {
    let body = json!({
        "model": "m", "stream": true, "messages": [{"role": "user", "content": content}],
    });
    let reply = reqwest::Client::new().post(format!("{base}/chat/completions")).json(&body);
    Ok(reply.send().await?.error_for_status()?.text().await?)
}

#[tokio::test]
async fn the_binary_prints_its_address_and_follows_scripts() -> Result<()> {
    let (_process, base) = start(&["--deltas", "3", "--delay-ms", "1"])?;
    let first = ask(&base, "hello").await?;
    assert_eq!(first.matches("\"content\"").count(), 3, "{first}");
    assert_eq!(ask(&base, "hello").await?, first, "the same question, other words");

    let longer = Script { deltas: 8, ..Script::default() }.message("and now?");
    assert_eq!(ask(&base, &longer).await?.matches("\"content\"").count(), 8);
    assert!(ask(&base, "!script {\"deltaz\": 1}").await.is_err());

    let admin = base.replace("/v1", "/admin");
    let client = reqwest::Client::new();
    let script = json!({"deltas": 1});
    client.put(format!("{admin}/script")).json(&script).send().await?.error_for_status()?;
    assert_eq!(ask(&base, "hello").await?.matches("\"content\"").count(), 1);
    let calls: Value = client.get(format!("{admin}/calls")).send().await?.json().await?;
    assert_eq!((&calls["count"], &calls["calls"][0]["fate"]), (&json!(5), &json!("answered")));
    Ok(())
}

#[tokio::test]
async fn embeds_the_same_way_every_time() -> Result<()> {
    let (_process, base) = start(&[])?;
    let body = json!({"model": "e", "input": ["red apples", "blue sky"], "dimensions": 64});
    let call = reqwest::Client::new().post(format!("{base}/embeddings")).json(&body);
    let reply: Value = call.send().await?.error_for_status()?.json().await?;
    let second: Vec<f32> = serde_json::from_value(reply["data"][1]["embedding"].clone())?;
    assert_eq!((second.len(), &reply["data"][1]["index"]), (64, &json!(1)));
    assert_eq!(second, vector("blue sky", 64));
    Ok(())
}

#[test]
fn texts_that_share_words_are_near_each_other() {
    let nearness = |a: &str, b: &str| -> f32 {
        vector(a, 384).iter().zip(vector(b, 384)).map(|(x, y)| x * y).sum()
    };
    assert!((nearness("Red apples", "red apples!") - 1.0).abs() < 1e-5);
    assert!(nearness("red apples", "red pears") > nearness("red apples", "blue sky") + 0.2);
    assert!((nearness("", "") - 1.0).abs() < 1e-5);
}
