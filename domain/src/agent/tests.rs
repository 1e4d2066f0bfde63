use super::*;
use crate::testing::given;

fn named(name: &str) -> Box<Config> {
    Box::new(Config { name: name.to_owned(), ..Config::default() })
}

fn create(name: &str) -> Command {
    Command::Create { owner: "alice".into(), config: named(name) }
}

fn created(name: &str) -> Event {
    Event::AgentCreated { owner: "alice".into(), config: named(name) }
}

#[test]
fn an_agent_needs_a_name() {
    given::<Agent>([]).when(create("Research")).then([created("Research")]);
    given::<Agent>([]).when(create(" ")).then_refused(Refusal::BadName);
}

#[test]
fn an_agent_is_of_a_size_that_lists_can_show() {
    let prompt = Some("x".repeat(LARGEST_CONFIG));
    let config = Box::new(Config { system_prefix: prompt, ..*named("a") });
    let create = Command::Create { owner: "alice".into(), config: config.clone() };
    given::<Agent>([]).when(create).then_refused(Refusal::TooLarge);
    let reconfigure = Command::Reconfigure { config, forgone: 0 };
    given::<Agent>([created("a")]).when(reconfigure).then_refused(Refusal::TooLarge);
}

#[test]
fn an_abandoned_creation_never_comes_to_an_end() {
    let forgo = |name: &str| Command::Forgo { name: name.to_owned() };
    given::<Agent>([]).when(forgo("a")).then([Event::CreationAbandoned {}]);
    given::<Agent>([Event::CreationAbandoned {}]).when(create("a")).then_refused(Refusal::Exists);
    given::<Agent>([created("a")]).when(forgo("a")).then_refused(Refusal::Exists);
    given::<Agent>([created("a"), Event::AgentDeleted {}]).when(forgo("a")).then_nothing();
}

#[test]
fn a_deleted_agent_is_gone() {
    given::<Agent>([created("a")]).when(Command::Delete).then([Event::AgentDeleted {}]);
    given::<Agent>([created("a"), Event::AgentDeleted {}])
        .when(Command::Delete)
        .then_refused(Refusal::Unknown);
}

fn reconfigure(name: &str, forgone: u64) -> Command {
    Command::Reconfigure { config: named(name), forgone }
}

#[test]
fn an_agent_is_reconfigured_whole() {
    let now = |name: &str| Event::AgentReconfigured { config: named(name) };
    given::<Agent>([created("a")]).when(reconfigure("b", 0)).then([now("b")]);
    given::<Agent>([created("a")]).when(reconfigure("a", 0)).then_nothing();
    given::<Agent>([created("a")]).when(reconfigure("", 0)).then_refused(Refusal::BadName);
    given::<Agent>([]).when(reconfigure("a", 0)).then_refused(Refusal::Unknown);
}

#[test]
fn a_name_that_was_forgone_meanwhile_is_not_taken() {
    let forgo = |name: &str| Command::Forgo { name: name.to_owned() };
    given::<Agent>([created("a")]).when(forgo("a")).then_refused(Refusal::Exists);
    given::<Agent>([created("a")]).when(forgo("b")).then([Event::AgentNameForgone {}]);
    let history = || [created("a"), Event::AgentNameForgone {}];
    given::<Agent>(history()).when(reconfigure("b", 0)).then_refused(Refusal::NameLost);
    let renamed = Event::AgentReconfigured { config: named("b") };
    given::<Agent>(history()).when(reconfigure("b", 1)).then([renamed]);
}

#[test]
fn sharing_replaces_the_set_and_leaves_the_owner_out() {
    let users = |names: &[&str]| names.iter().map(|name| UserId::from(*name)).collect();
    let share = |names: &[&str]| Command::Share { users: users(names) };
    let shared = |names: &[&str]| Event::AgentShared { users: users(names) };
    given::<Agent>([created("a")]).when(share(&["bob", "alice"])).then([shared(&["bob"])]);
    given::<Agent>([created("a"), shared(&["bob"])]).when(share(&["bob"])).then_nothing();
    given::<Agent>([created("a"), shared(&["bob"])]).when(share(&[])).then([shared(&[])]);
    let many: BTreeSet<UserId> = (0..1_001).map(|n| n.to_string().into()).collect();
    given::<Agent>([created("a")])
        .when(Command::Share { users: many })
        .then_refused(Refusal::TooManyPeople);
    given::<Agent>([]).when(share(&["bob"])).then_refused(Refusal::Unknown);
}
