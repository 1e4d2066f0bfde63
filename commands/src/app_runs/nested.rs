//! An app within a step of another: its steps are taken as usual, but they are no steps of the run, and remember nothing.

use super::{
    Workshop, catalogue,
    steps::{DEEPEST, Job, Ports, take},
    template::{self, Context},
    work::Report,
};
use crate::{
    apps::secrets::{self, Hidden},
    execute::Loaded,
};
use domain::{
    app::{App, Definition, plan::INPUT, stitch::stitch},
    ids::AppId,
    run::TurnUsage,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

/// What came of it.
pub(super) struct Ran {
    pub output: Value,
    pub usage: Vec<TurnUsage>,
}

/// Runs the newest release of an app that the caller may run; of the outer app's owner the draft, too.
pub(super) fn run(
    ports: &Ports,
    id: AppId,
    input: Map<String, Value>,
) -> BoxFuture<'_, Result<Ran, String>> {
    async move {
        if ports.depth >= DEEPEST {
            return Err(format!("apps within apps go at most {DEEPEST} deep"));
        }
        let app = Loaded::<App>::load(&*ports.log, &id).await.map_err(|error| error.to_string())?;
        let missing = || "the app does not exist".to_owned();
        let App::Present(standing) = app.state() else { return Err(missing()) };
        if !standing.may_run(&ports.caller, None) && standing.owner != ports.app_owner {
            return Err(missing());
        }
        let version = standing.runnable(&standing.owner).ok_or_else(missing)?;
        if version.definition.is_agent() {
            return Err("an agent cannot be a step".to_owned());
        }
        let mut definition = (*version.definition).clone();
        let hidden = match &ports.workshop {
            Some(Workshop { vault, .. }) => {
                secrets::open(vault, &standing.owner, id, &mut definition).await
            }
            None => Ok(Hidden::default()),
        };
        let hidden = hidden.map_err(|_| "the secrets of the app cannot be read".to_owned())?;
        let input = definition.filled(input);
        let hidden = ports.hidden.and(&hidden);
        let ports = Ports { depth: ports.depth + 1, hidden, ..ports.clone() };
        steps(&definition, input, &ports).await
    }
    .boxed()
}

async fn steps(
    definition: &Definition,
    input: Map<String, Value>,
    ports: &Ports,
) -> Result<Ran, String> {
    let waits = definition.dependencies();
    let input = Value::Object(input);
    let mut said: BTreeMap<usize, Value> = BTreeMap::new();
    let (mut begun, mut usage) = (BTreeSet::new(), Vec::new());
    type Taken = (usize, Result<(Value, Report), String>);
    let mut running: FuturesUnordered<BoxFuture<'static, Taken>> = FuturesUnordered::new();
    loop {
        for (place, waits) in waits.iter().enumerate() {
            let ready = waits.iter().all(|other| said.contains_key(other));
            if !ready || !begun.insert(place) {
                continue;
            }
            let step = definition.processors[place].clone();
            let entry = catalogue::find(&step.provider_slug, &step.processor_slug)
                .ok_or_else(|| format!("Unsupported processor {}", step.slug()))?;
            let context = context(definition, &input, &said);
            let ports = ports.clone();
            let (pieces, mut heard) = mpsc::channel(16);
            let job = Job { entry, step, place, context, memory: None, arguments: None, pieces };
            let taking = async move {
                let mut output = Value::Null;
                let listening = async {
                    while let Some((_, piece)) = heard.recv().await {
                        stitch(&mut output, piece);
                    }
                };
                let (taken, ()) = tokio::join!(take(job, ports), listening);
                (place, taken.map(|report| (output, report)))
            };
            running.push(taking.boxed());
        }
        let Some((place, taken)) = running.next().await else { break };
        let (output, report) = taken?;
        said.insert(place, output);
        usage.extend(report.usage);
    }
    let output = match definition.template() {
        "" => {
            let said = said.into_iter();
            let said = said.map(|(place, value)| (definition.processors[place].id.clone(), value));
            Value::Object(said.collect())
        }
        template => {
            let (template, context) = (template.to_owned(), context(definition, &input, &said));
            let rendered =
                tokio::task::spawn_blocking(move || template::render(&template, &context));
            rendered.await.map_err(|_| "the output cannot be rendered".to_owned())?.into()
        }
    };
    Ok(Ran { output, usage })
}

fn context(definition: &Definition, input: &Value, said: &BTreeMap<usize, Value>) -> Context {
    let mut context = Context::default();
    context.set(INPUT, input);
    for (name, place) in definition.step_names() {
        if let Some(output) = said.get(&place) {
            context.set(&name, output);
        }
    }
    context
}
