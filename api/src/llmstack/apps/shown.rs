//! Apps as clients see them.

use crate::{
    app::App,
    core::Error,
    llmstack::{Fault, Holder},
};
use chrono::{DateTime, SecondsFormat, Utc};
use commands::apps::secrets;
use domain::{
    app::{Definition, Processor, secrets::Holder as _},
    ids::{AppId, UserId},
};
use projections::apps::Row;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// An app. What is only for those who may change it is `null` for everybody else.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub struct Shown {
    uuid: Uuid,
    name: String,
    description: String,
    /// What it says now.
    data: Data,
    r#type: Type,
    type_slug: String,
    app_type_slug: String,
    app_type_name: &'static str,
    /// Its name among published apps.
    published_uuid: Option<Uuid>,
    /// Always `null`.
    #[schema(value_type = Option<Uuid>)]
    store_uuid: (),
    is_published: bool,
    /// Whether it has a version that is no draft.
    has_live_version: bool,
    /// `provider / slug` of its steps.
    unique_processors: Vec<String>,
    /// Always empty; those that there are stand in `data`.
    processors: [Value; 0],
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_updated_at: String,
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    logo: (),
    icon: Option<String>,
    is_shareable: bool,
    has_footer: bool,
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    domain: (),
    /// Always `null`.
    #[schema(value_type = Option<Object>)]
    template: (),
    /// 0: those who are named; 1: the organization; 2: all who know where; 3: everybody.
    #[schema(minimum = 0, maximum = 3)]
    visibility: Option<u8>,
    last_modified_by_email: Option<String>,
    owner_email: Option<String>,
    #[schema(value_type = Option<Object>)]
    web_config: Option<Value>,
    #[schema(value_type = Option<Object>)]
    slack_config: Option<Value>,
    #[schema(value_type = Option<Object>)]
    discord_config: Option<Value>,
    #[schema(value_type = Option<Object>)]
    twilio_config: Option<Value>,
    /// E-mail addresses of those who may run it.
    read_accessible_by: Option<Vec<String>>,
    /// E-mail addresses of those who may change it.
    write_accessible_by: Option<Vec<String>>,
    /// What the caller may do: 0 run it, 1 change it.
    #[schema(minimum = 0, maximum = 1)]
    access_permission: u8,
}

/// What an app says in one of its versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppData)]
pub struct Data {
    name: String,
    description: String,
    /// URL or data URL of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    icon: Option<String>,
    type_slug: String,
    /// What this type of app is told besides.
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// What it asks for.
    #[schema(value_type = Vec<Object>)]
    input_fields: Vec<Map<String, Value>>,
    #[schema(value_type = Object)]
    output_template: Map<String, Value>,
    /// Its steps; only for those who may change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<super::shapes::ShownStep>>)]
    processors: Option<Vec<Processor>>,
    /// Counted from 0.
    version: i64,
}

/// A type of apps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppTypeDetail)]
pub struct Type {
    name: &'static str,
    slug: String,
    /// Always empty.
    description: &'static str,
    /// Always empty.
    #[schema(value_type = Object)]
    config_schema: Map<String, Value>,
    /// Always empty.
    #[schema(value_type = Object)]
    config_ui_schema: Map<String, Value>,
}

/// An app in a list, of which only some keys may be wanted.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Listed(Map<String, Value>);

impl Listed {
    /// These keys of the app; all, if none are named.
    ///
    /// # Errors
    /// Does not happen: an app has a form in JSON.
    pub fn of(app: Shown, wanted: Option<&[&str]>) -> serde_json::Result<Self> {
        let mut fields = match serde_json::to_value(app)? {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        if let Some(wanted) = wanted {
            fields.retain(|key, _| wanted.contains(&key.as_str()));
        }
        Ok(Self(fields))
    }
}

impl PartialSchema for Listed {
    fn schema() -> RefOr<Schema> {
        match Shown::schema() {
            RefOr::T(Schema::Object(mut app)) => {
                app.required.clear();
                app.description = Some("An app; with `fields`, only those of its keys.".to_owned());
                app.into()
            }
            other => other,
        }
    }
}

impl ToSchema for Listed {
    fn name() -> std::borrow::Cow<'static, str> {
        "ListedApp".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Shown::schemas(schemas);
    }
}

