//! Pages of other origins: a token is good from everywhere, a cookie only where it was set, or where the operator says so.

use crate::server::{ADMIN_PASSWORD, Server, server};
use reqwest::{Method, Response, header::HeaderMap};

const ELSEWHERE: &str = "https://app.example.com";
const SESSION: &str = "/api/auth/session";

async fn call(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = server.http.request(method, format!("{}{path}", server.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn preflight(server: &Server, path: &str, origin: &str) -> Response {
    let asked = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,content-type,x-accept-language"),
        ("sec-fetch-site", "cross-site"),
    ];
    call(server, Method::OPTIONS, path, &asked).await
}

/// Who may read the answer, and whether with what the browser adds.
fn readers(headers: &HeaderMap) -> (Option<&str>, Option<&str>) {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    (value("access-control-allow-origin"), value("access-control-allow-credentials"))
}

const THEM: (Option<&str>, Option<&str>) = (Some(ELSEWHERE), Some("true"));
const NOBODY: (Option<&str>, Option<&str>) = (None, None);

#[tokio::test]
async fn a_page_elsewhere_may_call_with_a_token() {
    let server = server(&[]).await;
    for path in
        ["/api/agent/agent_1", "/sage/api/agent/list", "/api/nothing", "/api/skills/nothing"]
    {
        let allowed = preflight(&server, path, ELSEWHERE).await;
        assert_eq!((allowed.status().as_u16(), readers(allowed.headers())), (200, THEM), "{path}");
        let headers = allowed.headers();
        assert_eq!(headers["access-control-allow-methods"], "PUT");
        let wanted = "authorization,content-type,x-accept-language";
        assert_eq!(headers["access-control-allow-headers"], wanted);
        assert_eq!(headers["access-control-max-age"], "600");
    }
    let bearer = server.bearer("admin", ADMIN_PASSWORD).await;
    let mut headers = vec![("origin", ELSEWHERE), ("authorization", &*bearer)];
    let session = call(&server, Method::GET, SESSION, &headers).await;
    assert_eq!((session.status().as_u16(), readers(session.headers())), (200, THEM));
    let exposed = session.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("x-run-id") && exposed.contains("content-disposition"), "{exposed}");
    assert!(
        session
            .headers()
            .get_all("vary")
            .iter()
            .any(|value| value.to_str().unwrap().contains("origin"))
    );
    // What goes wrong is for the page to read, too.
    headers.pop();
    for (path, status) in [(SESSION, 401), ("/api/nothing", 401), ("/sage/api/nothing", 401)] {
        let refused = call(&server, Method::GET, path, &headers).await;
        assert_eq!(
            (refused.status().as_u16(), readers(refused.headers())),
            (status, THEM),
            "{path}"
        );
    }
    // Not a page's question, but somebody's who wants to know what there is.
    let asked = call(&server, Method::OPTIONS, SESSION, &[("origin", ELSEWHERE)]).await;
    assert_eq!((asked.status().as_u16(), readers(asked.headers())), (405, NOBODY));
    let local = call(&server, Method::GET, SESSION, &[("authorization", &*bearer)]).await;
    assert_eq!((local.status().as_u16(), readers(local.headers())), (200, NOBODY));
    assert_eq!(local.headers()["vary"], "origin");
}

#[tokio::test]
async fn a_page_elsewhere_may_not_use_what_the_browser_adds() {
    let server = server(&[("ANNALS_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let cookie = server.cookie("admin", ADMIN_PASSWORD).await;
    let vouched = ("x-sage-internal-userid", "ann");
    for own in [("cookie", &*cookie), vouched] {
        for site in ["cross-site", "same-site"] {
            let headers = [("origin", ELSEWHERE), ("sec-fetch-site", site), own];
            let answer = call(&server, Method::GET, SESSION, &headers).await;
            assert_eq!(
                (answer.status().as_u16(), readers(answer.headers())),
                (401, THEM),
                "{own:?}"
            );
        }
        // The browser says that it is ours, whatever a proxy made of the host; or the host says so.
        for ours in [("sec-fetch-site", "same-origin"), ("host", "app.example.com")] {
            let answer =
                call(&server, Method::GET, SESSION, &[("origin", ELSEWHERE), ours, own]).await;
            assert_eq!(
                (answer.status().as_u16(), readers(answer.headers())),
                (200, NOBODY),
                "{ours:?}"
            );
        }
        // Nobody says whose page it is: it works as ever, and pages elsewhere do not get to read it.
        let unsaid = call(&server, Method::GET, SESSION, &[("origin", ELSEWHERE), own]).await;
        assert_eq!((unsaid.status().as_u16(), readers(unsaid.headers())), (200, NOBODY));
        let wrong = [("origin", ELSEWHERE), ("authorization", "Bearer nonsense"), own];
        let wrong = call(&server, Method::GET, SESSION, &wrong).await;
        assert_eq!((wrong.status().as_u16(), readers(wrong.headers())), (401, THEM));
    }
    let body = serde_json::json!({"username_or_email": "admin", "password": ADMIN_PASSWORD});
    let login = server.post("/api/auth/login", &[("origin", ELSEWHERE)], body).await;
    assert_eq!((login.status, login.cookie), (200, None));
}

#[tokio::test]
async fn origins_that_are_named_may_do_all_and_others_nothing() {
    let server =
        server(&[("ANNALS_CORS_ORIGINS", "http://localhost:5173, https://app.example.com/")]).await;
    let cookie = server.cookie("admin", ADMIN_PASSWORD).await;
    let own = [("origin", ELSEWHERE), ("sec-fetch-site", "same-site"), ("cookie", &*cookie)];
    let named = call(&server, Method::GET, SESSION, &own).await;
    assert_eq!((named.status().as_u16(), readers(named.headers())), (200, THEM));
    assert_eq!(readers(preflight(&server, SESSION, ELSEWHERE).await.headers()), THEM);
    for other in ["https://app.example.com.evil.example", "http://app.example.com", "null"] {
        let refused = preflight(&server, SESSION, other).await;
        assert_eq!(
            (refused.status().as_u16(), readers(refused.headers())),
            (405, NOBODY),
            "{other}"
        );
    }
}
