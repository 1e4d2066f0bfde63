//! Apps, their sessions, and what runs of theirs record.

use super::{NODE, RUN, object, stored};
use crate::Stored;
use annals_domain::{
    app::{self, App, Audience, Definition, Processor, Visibility},
    app_rating::{self, AppRating},
    app_session::{self, AppSession},
    ids::{AppId, AppSessionId},
    run::{AppTurn, Event as RunEvent, Origin, Request, Settings, Surface},
};
use anyhow::Result;
use serde_json::json;
use std::collections::BTreeMap;
use uuid::Uuid;

const APP: AppId = AppId(Uuid::from_u128(21));

fn definition() -> Definition {
    Definition {
        name: "Rewriter".to_owned(),
        description: "Rewrites".to_owned(),
        icon: Some("https://example.org/a.png".to_owned()),
        type_slug: "web".to_owned(),
        config: object(json!({"layout": null})),
        input_fields: vec![object(json!({"name": "passage"}))],
        output_template: object(json!({"markdown": "{{ echo.output_str }}"})),
        processors: vec![Processor {
            id: "echo".to_owned(),
            provider_slug: "promptly".to_owned(),
            processor_slug: "echo".to_owned(),
            input: object(json!({"input_str": "{{ _inputs0.passage }}"})),
            input_fields: Some(vec![object(json!({"name": "input_str"}))]),
            rest: object(json!({"dependencies": []})),
            ..Processor::default()
        }],
        integrations: object(json!({"web_config": {"allowed_sites": []}})),
    }
}

/// The request of a run of an app.
pub fn request() -> RunEvent {
    let turn = AppTurn {
        app: APP,
        app_owner: "ann".into(),
        version: 1,
        definition: definition(),
        input: object(json!({"passage": "p"})),
        session: AppSessionId(Uuid::from_u128(22)),
        stream: true,
        csp: "frame-ancestors self".to_owned(),
        origin: Origin {
            ip: Some("192.0.2.1".to_owned()),
            user_agent: Some("curl/8".to_owned()),
            content_type: Some("application/json".to_owned()),
        },
    };
    RunEvent::RunRequested(Box::new(Request {
        owner: "bob".into(),
        conversation: super::CONVERSATION,
        session_id: "s-1".to_owned(),
        surface: Surface::LlmStack,
        node: NODE,
        agent_id: None,
        agent_name: "Rewriter".to_owned(),
        parent: None,
        messages: vec![],
        settings: Settings { app: Some(Box::new(turn)), ..Settings::default() },
    }))
}

pub fn all() -> Result<Vec<Stored>> {
    let (comment, bare) = ("First version".to_owned(), Box::new(Definition::default()));
    let mut all = stored!(App, app::Event;
        AppCreated => [app::Event::AppCreated {
            owner: "ann".into(), definition: Box::new(definition()), draft: true, comment: comment.clone(),
        }],
        AppVersionSaved => [app::Event::AppVersionSaved { version: 1, definition: bare, draft: false, comment }],
        AppPublished => [
            app::Event::AppPublished { published: Uuid::from_u128(23), audience: Audience::default() },
            app::Event::AppPublished { published: Uuid::from_u128(23), audience: Audience {
                visibility: Visibility::Private,
                readers: vec!["b@example.org".to_owned()],
                writers: vec!["c@example.org".to_owned()],
            } },
            app::Event::AppPublished { published: Uuid::from_u128(23), audience: Audience {
                visibility: Visibility::Unlisted, ..Audience::default()
            } },
            app::Event::AppPublished { published: Uuid::from_u128(23), audience: Audience {
                visibility: Visibility::Organization, ..Audience::default()
            } },
        ],
        AppUnpublished => [app::Event::AppUnpublished {}],
        AppDeleted => [app::Event::AppDeleted {}],
    );
    let memory = BTreeMap::from([("llm1".to_owned(), json!({"chat_history": []}))]);
    let at = super::time("2026-02-03T04:05:06.000007Z")?;
    all.extend(stored!(AppSession, app_session::Event;
        AppTurnBegun => [app_session::Event::AppTurnBegun {
            app: APP, caller: "bob".into(), session_id: "s-1".to_owned(), run: RUN, fresh: true,
        }],
        AppTurnKept => [app_session::Event::AppTurnKept { run: RUN, at, memory }],
    ));
    all.extend(stored!(AppRating, app_rating::Event;
        AppRunRated => [app_rating::Event::AppRunRated {
            quality: "good".to_owned(), remark: "but slow".to_owned(),
        }],
    ));
    Ok(all)
}
