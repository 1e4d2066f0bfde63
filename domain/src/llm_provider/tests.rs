use super::*;
use crate::testing::given;
use serde_json::{Number, json};
use uuid::Uuid;

const FIRST: SecretId = SecretId(Uuid::from_u128(1));
const SECOND: SecretId = SecretId(Uuid::from_u128(2));

fn config() -> Config {
    let config = Config::new("Mine".into(), "https://example.org/v1".into(), "m".into());
    Config { max_tokens: Some(100), temperature: Number::from_f64(0.7), ..config }
}

fn added() -> Event {
    Event::ProviderAdded { owner: "ann".into(), config: Box::new(config()), key: FIRST }
}

fn change(by: &str, patch: Patch, key: Option<SecretId>) -> Command {
    Command::Change { by: by.into(), patch: Box::new(patch), key }
}

#[test]
fn a_provider_needs_a_name_a_model_and_a_url() {
    let add = |config| Command::Add { owner: "ann".into(), config: Box::new(config), key: FIRST };
    given::<LlmProvider>([]).when(add(config())).then([added()]);
    let blank = || " ".to_owned();
    for (bad, refusal) in [
        (Config { name: blank(), ..config() }, Refusal::BadName),
        (Config { model: "m".repeat(256), ..config() }, Refusal::BadModel),
        (Config { base_url: blank(), ..config() }, Refusal::BadUrl),
    ] {
        given::<LlmProvider>([]).when(add(bad)).then_refused(refusal);
    }
    given::<LlmProvider>([added()]).when(add(config())).then_refused(Refusal::Exists);
}

#[test]
fn null_clears_and_absence_keeps() {
    let patch =
        Patch { max_tokens: Change::Clear, max_model_len: Change::Clear, ..Patch::default() };
    let cleared = Config { max_tokens: None, ..config() };
    given::<LlmProvider>([added()])
        .when(change("ann", patch, None))
        .then([Event::ProviderReconfigured { config: Box::new(cleared) }]);
    given::<LlmProvider>([added()]).when(change("ann", Patch::default(), None)).then_nothing();
    given::<LlmProvider>([added()])
        .when(change("ann", Patch { name: Some("Mine".into()), ..Patch::default() }, None))
        .then_nothing();
}

#[test]
fn another_key_replaces_the_first() {
    given::<LlmProvider>([added()])
        .when(change("ann", Patch::default(), Some(SECOND)))
        .then([Event::ProviderKeyReplaced { key: SECOND }]);
}

#[test]
fn to_others_it_does_not_exist() {
    let delete = |by: &str| Command::Delete { by: by.into() };
    let stranger = change("bob", Patch::default(), Some(SECOND));
    given::<LlmProvider>([added()]).when(stranger).then_refused(Refusal::Unknown);
    given::<LlmProvider>([added()]).when(delete("bob")).then_refused(Refusal::Unknown);
    given::<LlmProvider>([added()]).when(delete("ann")).then([Event::ProviderDeleted {}]);
    given::<LlmProvider>([added(), Event::ProviderDeleted {}])
        .when(delete("ann"))
        .then_refused(Refusal::Unknown);
}

#[test]
fn a_change_is_read_from_json() -> Result<(), serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default)]
        value: Change<u32>,
    }
    for (json, change) in [
        (json!({}), Change::Keep),
        (json!({"value": null}), Change::Clear),
        (json!({"value": 7}), Change::Set(7)),
    ] {
        assert_eq!(serde_json::from_value::<Body>(json)?.value, change);
    }
    Ok(())
}

#[test]
fn only_what_is_set_is_sent() {
    let parameters = config().parameters();
    assert_eq!(
        serde_json::Value::Object(parameters),
        json!({"max_tokens": 100, "temperature": 0.7})
    );
}
