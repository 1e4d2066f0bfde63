//! Somebody who talks without end, notes every line, and comes back after every crash.

use super::world::{Visit, World};
use annals_tests::{
    chance::Chance,
    fold,
    lines::{Lines, check_snapshot, check_whole, is_end},
    model_server::{Script, ToolCall, text},
};
use anyhow::{Context, Error, Result, ensure};
use serde_json::{Value, json};
use std::{collections::HashSet, time::Duration};
use tokio::{task::JoinHandle, time::sleep};

pub struct Client {
    world: World,
    number: u64,
    chance: Chance,
    sessions: u64,
    known: HashSet<String>,
}

impl Client {
    pub fn new(world: World, number: u64, chance: Chance) -> Self {
        Self { world, number, chance, sessions: 0, known: HashSet::new() }
    }

    /// Talks until the world is finished. How many runs that were.
    pub async fn talk(mut self) -> Result<u64> {
        let talked = self.sessions().await;
        talked.inspect_err(|error| self.world.fail(error))
    }

    async fn sessions(&mut self) -> Result<u64> {
        let (mut runs, mut session, mut before) = (0, String::new(), 0);
        loop {
            if runs == 0 || self.chance.one_in(3) {
                self.sessions += 1;
                (session, before) = (format!("s-{}-{}", self.number, self.sessions), 0);
            }
            if let Some(messages) = self.run(&session, before).await? {
                runs += 1;
                before += messages;
            }
            if self.world.is_finished() && runs > 0 {
                return Ok(runs);
            }
        }
    }

    /// One run from question to end, over as many lives of the server as it takes. How many messages it left; `None`
    /// when the server was killed before it knew of the question.
    async fn run(&mut self, session: &str, before: usize) -> Result<Option<usize>> {
        let script = self.script();
        let Some((run, stream, visit)) = self.ask(session, &script).await? else { return Ok(None) };
        self.known.insert(run.clone());
        let watcher = self.watch(session, &run);
        let reading = || Reading::of(&self.world, session, &run);
        let twin = self.chance.one_in(2).then(|| tokio::spawn(reading().read_on(None, false)));
        let lines = reading().read_on(Some((stream, visit)), true).await;
        let snapshots = watcher.stop().await?;
        let lines = lines.with_context(|| format!("run {run}"))?;

        check_whole(&lines).with_context(|| format!("run {run}: {lines:#?}"))?;
        if let Some(twin) = twin {
            ensure!(twin.await?? == lines, "another reader of run {run} got other lines");
        }
        let replayed = reading().read_on(None, false).await?;
        ensure!(replayed == lines, "run {run} replays as {replayed:#?} instead of {lines:#?}");
        for snapshot in snapshots {
            check_snapshot(&snapshot, &lines, before).with_context(|| format!("run {run}"))?;
        }
        check_answer(&script, &lines).with_context(|| format!("run {run}"))?;
        let last = self.messages(session).await?;
        check_snapshot(&last, &lines, before).with_context(|| format!("run {run} at its end"))?;
        ensure!(last["next_stream_index"] == lines.len(), "the index of a run that is over");
        Ok(Some(1 + fold::fold(&lines).len()))
    }

    fn script(&mut self) -> Script {
        let call =
            ToolCall { name: "look".to_owned(), arguments: json!({"at": "the 词 stars 🙂"}) };
        Script {
            deltas: 40 + usize::try_from(self.chance.below(30)).unwrap(),
            delay_ms: 8 + self.chance.below(8),
            reasoning: usize::try_from(self.chance.below(8)).unwrap(),
            tool_calls: if self.chance.one_in(3) { vec![call] } else { vec![] },
            split: if self.chance.one_in(3) { 17 } else { 0 },
            ..Script::default()
        }
    }

    /// Asks; after a crash finds out whether the question was heard.
    async fn ask(&self, session: &str, script: &Script) -> Result<Option<(String, Lines, Visit)>> {
        let question = script.message("and then?");
        let visit = self.world.visit().await?;
        match visit.person.say("/api/web-stream", session, &question).await {
            Ok(stream) => return Ok(Some((stream.run()?, stream, visit))),
            Err(error) => self.world.excuse(&visit, error)?,
        }
        loop {
            let visit = self.world.visit().await?;
            match visit.person.resume(session, "").await {
                // Nobody knows the session, or no run of it.
                Ok(stream) if stream.run().is_err() => return Ok(None),
                Ok(stream) => {
                    let run = stream.run()?;
                    return Ok((!self.known.contains(&run)).then_some((run, stream, visit)));
                }
                Err(error) => self.world.excuse(&visit, error)?,
            }
        }
    }

