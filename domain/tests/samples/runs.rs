//! The events of a run, the largest there are.

use super::{CONVERSATION, NODE, RUN, SECRET, object, stored};
use crate::Stored;
use annals_domain::{
    Revision,
    mcp_server::{Endpoint, Protocol, RunServer},
    message::{Line, Message},
    onboarding::Station,
    run::{
        self, Budget, ChatTurn, ChosenProvider, DoneStep, Event, Interrupt, Memory, Outcome,
        Parent, Request, Run, Settings, SubAgent, Surface, TurnUsage,
    },
};
use anyhow::Result;
use serde_json::{json, value::RawValue};

fn line(text: &str) -> Result<Line> {
    Ok(Line(RawValue::from_string(text.to_owned())?))
}

fn said() -> Message {
    Message {
        role: "assistant".to_owned(),
        content: Some(json!("It is 汉.")),
        reasoning_content: Some("Hm.".to_owned()),
        tool_calls: vec![json!({"id": "c"})],
        message_id: "m-1".to_owned(),
        tool_call_id: Some("c".to_owned()),
        kind: "do_subtask_result".to_owned(),
        timestamp: 1_771_977_600.25,
        agent_name: Some("Research".to_owned()),
        metadata: object(json!({"superseded": true})),
        session_id: "s-1".to_owned(),
    }
}

fn request(surface: Surface) -> Box<Request> {
    let message = Message {
        role: "user".to_owned(),
        message_id: "m".to_owned(),
        kind: "user_input".to_owned(),
        ..Message::default()
    };
    Box::new(Request {
        owner: "ann".into(),
        conversation: CONVERSATION,
        session_id: "s-1".to_owned(),
        surface,
        node: NODE,
        agent_id: None,
        agent_name: "Sage Assistant".to_owned(),
        messages: vec![message],
        settings: Settings::default(),
        parent: None,
    })
}

/// The least a request can be.
pub fn plain_request() -> Event {
    Event::RunRequested(request(Surface::SageChat))
}

fn full_request() -> Event {
    Event::RunRequested(Box::new(Request {
        agent_id: Some("agent_0123abcd".into()),
        messages: vec![said()],
        settings: Settings {
            system_prefix: Some("You find things.".to_owned()),
            system_context: object(json!({"team": 3})),
            knowledge_bases: vec!["0123456789abcdef0123456789abcdef".into()],
            max_loop_count: Some(10),
            base_url: Some("http://127.0.0.1:1/v1".to_owned()),
            api_key: Some(SECRET),
            model: Some("m".to_owned()),
            provider: Some(ChosenProvider { id: "p".into(), owner: "ann".into() }),
            parameters: object(json!({"temperature": 0.2})),
            overrides: object(json!({"memory_type": "session"})),
            tools: vec!["todo_write".to_owned()],
            skills: vec!["tables".to_owned()],
            asked_skills: vec!["tables".to_owned()],
            workflows: object(json!({"w": ["a", "b"]})),
            deep_thinking: true,
            plan: true,
            more_suggest: true,
            force_summary: true,
            multi_agent: true,
            sub_agents: vec!["agent_4567cdef".into()],
            custom_sub_agents: vec![SubAgent {
                name: "Scout".to_owned(),
                agent_id: Some("agent_4567cdef".into()),
                system_prompt: Some("Look.".to_owned()),
                description: Some("Looks.".to_owned()),
                available_tools: Some(vec!["grep".to_owned()]),
                available_skills: Some(vec![]),
                available_workflows: None,
                system_context: Some(object(json!({"a": 1}))),
            }],
            mcp_servers: vec![RunServer {
                name: "docs".to_owned(),
                endpoint: Endpoint {
                    protocol: Protocol::StreamableHttp,
                    url: "https://docs.example/mcp".to_owned(),
                },
                api_key: Some(SECRET),
            }],
            text_only: true,
            memory: Memory::User,
            budget: Budget {
                max_model_len: Some(32_000),
                history_ratio: Some(0.2),
                active_ratio: Some(0.3),
                max_new_message_ratio: Some(0.5),
                recent_turns: Some(4),
            },
            app: None,
            chat: None,
        },
        parent: Some(Parent { run: RUN, call: "c".to_owned(), depth: 1 }),
        ..*request(Surface::SageStream)
    }))
}

