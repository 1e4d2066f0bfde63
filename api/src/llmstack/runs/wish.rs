//! From what a client wants to a run that has begun.

use crate::{
    app::App,
    core::{Error, app_runs},
    llmstack::{Fault, Holder, apps},
    models::chosen,
};
use chrono::TimeDelta;
use commands::{
    app_runs::{RunError, Wish},
    apps::secrets,
};
use domain::{
    Metadata,
    app::{Definition, secrets::Holder as _},
    ids::{AppId, AppSessionId, RunId},
    run::{AppTurn, Origin},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// Characters of a session id.
const SESSION_ID: usize = 512;
/// How long a run that cannot begin yet is best left alone.
const BUSY: Duration = Duration::from_secs(5);

/// What of an app is to be run.
#[derive(Debug, Clone)]
pub enum What {
    /// The newest release, or for want of one its owner's draft.
    Released,
    /// The newest version, draft or not, for those who may change it.
    Newest,
    /// One step of the newest version alone, for those who may change it.
    Step(String),
}

/// What a client wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What is run.
    pub what: What,
    /// The session id.
    pub session: String,
    /// The input, as it was sent.
    pub input: Map<String, Value>,
    /// Whether pieces are read as they come.
    pub stream: bool,
    /// Where the request came from.
    pub origin: Origin,
}

/// A run that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Which.
    pub run: RunId,
    /// Its input, without secrets.
    pub shown: Map<String, Value>,
    /// Who may show the answer in a frame.
    pub csp: String,
}

/// Begins a run.
///
/// # Errors
/// When the caller may not run that, or it cannot be run.
pub async fn begin(
    app: &App,
    holder: &Holder,
    id: AppId,
    wanted: Wanted,
    metadata: &Metadata,
) -> Result<Begun, Fault> {
    if wanted.session.chars().count() > SESSION_ID {
        let text = format!("A session id has at most {SESSION_ID} characters.");
        return Err(Fault::bad_body(text));
    }
    let wish = wish(app, holder, id, wanted).await?;
    let (mut shown, csp) = (wish.turn.input.clone(), wish.turn.csp.clone());
    shown.mask();
    let run = app_runs::begin(app, wish, metadata).await.map_err(refused)?;
    Ok(Begun { run, shown, csp })
}

async fn wish(app: &App, holder: &Holder, id: AppId, wanted: Wanted) -> Result<Wish, Fault> {
    let Wanted { what, session, mut input, stream, origin } = wanted;
    let standing = match what {
        What::Released => apps::readable(app, holder, id).await?,
        What::Newest | What::Step(_) => apps::writable(app, holder, id).await?,
    };
    let version = match what {
        What::Released => standing.runnable(&holder.user),
        What::Newest | What::Step(_) => Some(&standing.newest),
    };
    let version = version.ok_or_else(|| Fault::error("The app has no published version"))?;
    let mut definition = (*version.definition).clone();
    if let What::Step(step) = &what {
        definition = definition.alone(step).ok_or_else(|| Fault::missing("Processor"))?;
    }
    if definition.type_slug == "voice-agent" {
        return Err(Fault::error("Unsupported app type voice-agent"));
    }
    if input.refers() {
        return Err(Fault::bad_body("input: \"$vault\" is a reserved key"));
    }
    let sealed = secrets::seal_input(&app.vault, &holder.user, id, &definition, &mut input).await;
    sealed.map_err(|error| Error::Unavailable(error.to_string()))?;
    let provider = app.models.preferred(&standing.owner).await?.map(|row| chosen(&row));
    let turn = AppTurn {
        app: id,
        version: version.number,
        input: definition.filled(input),
        session: AppSessionId::of(id, &holder.user, &session),
        stream,
        csp: csp(&definition, standing.published.is_some()),
        origin,
        app_owner: standing.owner,
        definition,
    };
    Ok(Wish {
        caller: holder.user.clone(),
        session_id: session,
        turn,
        provider,
        lifetime: TimeDelta::seconds(app.config.app_session_seconds),
    })
}

/// Who may show the answer in a frame.
fn csp(definition: &Definition, published: bool) -> String {
    let web = definition.integrations.get("web_config");
    let sites = web.and_then(|web| web["allowed_sites"].as_array());
    let sites = sites.or_else(|| definition.config.get("allowed_sites")?.as_array());
    let plain = |site: &&str| {
        !site.is_empty() && site.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',')
    };
    let sites: Vec<&str> =
        sites.into_iter().flatten().filter_map(Value::as_str).filter(plain).collect();
    match (sites.is_empty(), published) {
        (false, _) => format!("frame-ancestors {}", sites.join(" ")),
        (true, true) => "frame-ancestors *".to_owned(),
        (true, false) => "frame-ancestors self".to_owned(),
    }
}

fn refused(error: RunError) -> Fault {
    match error {
        RunError::Unsupported(slugs) => Fault::Errors(
            slugs.iter().map(|slug| format!("Unsupported processor {slug}")).collect(),
        ),
        RunError::Busy => Error::Throttled { retry_after: BUSY }.into(),
        RunError::Draining => Error::Unavailable(error.to_string()).into(),
        RunError::Failed(failure) => failure.into(),
    }
}
