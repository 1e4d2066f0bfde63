#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use serde_json::json;

fn one(client: Value) -> Result<Client, String> {
    let clients = Clients::parse(&json!([client]).to_string())?;
    Ok(clients.0.values().next().unwrap().clone())
}

#[test]
fn few_fields_make_a_client() {
    let public = one(json!({"id": "spa", "redirect_uri": "https://a.example/cb"})).unwrap();
    assert_eq!((public.method, public.name.as_str()), (Method::None, "spa"));
    assert_eq!(public.scope.as_str(), SCOPES);
    assert!(public.enabled && public.skip_consent && !public.plain_pkce);
    assert!(public.may_ask && public.may_exchange && public.may_refresh);
    let web = json!({
        "client_id": "web", "client_secret": "hunter2", "redirect_uris": ["com.example:/cb"],
        "scope": ["openid", "email"], "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "client_secret_post", "name": "Web", "x": 1,
    });
    let web = one(web).unwrap();
    assert_eq!((web.method, web.scope.as_str()), (Method::Post, "openid email"));
    assert!(!web.may_refresh && web.proves("hunter2") && !web.proves("hunter"));
    assert!(!format!("{web:?}").contains("hunter2"));
}

#[test]
fn a_disabled_client_is_not_there() {
    let json = r#"[{"client_id":"a","redirect_uris":"https://a.example","enabled":false}]"#;
    let clients = Clients::parse(json).unwrap();
    assert!(clients.enabled("a").is_none() && clients.enabled("b").is_none());
}

#[test]
fn what_is_wrong_is_said_without_secrets() {
    let redirects = json!(["https://a.example"]);
    let cases = [
        (json!({"redirect_uris": redirects}), "missing field `client_id`"),
        (json!({"client_id": "a"}), "(a) needs redirect_uris"),
        (json!({"client_id": "a", "redirect_uris": ["/cb"]}), "cannot be sent to"),
        (json!({"client_id": "a", "redirect_uris": ["https://a.example/#x"]}), "without fragment"),
        (json!({"client_id": "a", "redirect_uris": ["javascript:alert(1)"]}), "cannot be sent to"),
        (
            json!({"client_id": "a", "client_secret": 7_777_777, "redirect_uris": redirects}),
            "no string",
        ),
        (
            json!({"client_id": "a", "redirect_uris": redirects,
                   "token_endpoint_auth_method": "client_secret_basic"}),
            "needs a client_secret for client_secret_basic",
        ),
        (
            json!({"client_id": "a", "client_secret": "hunter2", "redirect_uris": redirects,
                   "token_endpoint_auth_method": "private_key_jwt"}),
            "unknown variant `private_key_jwt`",
        ),
        (json!({"client_id": "a", "redirect_uris": redirects, "scope": "a\"b"}), "(a) a scope"),
        (json!("hunter2"), "has to be an object"),
    ];
    for (client, expected) in cases {
        let error = one(client).unwrap_err();
        assert!(error.starts_with("client 1 ") && error.contains(expected), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("7777777"), "{error}");
    }
    for (json, expected) in [("{}", "array"), ("[", "is no JSON"), ("\"hunter2\"", "array")] {
        let error = Clients::parse(json).unwrap_err();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
    let twice = json!([
        {"client_id": "a", "redirect_uris": redirects}, {"id": "a", "redirect_uris": redirects}
    ]);
    assert!(Clients::parse(&twice.to_string()).unwrap_err().contains("twice"));
}