fn ended(outcome: Outcome, error: Option<&str>) -> Result<Event> {
    Ok(Event::RunEnded {
        outcome,
        index: 2,
        line: line(r#"{"type": "stream_end", "session_id": "s-1", "total_stream_count": 2}"#)?,
        error: error.map(str::to_owned),
    })
}

/// All of them.
pub fn all() -> Result<Vec<Stored>> {
    let usage = |usage| TurnUsage { model: "m".to_owned(), usage, step: None };
    let abandoned =
        |message| Event::TurnAbandoned { turn: 0, message, reason: "superseded".to_owned() };
    Ok(stored!(Run, run::Event;
        RunRequested => [
            full_request(),
            plain_request(),
            Event::RunRequested(request(Surface::SageWebStream)),
            super::apps::request(),
            super::genie::request(ChatTurn::default()),
            super::genie::request(ChatTurn { gate: Some(Station::DataCollection), hosted: true }),
        ],
        RunClaimed => [Event::RunClaimed { node: NODE, attempt: 2 }],
        TurnStarted => [Event::TurnStarted { turn: 0, attempt: 1, message_id: "m-1".to_owned() }],
        // The bytes of a line are kept, blanks included.
        LinesRecorded => [Event::LinesRecorded {
            first: 0,
            lines: vec![line(r#"{"role": "assistant", "content": "汉\n"}"#)?, line(r#"{"a":1.0}"#)?],
        }],
        TurnCompleted => [
            Event::TurnCompleted {
                turn: 0,
                message: Some(Box::new(said())),
                usage: usage(Some(json!({"total_tokens": 12}))),
            },
            Event::TurnCompleted { turn: 1, message: None, usage: usage(None) },
            Event::TurnCompleted {
                turn: 2,
                message: None,
                usage: TurnUsage { step: Some("query_suggest".to_owned()), ..usage(None) },
            },
        ],
        TurnAbandoned => [abandoned(Some(Box::new(said()))), abandoned(None)],
        ToolStarted => [Event::ToolStarted {
            call: "c".to_owned(),
            name: "look".to_owned(),
            attempt: 1,
        }],
        ToolFinished => [
            Event::ToolFinished { message: Box::new(said()), told: Some("It is 汉.".to_owned()) },
            Event::ToolFinished { message: Box::new(said()), told: None },
        ],
        AppStepStarted => [Event::AppStepStarted { step: "llm1".to_owned(), attempt: 1 }],
        AppStepFinished => [
            Event::AppStepFinished {
                step: "llm1".to_owned(),
                done: Box::new(DoneStep {
                    output: json!({"text": "t"}),
                    memory: Some(json!({"chat_history": []})),
                }),
                usage: vec![usage(Some(json!({"total_tokens": 2})))],
            },
            Event::AppStepFinished {
                step: "echo1".to_owned(),
                done: Box::default(),
                usage: vec![],
            },
        ],
        SubRunRelayed => [
            Event::SubRunRelayed {
                run: RUN,
                revision: Revision(3),
                first: 1,
                lines: vec![line(r#"{"role": "assistant", "content": "汉\n"}"#)?],
                message: Some(Box::new(said())),
                usage: Some(usage(None)),
            },
            Event::SubRunRelayed {
                run: RUN,
                revision: Revision(4),
                first: 2,
                lines: vec![],
                message: None,
                usage: None,
            },
        ],
        MessagePosted => [Event::MessagePosted(Box::new(said()))],
        InterruptRequested => [Event::InterruptRequested(Interrupt {
            reason: "stop".to_owned(),
            replaced: true,
        })],
        RunEnded => [
            ended(Outcome::Completed, None)?,
            ended(Outcome::Interrupted, None)?,
            ended(Outcome::Replaced, None)?,
            ended(Outcome::Failed, Some("no answer"))?,
        ],
    ))
}