    async fn messages(&self, session: &str) -> Result<Value> {
        loop {
            let visit = self.world.visit().await?;
            match visit.person.messages(session).await {
                Ok(messages) => return Ok(messages),
                Err(error) => self.world.excuse(&visit, error)?,
            }
        }
    }

    /// Takes snapshots of the session at random moments until told to stop.
    fn watch(&mut self, session: &str, run: &str) -> Watcher {
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let (world, mut chance) = (self.world.clone(), self.chance.fork());
        let (session, run) = (session.to_owned(), run.to_owned());
        let task = tokio::spawn(async move {
            let mut snapshots = Vec::new();
            loop {
                let visit = world.visit().await?;
                match visit.person.messages(&session).await {
                    Ok(snapshot) if snapshot["run_id"] == *run => snapshots.push(snapshot),
                    Ok(snapshot) => {
                        return Err(Error::msg(format!("not a snapshot of {run}: {snapshot}")));
                    }
                    Err(error) => world.excuse(&visit, error)?,
                }
                // Only to spread the snapshots over the run.
                let pause = Duration::from_millis(chance.below(150));
                tokio::select! {
                    _ = &mut stopped => return Ok(snapshots),
                    () = sleep(pause) => {}
                }
            }
        });
        Watcher { stop, task }
    }
}

struct Watcher {
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<Result<Vec<Value>>>,
}

impl Watcher {
    async fn stop(self) -> Result<Vec<Value>> {
        // A watcher that failed has gone already.
        let _ = self.stop.send(());
        self.task.await?
    }
}

struct Reading {
    world: World,
    session: String,
    run: String,
    lines: Vec<String>,
}

impl Reading {
    fn of(world: &World, session: &str, run: &str) -> Self {
        let (session, run) = (session.to_owned(), run.to_owned());
        Self { world: world.clone(), session, run, lines: Vec::new() }
    }

    /// Reads to the end line, coming back with the number of lines it has after every crash.
    async fn read_on(
        mut self,
        mut open: Option<(Lines, Visit)>,
        counted: bool,
    ) -> Result<Vec<String>> {
        loop {
            let (mut stream, visit) = match open.take() {
                Some(open) => open,
                None => match self.reopen().await? {
                    Some(open) => open,
                    None => continue,
                },
            };
            ensure!(stream.run()? == self.run, "lines of another run");
            let broken = loop {
                match stream.next().await {
                    Ok(Some(line)) => {
                        self.lines.push(line);
                        if counted {
                            self.world.count_line();
                        }
                    }
                    Ok(None) if self.lines.last().is_some_and(|line| is_end(line)) => {
                        return Ok(self.lines);
                    }
                    Ok(None) => break Error::msg("the stream ended without an end line"),
                    Err(error) => break error,
                }
            };
            self.world.excuse(&visit, broken)?;
        }
    }

    /// `None` when the server was killed meanwhile.
    async fn reopen(&self) -> Result<Option<(Lines, Visit)>> {
        let visit = self.world.visit().await?;
        let query = format!("?last_index={}&run_id={}", self.lines.len(), self.run);
        match visit.person.resume(&self.session, &query).await {
            Ok(stream) => Ok(Some((stream, visit))),
            Err(error) => self.world.excuse(&visit, error).map(|()| None),
        }
    }
}

/// The attempt that came through said everything; a run that was taken over too often says so.
fn check_answer(script: &Script, lines: &[String]) -> Result<()> {
    let messages = fold::fold(lines);
    let counts = |message: &&Value| message["metadata"]["superseded"] != true;
    let answers: Vec<&Value> = messages.iter().filter(counts).collect();
    // Nobody has the tool that the model asks for: its call has one result, and a second turn follows.
    let called = usize::from(!script.tool_calls.is_empty());
    let last = answers.last().context("nobody answers")?;
    if last["type"] == "final_answer" {
        ensure!(last["content"].to_string().contains("taken over too many times"), "{last}");
        eprintln!("given up after {} messages", messages.len());
        return Ok(());
    }
    ensure!(answers.len() == 1 + 2 * called, "answers: {answers:#?}");
    ensure!(last["content"] == text(script.deltas) + "\n", "{last}");
    for (call, answer) in script.tool_calls.iter().zip(&answers) {
        ensure!(answer["content"] == text(script.deltas), "{answer}");
        let made = &answer["tool_calls"][0];
        let arguments = call.arguments.to_string();
        ensure!(made["function"]["arguments"].as_str() == Some(&arguments), "{answer}");
        ensure!(answers[1]["tool_call_id"] == made["id"], "{answers:#?}");
        ensure!(answers[1]["metadata"]["tool_execution_status"] == "error", "{answers:#?}");
    }
    Ok(())
}
