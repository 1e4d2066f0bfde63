//! One event or more of every type.

mod apps;
mod genie;
mod grants;
mod intakes;
mod logins;
mod mcp_servers;
mod people;
mod runs;
mod shared;
mod skills;
mod subscription_groups;
mod work;

use crate::Stored;
use annals_domain::{
    admins::{self, Admins},
    agent::{self, Agent},
    agent_task::{self, AgentTask},
    billing::{Period, Subscription, Tier},
    conversation::{self, Conversation},
    datasource::Type,
    document::{self, BlobHash, Document, Passage},
    ids::{AgentId, ConversationId, LoginId, NodeId, RunId, SecretId},
    knowledge_base::{self, KnowledgeBase},
    llm_default::{self, DefaultProvider},
    llm_provider::{self, LlmProvider},
    name::{self, AgentNames, Emails, Name, UpstreamIdentities, Usernames},
    quota::{self, Action, Quota},
    system::{self, System},
    user::{self, EmailAddress, Role, Status, User, Username},
    user_config::{self, UserConfig},
};
use anyhow::Result;
use chrono::{DateTime, Utc};
pub use runs::plain_request;
use serde_json::{Map, Number, Value, json};
use uuid::Uuid;

pub const RUN: RunId = RunId(Uuid::from_u128(1));
pub const CONVERSATION: ConversationId = ConversationId(Uuid::from_u128(2));
pub const NODE: NodeId = NodeId(Uuid::from_u128(3));
pub const SECRET: SecretId = SecretId(Uuid::from_u128(4));
const LOGIN: LoginId = LoginId(Uuid::from_u128(5));

/// `stored!(Aggregate, events; Variant => [sample, …], …)`: no variant without a sample, no sample under another's name.
macro_rules! stored {
    ($aggregate:ty, $event:path; $($variant:ident => [$($sample:expr),+ $(,)?]),+ $(,)?) => {{
        use $event as E;
        // Never called: it is there to be exhaustive.
        let _ = |event: &E| match event { $(E::$variant { .. } => {})+ };
        let mut all = Vec::new();
        $($(
            let sample = $sample;
            anyhow::ensure!(matches!(sample, E::$variant { .. }), "not a {}", stringify!($variant));
            all.push(Stored::of::<$aggregate>(sample)?);
        )+)+
        all
    }};
}
use stored;

/// All samples, in the order of the file.
pub fn all() -> Result<Vec<Stored>> {
    let parts = [
        people()?,
        names()?,
        quotas()?,
        conversations()?,
        agents()?,
        knowledge_bases()?,
        documents()?,
        intakes::all()?,
        providers()?,
        tasks()?,
        grants::all()?,
        genie::all()?,
        people::all()?,
        mcp_servers::all()?,
        skills::all()?,
        subscription_groups::all()?,
        runs::all()?,
        work::all()?,
        shared::all()?,
        apps::all()?,
    ];
    Ok(parts.into_iter().flatten().collect())
}

fn time(text: &str) -> Result<DateTime<Utc>> {
    Ok(text.parse()?)
}

pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub fn registered(email: Option<&str>, phone: Option<&str>) -> Result<user::Event> {
    Ok(user::Event::UserRegistered {
        username: Username::parse("Ann", None)?,
        email: email.map(EmailAddress::parse).transpose()?,
        phone: phone.map(str::to_owned),
        role: Role::Creator,
    })
}

fn people() -> Result<Vec<Stored>> {
    use admins::Event as Admin;
    use user::Event as Person;
    let digest = || "00ff".to_owned();
    let subscription =
        Subscription { period: Period::Annual, start: time("2026-01-31T00:00:00Z")? };
    let mut all = stored!(User, user::Event;
        UserRegistered => [registered(Some("ann@example.org"), Some("+49 1"))?, registered(None, None)?],
        RegistrationAbandoned => [Person::RegistrationAbandoned {}],
        UserDeleted => [Person::UserDeleted {}],
        PasswordChanged => [
            Person::PasswordChanged { secret: SECRET, kept_login: Some(LOGIN) },
            Person::PasswordChanged { secret: SECRET, kept_login: None },
        ],
        RoleChanged => [
            Person::RoleChanged { role: Role::Administrator },
            Person::RoleChanged { role: Role::Viewer },
        ],
        StatusChanged => [
            Person::StatusChanged { status: Status::Suspended },
            Person::StatusChanged { status: Status::Active },
        ],
        TierChanged => [Person::TierChanged { tier: Tier::named("elite") }],
        SubscriptionChanged => [
            Person::SubscriptionChanged { tier: Tier::starter(), subscription },
            Person::SubscriptionChanged {
                tier: Tier::named("pro"),
                subscription: Subscription { period: Period::Monthly, ..subscription },
            },
        ],
        ApiTokenIssued => [Person::ApiTokenIssued { digest: digest() }],
        ApiTokenRevoked => [Person::ApiTokenRevoked { digest: digest() }],
    );
    all.extend(stored!(Admins, admins::Event;
        AdminAppointed => [Admin::AdminAppointed { user: "ann".into(), status: Status::Active }],
        AdminDismissed => [Admin::AdminDismissed { user: "ann".into() }],
        AdminSuspended => [Admin::AdminSuspended { user: "ann".into() }],
        AdminReinstated => [Admin::AdminReinstated { user: "ann".into() }],
    ));
    all.extend(logins::all()?);
    all.extend(stored!(UserConfig, user_config::Event;
        UserConfigured => [user_config::Event::UserConfigured {
            changes: object(json!({"theme": "dark", "layout": {"sidebar": true}})),
        }],
    ));
    all.extend(stored!(System, system::Event;
        RegistrationAllowed => [system::Event::RegistrationAllowed {}],
        RegistrationForbidden => [system::Event::RegistrationForbidden {}],
        QueueDrained => [system::Event::QueueDrained {}],
        QueueResumed => [system::Event::QueueResumed {}],
    ));
    Ok(all)
}

