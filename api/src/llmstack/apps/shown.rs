//! Apps as clients see them.

use crate::{
    app::App,
    core::Error,
    llmstack::{Fault, Holder},
};
use chrono::{DateTime, SecondsFormat, Utc};
use commands::apps::secrets;
use domain::{
    app::{Definition, secrets::Holder as _},
    ids::{AppId, UserId},
};
use projections::apps::Row;
use serde_json::{Map, Value, json};

/// An app as clients see it.
pub type Shown = Value;

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
    let private = |value: Value| if writes { value } else { Value::Null };
    let integration =
        |key: &str| private(definition.integrations.get(key).cloned().unwrap_or_default());
    Ok(json!({
        "name": definition.name,
        "description": definition.description,
        "data": data(&definition, row.version, writes),
        "type": kind(&definition.type_slug),
        "type_slug": definition.type_slug,
        "uuid": row.app_id,
        "published_uuid": row.published,
        "store_uuid": null,
        "is_published": row.published.is_some(),
        "unique_processors": slugs(&definition),
        "created_at": iso(row.created_at),
        "last_updated_at": iso(row.updated_at),
        "logo": null,
        "icon": definition.icon,
        "is_shareable": true,
        "has_footer": true,
        "domain": null,
        "visibility": private(visibility.into()),
        "last_modified_by_email": private(row.modifier_email.into()),
        "owner_email": private(row.owner_email.into()),
        "web_config": integration("web_config"),
        "slack_config": integration("slack_config"),
        "discord_config": integration("discord_config"),
        "twilio_config": integration("twilio_config"),
        "app_type_name": type_name(&definition.type_slug),
        "processors": [],
        "template": null,
        "app_type_slug": definition.type_slug,
        "read_accessible_by": private(row.readers.into()),
        "write_accessible_by": private(row.writers.into()),
        "has_live_version": row.has_release,
        "access_permission": u8::from(writes),
    }))
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
pub fn data(definition: &Definition, version: i64, writes: bool) -> Value {
    let mut data = Map::new();
    data.insert("name".to_owned(), definition.name.as_str().into());
    data.insert("description".to_owned(), definition.description.as_str().into());
    if let Some(icon) = &definition.icon {
        data.insert("icon".to_owned(), icon.as_str().into());
    }
    data.insert("type_slug".to_owned(), definition.type_slug.as_str().into());
    data.insert("config".to_owned(), definition.config.clone().into());
    data.insert("input_fields".to_owned(), json!(definition.input_fields));
    data.insert("output_template".to_owned(), definition.output_template.clone().into());
    if writes {
        data.insert("processors".to_owned(), json!(definition.processors));
    }
    data.insert("version".to_owned(), version.into());
    data.into()
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

fn kind(slug: &str) -> Value {
    json!({
        "name": type_name(slug), "slug": slug, "description": "",
        "config_schema": {}, "config_ui_schema": {},
    })
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
