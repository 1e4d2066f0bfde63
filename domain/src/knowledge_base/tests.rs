use super::*;
use crate::testing::given;
use serde_json::json;

fn created() -> Event {
    Event::KnowledgeBaseCreated {
        owner: "ann".into(),
        name: "Docs".into(),
        kind: "rag".into(),
        intro: "all of them".into(),
        language: "en".into(),
        datasource: None,
    }
}

fn create(name: &str) -> Command {
    Command::Create {
        owner: "ann".into(),
        name: name.into(),
        kind: "rag".into(),
        intro: "all of them".into(),
        language: "en".into(),
        datasource: None,
    }
}

fn update(by: Authority, name: Option<&str>, intro: Option<&str>) -> Command {
    Command::Update { by, name: name.map(Into::into), intro: intro.map(Into::into), setting: None }
}

fn ann() -> Authority {
    Authority::Person("ann".into())
}

fn bob() -> Authority {
    Authority::Person("bob".into())
}

#[test]
fn a_name_is_trimmed_and_needed() {
    given::<KnowledgeBase>([]).when(create(" Docs ")).then([created()]);
    given::<KnowledgeBase>([]).when(create("  ")).then_refused(Refusal::BadName);
    given::<KnowledgeBase>([]).when(create(&"x".repeat(256))).then_refused(Refusal::BadName);
    given::<KnowledgeBase>([]).when(create("a\0b")).then_refused(Refusal::Nul);
}

#[test]
fn an_id_is_used_once() {
    given::<KnowledgeBase>([created()]).when(create("Docs")).then_refused(Refusal::Exists);
    given::<KnowledgeBase>([created(), Event::KnowledgeBaseDeleted {}])
        .when(create("Docs"))
        .then_refused(Refusal::Exists);
}

#[test]
fn only_what_changes_is_recorded() {
    given::<KnowledgeBase>([created()])
        .when(update(ann(), Some("Docs"), Some("some of them")))
        .then([Event::KnowledgeBaseDescribed { intro: "some of them".into() }]);
    given::<KnowledgeBase>([created()]).when(update(ann(), None, None)).then_nothing();
}

#[test]
fn a_stranger_meets_nothing_and_an_admin_everything() {
    let history = || given::<KnowledgeBase>([created()]);
    history().when(update(bob(), Some("Mine"), None)).then_refused(Refusal::Unknown);
    history().when(Command::Delete { by: bob() }).then_refused(Refusal::Unknown);
    history().when(Command::Clear { by: bob() }).then_refused(Refusal::Unknown);
    history().when(Command::Delete { by: Authority::Admin }).then([Event::KnowledgeBaseDeleted {}]);
}

#[test]
fn what_is_deleted_is_gone_for_its_owner_too() {
    given::<KnowledgeBase>([created(), Event::KnowledgeBaseDeleted {}])
        .when(Command::Delete { by: ann() })
        .then_refused(Refusal::Unknown);
}

#[test]
fn a_setting_is_an_object_of_some_size_and_kept_as_it_is() {
    let set = |setting: Value| Command::Update {
        by: ann(),
        name: None,
        intro: None,
        setting: Some(setting),
    };
    let setting = json!({"kdbAttach": {"language": "en"}});
    let configured = Event::KnowledgeBaseConfigured { setting: setting.clone() };
    given::<KnowledgeBase>([created()]).when(set(setting.clone())).then([configured.clone()]);
    given::<KnowledgeBase>([created(), configured]).when(set(setting)).then_nothing();
    for bad in [json!(["a"]), json!("a"), json!({"a": "x".repeat(MAX_SETTING)}), json!({"a": "\0"})]
    {
        given::<KnowledgeBase>([created()]).when(set(bad)).then_refused(Refusal::BadSetting);
    }
}

#[test]
fn clearing_leaves_the_knowledge_base() {
    given::<KnowledgeBase>([created()])
        .when(Command::Clear { by: ann() })
        .then([Event::KnowledgeBaseCleared {}]);
    given::<KnowledgeBase>([created(), Event::KnowledgeBaseCleared {}])
        .when(update(ann(), Some("New"), None))
        .then([Event::KnowledgeBaseRenamed { name: "New".into() }]);
}

#[test]
fn a_datasource_is_its_owners_alone() {
    let Event::KnowledgeBaseCreated { owner, name, kind, intro, language, .. } = created() else {
        unreachable!()
    };
    let datasource = Some(datasource::Type::Url);
    let made = Event::KnowledgeBaseCreated { owner, name, kind, intro, language, datasource };
    let shelf = |event: &Event| KnowledgeBase::default().evolve(event);
    assert_eq!(shelf(&made).datasource_of(&"ann".into()), Ok(datasource::Type::Url));
    assert_eq!(shelf(&made).datasource_of(&"bob".into()), Err(Refusal::Unknown));
    assert_eq!(shelf(&created()).datasource_of(&"ann".into()), Err(Refusal::Unknown));
    assert!(shelf(&made).is_datasource() && !shelf(&created()).is_datasource());
    let gone = shelf(&made).evolve(&Event::KnowledgeBaseDeleted {});
    assert_eq!(gone.datasource_of(&"ann".into()), Err(Refusal::Unknown));
}