/// Apps as this caller sees them.
///
/// # Errors
/// When the secret store does not answer.
pub async fn shown_all(app: &App, rows: Vec<Row>, holder: &Holder) -> Result<Vec<Shown>, Fault> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.push(shown(app, row, holder).await?);
    }
    Ok(all)
}

/// An app as this caller sees it: who may not change it sees what it asks for, and nothing of how it works. Who may reads
/// the keys in it as they were typed, and sends them back when the app is saved anew.
///
/// # Errors
/// When the secret store does not answer.
pub async fn shown(app: &App, row: Row, holder: &Holder) -> Result<Shown, Fault> {
    let visibility = row.visibility();
    let mut definition = row.definition.0;
    let named = |list: &[String]| {
        let email = holder.email();
        email.is_some_and(|email| list.iter().any(|other| other.eq_ignore_ascii_case(email)))
    };
    let own = row.owner == holder.user.as_str();
    let writes = own || (row.published.is_some() && named(&row.writers));
    match writes {
        true => open(app, &row.owner, AppId(row.app_id), &mut definition).await?,
        false => definition.mask(),
    }
    let integration = |key: &str| definition.integrations.get(key).filter(|_| writes).cloned();
    let (web_config, slack_config) = (integration("web_config"), integration("slack_config"));
    let discord_config = integration("discord_config");
    let twilio_config = integration("twilio_config");
    Ok(Shown {
        uuid: row.app_id,
        name: definition.name.clone(),
        description: definition.description.clone(),
        r#type: kind(&definition.type_slug),
        type_slug: definition.type_slug.clone(),
        app_type_slug: definition.type_slug.clone(),
        app_type_name: type_name(&definition.type_slug),
        published_uuid: row.published,
        store_uuid: (),
        is_published: row.published.is_some(),
        has_live_version: row.has_release,
        unique_processors: slugs(&definition),
        processors: [],
        created_at: iso(row.created_at),
        last_updated_at: iso(row.updated_at),
        logo: (),
        icon: definition.icon.clone(),
        is_shareable: true,
        has_footer: true,
        domain: (),
        template: (),
        visibility: writes.then_some(visibility),
        last_modified_by_email: row.modifier_email.filter(|_| writes),
        owner_email: row.owner_email.filter(|_| writes),
        web_config,
        slack_config,
        discord_config,
        twilio_config,
        read_accessible_by: writes.then_some(row.readers),
        write_accessible_by: writes.then_some(row.writers),
        access_permission: u8::from(writes),
        data: data(definition, row.version, writes),
    })
}

/// Puts the secrets back that were typed into a definition; those that were destroyed are masked.
///
/// # Errors
/// When the secret store does not answer.
pub async fn open(
    app: &App,
    owner: &str,
    id: AppId,
    definition: &mut Definition,
) -> Result<(), Fault> {
    let opened = secrets::open(&app.vault, &UserId::from(owner), id, definition).await;
    opened.map_err(|error| Error::Unavailable(error.to_string()))?;
    definition.mask();
    Ok(())
}

/// A version's definition as `data`.
pub fn data(definition: Definition, version: i64, writes: bool) -> Data {
    Data {
        name: definition.name,
        description: definition.description,
        icon: definition.icon,
        type_slug: definition.type_slug,
        config: definition.config,
        input_fields: definition.input_fields,
        output_template: definition.output_template,
        processors: writes.then_some(definition.processors),
        version,
    }
}

/// A time as this dialect writes it: a fraction of zero is left out.
pub fn iso(time: DateTime<Utc>) -> String {
    let fraction = match time.timestamp_subsec_micros() {
        0 => SecondsFormat::Secs,
        _ => SecondsFormat::Micros,
    };
    time.to_rfc3339_opts(fraction, true)
}

fn slugs(definition: &Definition) -> Vec<String> {
    let mut slugs = Vec::new();
    for step in &definition.processors {
        let slug = format!("{} / {}", step.provider_slug, step.processor_slug);
        if !slugs.contains(&slug) {
            slugs.push(slug);
        }
    }
    slugs
}

fn kind(slug: &str) -> Type {
    Type {
        name: type_name(slug),
        slug: slug.to_owned(),
        description: "",
        config_schema: Map::new(),
        config_ui_schema: Map::new(),
    }
}

fn type_name(slug: &str) -> &'static str {
    match slug {
        "text-chat" => "Chat Bot",
        "agent" => "Agent",
        "workflow" => "Workflow",
        "voice-agent" => "Voice Agent",
        _ => "Web App",
    }
}