fn names() -> Result<Vec<Stored>> {
    use name::Event;
    let mut all = stored!(Name<Usernames>, name::Event;
        NameReserved => [Event::NameReserved { holder: "ann".into() }],
        NameReleased => [Event::NameReleased { holder: "ann".into() }],
    );
    all.extend(stored!(Name<Emails>, name::Event;
        NameReserved => [Event::NameReserved { holder: "ann".into() }],
        NameReleased => [Event::NameReleased { holder: "ann".into() }],
    ));
    all.extend(stored!(Name<UpstreamIdentities>, name::Event;
        NameReserved => [Event::NameReserved { holder: "ann".into() }],
        NameReleased => [Event::NameReleased { holder: "ann".into() }],
    ));
    type AgentName = Event<AgentId>;
    let holder = || AgentId::from("agent_0123abcd");
    all.extend(stored!(Name<AgentNames>, AgentName;
        NameReserved => [Event::NameReserved { holder: holder() }],
        NameReleased => [Event::NameReleased { holder: holder() }],
    ));
    Ok(all)
}

pub fn charged(action: Action, reference: Option<&str>) -> Result<quota::Event> {
    Ok(quota::Event::UsageCharged {
        action,
        amount: 3,
        billing_cycle_start: time("2026-02-01T00:00:00Z")?,
        charged_at: time("2026-02-03T04:05:06.000007Z")?,
        reference: reference.map(str::to_owned),
    })
}

fn quotas() -> Result<Vec<Stored>> {
    Ok(stored!(Quota, quota::Event;
        UsageCharged => [
            charged(Action::PostCreations, Some("job-1"))?,
            charged(Action::TaxonomyTags, None)?,
            charged(Action::MediaModifications, None)?,
        ],
        UsageReserved => [quota::Event::UsageReserved {
            reservation: "caption-1".to_owned(),
            action: Action::PostCreations,
            amount: 1,
            billing_cycle_start: time("2026-11-15T10:30:00Z")?,
            expires_at: time("2026-11-21T12:02:00Z")?,
        }],
        UsageConfirmed => [
            quota::Event::UsageConfirmed { reservation: "caption-1".to_owned() }
        ],
        UsageReleased => [quota::Event::UsageReleased { reservation: "caption-1".to_owned() }],
    ))
}

fn conversations() -> Result<Vec<Stored>> {
    use conversation::Event;
    let started = |agent_id: Option<&str>| Event::ConversationStarted {
        owner: "ann".into(),
        session_id: "s-1".to_owned(),
        title: "Héllo \"汉\" 😀".to_owned(),
        agent_id: agent_id.map(Into::into),
        agent_name: "Sage Assistant".to_owned(),
    };
    Ok(stored!(Conversation, conversation::Event;
        ConversationStarted => [started(Some("agent_0123abcd")), started(None)],
        RunOpened => [
            Event::RunOpened { run: RUN, replaces: Some(RunId(Uuid::from_u128(7))) },
            Event::RunOpened { run: RUN, replaces: None },
        ],
        ConversationRenamed => [Event::ConversationRenamed { title: "Other".to_owned() }],
        ConversationDeleted => [Event::ConversationDeleted {}],
    ))
}

fn agents() -> Result<Vec<Stored>> {
    use agent::Event;
    let names = |name: &str| Some(vec![name.to_owned()]);
    let full = agent::Config {
        name: "Research".to_owned(),
        system_prefix: Some("You find things.".to_owned()),
        system_context: Some(object(json!({"team": {"size": 3}}))),
        available_workflows: Some(object(json!({"report": ["read", "write"]}))),
        available_tools: names("search"),
        available_sub_agent_ids: names("agent_89abcdef"),
        available_skills: names("pdf"),
        available_knowledge_bases: names("0123456789abcdef0123456789abcdef"),
        memory_type: Some("session".to_owned()),
        max_loop_count: Some(10),
        deep_thinking: Some(true),
        llm_provider_id: Some("p".to_owned()),
        enable_multimodal: Some(false),
        multi_agent: Some(true),
        agent_mode: Some("default".to_owned()),
        description: Some("Finds.".to_owned()),
    };
    let bare = agent::Config { name: "Bare".to_owned(), ..agent::Config::default() };
    let created = |config| Event::AgentCreated { owner: "ann".into(), config: Box::new(config) };
    Ok(stored!(Agent, agent::Event;
        AgentCreated => [created(full), created(bare.clone())],
        AgentReconfigured => [Event::AgentReconfigured { config: Box::new(bare.clone()) }],
        AgentShared => [Event::AgentShared { users: ["bob".into(), "cid".into()].into() }],
        AgentNameForgone => [Event::AgentNameForgone {}],
        AgentDeleted => [Event::AgentDeleted {}],
        CreationAbandoned => [Event::CreationAbandoned {}],
    ))
}

