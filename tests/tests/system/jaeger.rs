use crate::world::{header, unmoved};
use annals_tests::app::{Person, TestApp};
use domain::user::Role;
use reqwest::{Method, Response};

const ROOT: &str = "/api/observability/jaeger";

/// Asks at this address without following redirects.
async fn ask(app: &TestApp, who: &Person, method: Method, path: &str) -> Response {
    let request = unmoved().request(method, format!("{}{path}", app.base_url));
    let request = match who.authorization.as_str() {
        "" => request,
        value => request.header("authorization", value),
    };
    request.send().await.unwrap()
}

fn target(answer: &Response) -> (u16, &str) {
    (answer.status().as_u16(), header(answer, "location"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_in_comes_to_where_they_wanted() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("ann", Role::Administrator).await.unwrap();
    let (other, nobody) = (app.user("bob", Role::Creator).await.unwrap(), app.nobody().unwrap());
    let login = format!("{ROOT}/login");
    for (next, path) in [
        ("%2Fjaeger%2Fsearch%3Fa%3Db", "/jaeger/search?a=b"),
        ("https://evil.example/x", "/x"),
        ("//evil.example", "/"),
        ("/%5Cevil.example/x", "/x"),
        ("https://h//evil.example", ROOT),
        ("javascript:alert(1)", ROOT),
        ("", ROOT),
    ] {
        let wish = format!("{login}?next={next}");
        let answer = ask(&app, &admin, Method::GET, &wish).await;
        assert_eq!(target(&answer), (302, path), "{next}");
    }
    let answer = ask(&app, &nobody, Method::GET, &format!("{login}?next=/x-y%3Fa%3Db%26c")).await;
    assert_eq!(target(&answer), (302, "/sage/login?next=%2Fx-y%3Fa%3Db%26c&local_only=1"));
    let answer = ask(&app, &nobody, Method::GET, &login).await;
    let page = "/sage/login?next=%2Fapi%2Fobservability%2Fjaeger%2Flogin&local_only=1";
    assert_eq!(target(&answer), (302, page));
    let original =
        unmoved().get(format!("{}{login}", app.base_url)).header("x-original-uri", "/j/a");
    let answer = original.send().await.unwrap();
    assert_eq!(target(&answer), (302, "/sage/login?next=%2Fj%2Fa&local_only=1"));
    let answer = ask(&app, &other, Method::GET, &login).await;
    assert_eq!(answer.status(), 403);
    let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!((&body["code"], &body["message"]), (&403.into(), &"权限不足".into()));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_passwords_there_is_no_page_to_log_in_at() {
    let app = TestApp::start_with(&[("ANNALS_AUTH_MODE", "oauth")]).await.unwrap();
    let answer = ask(&app, &app.nobody().unwrap(), Method::GET, &format!("{ROOT}/login")).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("\"code\":503"));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_learns_who_it_is() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("ann", Role::Administrator).await.unwrap();
    let (other, nobody) = (app.user("bob", Role::Creator).await.unwrap(), app.nobody().unwrap());
    let path = format!("{ROOT}/auth");
    let answer = ask(&app, &admin, Method::GET, &path).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "x-sage-userid"), admin.user.as_str());
    assert_eq!(header(&answer, "x-sage-username"), "ann");
    assert_eq!(header(&answer, "x-sage-role"), "admin");
    for (who, status) in [(&other, 403), (&nobody, 401)] {
        let answer = ask(&app, who, Method::GET, &path).await;
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(header(&answer, "x-sage-userid"), "");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_sent_on_as_it_is() {
    let settings = [("ANNALS_JAEGER_URL", "https://traces.example/ui/")];
    let app = TestApp::start_with(&settings).await.unwrap();
    let (other, nobody) = (app.user("bob", Role::Creator).await.unwrap(), app.nobody().unwrap());
    let answer = ask(&app, &nobody, Method::GET, ROOT).await;
    assert_eq!(target(&answer), (307, "https://traces.example/ui/"));
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        let method: Method = method.parse().unwrap();
        let path = format!("{ROOT}/search?a=%20b&c");
        let answer = ask(&app, &nobody, method.clone(), &path).await;
        assert_eq!(target(&answer), (307, "https://traces.example/ui/search?a=%20b&c"), "{method}");
        let answer = ask(&app, &other, method.clone(), &format!("{ROOT}/api/a%2Fb")).await;
        assert_eq!(target(&answer), (307, "https://traces.example/ui/api/a%2Fb"), "{method}");
        let status = ask(&app, &nobody, method.clone(), &format!("{ROOT}/api/x")).await.status();
        let expected = if method == Method::OPTIONS { 307 } else { 401 };
        assert_eq!(status.as_u16(), expected, "{method}");
    }
    let slash = ask(&app, &nobody, Method::GET, &format!("{ROOT}/a%2Fb")).await;
    assert_eq!(slash.status(), 401, "a hidden slash is a slash");
    let double = ask(&app, &other, Method::GET, &format!("{ROOT}//evil.example")).await;
    assert_eq!(target(&double), (307, "https://traces.example/ui/evil.example"));
    app.stop().await.unwrap();
}
