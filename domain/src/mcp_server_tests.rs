use super::*;
use crate::testing::given;
use serde_json::json;
use uuid::Uuid;

fn connection(url: &str) -> Connection {
    Connection {
        endpoint: Endpoint { protocol: Protocol::StreamableHttp, url: url.to_owned() },
        api_key: Some(SecretId(Uuid::from_u128(7))),
        saved_by: "alice".into(),
    }
}

fn tools(names: &[&str]) -> Vec<Tool> {
    let tool = |name: &&str| Tool {
        name: (*name).to_owned(),
        description: String::new(),
        parameters: json!({"type": "object"}),
        idempotent: false,
    };
    names.iter().map(tool).collect()
}

fn add(name: &str, names: &[&str]) -> Command {
    Command::Add {
        owner: Some("alice".into()),
        name: name.to_owned(),
        connection: connection("https://a"),
        tools: tools(names),
    }
}

fn added() -> Event {
    Event::McpServerAdded {
        owner: Some("alice".into()),
        name: "docs".to_owned(),
        connection: connection("https://a"),
    }
}

fn listed(names: &[&str]) -> Event {
    Event::ToolsListed { tools: tools(names) }
}

#[test]
fn a_server_comes_with_its_tools() {
    given::<McpServer>([]).when(add("docs", &["find"])).then([added(), listed(&["find"])]);
    given::<McpServer>([]).when(add("docs", &[])).then([added()]);
    given::<McpServer>([added()]).when(add("docs", &[])).then_refused(Refusal::Exists);
}

#[test]
fn a_name_is_one_segment_of_a_path() {
    for name in ["", " ", "a/b", "a\\b", "..", ".", "a\nb", " a", &"x".repeat(129)] {
        assert_eq!(check_name(name), Err(Refusal::BadName), "{name:?}");
    }
    for name in ["docs-mcp", "文档 服务", "a.b", &"x".repeat(128)] {
        assert_eq!(check_name(name), Ok(()), "{name:?}");
    }
}

#[test]
fn tools_that_are_known_are_no_news() {
    let before = [added(), listed(&["a"])];
    given::<McpServer>(before.clone()).when(Command::ListTools(tools(&["a"]))).then_nothing();
    given::<McpServer>(before.clone())
        .when(Command::ListTools(tools(&["a", "b"])))
        .then([listed(&["a", "b"])]);
    given::<McpServer>(before).when(Command::ListTools(vec![])).then([listed(&[])]);
    given::<McpServer>([]).when(Command::ListTools(tools(&["a"]))).then_refused(Refusal::Unknown);
}

#[test]
fn so_many_tools_are_remembered_and_no_more() {
    let many: Vec<String> = (0..TOOLS + 1).map(|number| format!("t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    given::<McpServer>([added()])
        .when(Command::ListTools(tools(&many)))
        .then([listed(&many[..TOOLS])]);
}

#[test]
fn a_connection_that_is_the_same_is_no_change() {
    let reconnect = |url: &str, names: &[&str]| Command::Reconnect {
        connection: connection(url),
        tools: tools(names),
    };
    let changed = Event::ConnectionChanged { connection: connection("https://b") };
    given::<McpServer>([added(), listed(&["a"])])
        .when(reconnect("https://a", &["a"]))
        .then_nothing();
    given::<McpServer>([added(), listed(&["a"])])
        .when(reconnect("https://b", &["a", "b"]))
        .then([changed, listed(&["a", "b"])]);
    given::<McpServer>([]).when(reconnect("https://b", &[])).then_refused(Refusal::Unknown);
}

#[test]
fn a_switch_that_stands_right_is_left_alone() {
    let (off, on) = (Event::McpServerDisabled {}, Event::McpServerEnabled {});
    given::<McpServer>([added()]).when(Command::Enable).then_nothing();
    given::<McpServer>([added()]).when(Command::Disable).then([off.clone()]);
    given::<McpServer>([added()]).when(Command::Toggle).then([off.clone()]);
    given::<McpServer>([added(), off.clone()]).when(Command::Disable).then_nothing();
    given::<McpServer>([added(), off]).when(Command::Toggle).then([on]);
}

#[test]
fn a_deleted_server_is_gone() {
    let gone = Event::McpServerDeleted {};
    given::<McpServer>([added()]).when(Command::Delete).then([gone.clone()]);
    for command in [Command::Delete, Command::Toggle, Command::ListTools(vec![])] {
        given::<McpServer>([added(), gone.clone()]).when(command).then_refused(Refusal::Unknown);
    }
    given::<McpServer>([added(), gone]).when(Command::Abandon).then_nothing();
}

#[test]
fn an_abandoned_creation_never_comes_to_an_end() {
    given::<McpServer>([]).when(Command::Abandon).then([Event::CreationAbandoned {}]);
    given::<McpServer>([added()]).when(Command::Abandon).then_refused(Refusal::Exists);
    given::<McpServer>([Event::CreationAbandoned {}])
        .when(add("docs", &[]))
        .then_refused(Refusal::Exists);
}