fn knowledge_bases() -> Result<Vec<Stored>> {
    use knowledge_base::Event;
    let created = |datasource| Event::KnowledgeBaseCreated {
        owner: "ann".into(),
        name: "Manuals".to_owned(),
        kind: "qa".to_owned(),
        intro: "How things work".to_owned(),
        language: "zh-cn".to_owned(),
        datasource,
    };
    Ok(stored!(KnowledgeBase, knowledge_base::Event;
        KnowledgeBaseCreated => [created(None), created(Some(Type::Pdf))],
        KnowledgeBaseRenamed => [Event::KnowledgeBaseRenamed { name: "Books".to_owned() }],
        KnowledgeBaseDescribed => [Event::KnowledgeBaseDescribed { intro: String::new() }],
        KnowledgeBaseConfigured => [Event::KnowledgeBaseConfigured {
            setting: json!({"kdbAttach": {"language": "en"}}),
        }],
        KnowledgeBaseCleared => [Event::KnowledgeBaseCleared {}],
        KnowledgeBaseDeleted => [Event::KnowledgeBaseDeleted {}],
    ))
}

fn documents() -> Result<Vec<Stored>> {
    use document::Event;
    let passage = |heading: &str| Passage {
        text: "Turn the key.".to_owned(),
        start: 10,
        end: 23,
        heading: heading.to_owned(),
        ..Passage::default()
    };
    let failed = |retry_in_ms| Event::IngestionFailed {
        attempt: 1,
        reason: "no text".to_owned(),
        retry_in_ms,
    };
    Ok(stored!(Document, document::Event;
        DocumentUploaded => [intakes::file(), intakes::page()],
        IngestionStarted => [Event::IngestionStarted { attempt: 1, node: NODE }],
        PassagesStored => [Event::PassagesStored {
            attempt: 1,
            first: 0,
            model: "builtin".to_owned(),
            passages: vec![
                passage("Car > Start"),
                passage(""),
                Passage { page: Some(3), row: Some(0), ..passage("") },
            ],
        }],
        DocumentIngested => [Event::DocumentIngested {
            attempt: 1,
            text_bytes: 4000,
            media_type: "text/markdown".to_owned(),
            text: Some(BlobHash("cd".repeat(32))),
        }],
        IngestionFailed => [failed(Some(5000)), failed(None)],
        RereadRequested => [Event::RereadRequested {}],
        DocumentDeleted => [Event::DocumentDeleted {}],
    ))
}

fn providers() -> Result<Vec<Stored>> {
    use llm_provider::{Config, Event};
    let plain =
        || Config::new("Mine".to_owned(), "https://example.org/v1".to_owned(), "m".to_owned());
    let full = || Config {
        max_tokens: Some(4096),
        temperature: Number::from_f64(0.7),
        top_p: Some(1.into()),
        presence_penalty: Some(0.into()),
        supports_multimodal: true,
        ..plain()
    };
    let added = |config| Event::ProviderAdded {
        owner: "ann".into(),
        config: Box::new(config),
        key: SECRET,
    };
    let mut all = stored!(LlmProvider, llm_provider::Event;
        ProviderAdded => [added(full()), added(plain())],
        ProviderReconfigured => [Event::ProviderReconfigured { config: Box::new(full()) }],
        ProviderKeyReplaced => [Event::ProviderKeyReplaced { key: SECRET }],
        ProviderDeleted => [Event::ProviderDeleted {}],
    );
    use llm_default::Event as Default;
    all.extend(stored!(DefaultProvider, llm_default::Event;
        DefaultProviderChosen => [Default::DefaultProviderChosen { provider: "p".into() }],
        DefaultProviderDropped => [Default::DefaultProviderDropped {}],
    ));
    Ok(all)
}

fn tasks() -> Result<Vec<Stored>> {
    use agent_task::{Event, Failure, Kind, Request};
    let requested = |kind, language: &str| {
        Event::TaskRequested(Box::new(Request {
            owner: "ann".into(),
            kind,
            input: object(json!({"agent_description": "Finds."})),
            language: language.to_owned(),
            node: NODE,
        }))
    };
    let failure = Failure { message: "no answer".to_owned(), code: 500 };
    Ok(stored!(AgentTask, agent_task::Event;
        TaskRequested => [requested(Kind::Draft, "zh"), requested(Kind::Optimize, "en")],
        TaskCompleted => [Event::TaskCompleted { result: object(json!({"name": "Finder"})) }],
        TaskFailed => [Event::TaskFailed { failure }],
        TaskCancelled => [Event::TaskCancelled {}],
    ))
}
