use super::*;
use crate::testing::given;
use serde_json::json;

fn patch(value: serde_json::Value) -> Box<Patch> {
    Box::new(serde_json::from_value(value).expect("a patch"))
}

fn echo(id: &str, input: &str) -> serde_json::Value {
    json!({"id": id, "provider_slug": "promptly", "processor_slug": "echo", "input": {"input_str": input}})
}

fn create(value: serde_json::Value) -> Command {
    Command::Create {
        owner: "ann".into(),
        patch: patch(value),
        draft: true,
        comment: String::new(),
    }
}

fn flaw(value: serde_json::Value) -> String {
    match App::default().decide(&create(value)) {
        Err(Refusal::Flawed(flaw)) => flaw.to_string(),
        other => format!("{other:?}"),
    }
}

fn definition(name: &str) -> Box<Definition> {
    Box::new(Definition {
        name: name.to_owned(),
        type_slug: "web".to_owned(),
        ..Definition::default()
    })
}

fn created(draft: bool) -> Event {
    Event::AppCreated {
        owner: "ann".into(),
        definition: definition("a"),
        draft,
        comment: String::new(),
    }
}

fn saved(version: u32, draft: bool) -> Event {
    let definition = definition("b");
    Event::AppVersionSaved { version, definition, draft, comment: String::new() }
}

fn save(draft: bool) -> Command {
    Command::Save { patch: patch(json!({"name": "b"})), draft, comment: String::new() }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    assert_eq!(flaw(json!({"type_slug": "web"})), "name is required");
    assert_eq!(flaw(json!({"name": "a"})), "type_slug is required");
    assert!(
        flaw(json!({"name": "a", "type_slug": "slack"})).starts_with("type_slug: unknown app type")
    );
    assert!(
        flaw(json!({"name": "a", "app_type": 9})).starts_with("type_slug: unknown app type \"9\"")
    );
    let with = |steps: &[serde_json::Value]| {
        flaw(json!({"name": "a", "type_slug": "web", "processors": steps}))
    };
    assert_eq!(with(&[echo("input", "")]), "processors[0].id: \"input\" is a reserved name");
    assert_eq!(
        with(&[echo("x", ""), echo("x", "")]),
        "processors[1].id: \"x\" is the id of an earlier step"
    );
    assert_eq!(with(&[json!({"id": "x"})]), "processors[0]: provider_slug is required");
}

#[test]
fn steps_that_wait_for_one_another_are_refused() {
    let with = |steps: &[serde_json::Value]| {
        flaw(json!({"name": "a", "type_slug": "web", "processors": steps}))
    };
    let circle = [echo("a", "{{ b.output_str }}"), echo("b", "{{ a.output_str }}"), echo("c", "")];
    assert_eq!(
        with(&circle),
        "processors[0]: steps wait for one another and would never run: a, b"
    );
    assert!(with(&[echo("a", "{{ _inputs1.x }}")]).contains("would never run: a"));
    assert!(with(&[echo("b", "{{ a.x }}"), echo("a", "{{ _inputs0.x }}")]).starts_with("Ok"));
}

#[test]
fn steps_wait_for_what_their_templates_speak_of_under_any_name() {
    let steps = [
        echo("one", "{{ _inputs0.q }}"),
        echo("two", "{{ _inputs[1].output_str }}"),
        echo("three", "{{one.x}}{{two.y}}"),
    ];
    let patch = patch(json!({"name": "a", "type_slug": "web", "processors": steps}));
    let definition = Definition::default().patched(&patch);
    let dependencies: Vec<Vec<usize>> =
        definition.dependencies().into_iter().map(|places| places.into_iter().collect()).collect();
    assert_eq!(dependencies, [vec![], vec![0], vec![0, 1]]);
}

#[test]
fn a_draft_is_overwritten_and_a_release_is_followed() {
    given::<App>([created(true)]).when(save(true)).then([saved(0, true)]);
    given::<App>([created(true)]).when(save(false)).then([saved(0, false)]);
    given::<App>([created(false)]).when(save(true)).then([saved(1, true)]);
    given::<App>([created(false), saved(1, true)]).when(save(false)).then([saved(1, false)]);
}

#[test]
fn the_newest_release_runs_and_before_it_the_draft_for_its_owner() {
    let (ann, bob) = (UserId::from("ann"), UserId::from("bob"));
    let running = |events: &[Event], who: &UserId| {
        let app = events.iter().fold(App::default(), |app, event| app.evolve(event));
        let App::Present(app) = app else { return None };
        app.runnable(who).map(|version| version.number)
    };
    assert_eq!(running(&[created(true)], &ann), Some(0));
    assert_eq!(running(&[created(true)], &bob), None);
    assert_eq!(running(&[created(false), saved(1, true)], &ann), Some(0));
    assert_eq!(running(&[created(false), saved(1, false)], &bob), Some(1));
}

#[test]
fn an_empty_list_of_steps_keeps_the_old_one_and_other_keys_stay() {
    let first = patch(
        json!({"name": "a", "type_slug": "web", "processors": [echo("x", "")], "config": {"k": 1}}),
    );
    let old = Definition::default().patched(&first);
    let new = old.patched(&patch(json!({"processors": [], "description": "d"})));
    assert_eq!(new, Definition { description: "d".to_owned(), ..old });
}

#[test]
fn a_published_app_is_not_deleted() {
    let audience =
        Audience { readers: vec!["no".to_owned(), "b@x.org".to_owned()], ..Audience::default() };
    let published = Event::AppPublished {
        published: Uuid::nil(),
        audience: Audience { readers: vec!["b@x.org".to_owned()], ..Audience::default() },
    };
    given::<App>([created(false)])
        .when(Command::Publish { published: Uuid::nil(), audience })
        .then([published.clone()]);
    given::<App>([created(false), published.clone()])
        .when(Command::Delete)
        .then_refused(Refusal::Published);
    given::<App>([created(false), published, Event::AppUnpublished {}])
        .when(Command::Delete)
        .then([Event::AppDeleted {}]);
    given::<App>([created(false), Event::AppDeleted {}])
        .when(save(true))
        .then_refused(Refusal::Unknown);
}
