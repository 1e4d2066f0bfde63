use annals_tests::app::{Person, TestApp};
use domain::user::Role;
use reqwest::{Client, RequestBuilder, Response, StatusCode, header, redirect::Policy};

fn header(answer: &Response, name: header::HeaderName) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// A request as this person that follows no redirect.
fn get(app: &TestApp, person: &Person, path: &str) -> RequestBuilder {
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let request = client.get(format!("{}{path}", app.base_url));
    match &*person.authorization {
        "" => request,
        value => request.header(header::AUTHORIZATION, value),
    }
}

async fn got(app: &TestApp, person: &Person, path: &str) -> Response {
    get(app, person, path).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_logged_in_does_that_first_and_comes_back() {
    for mode in ["native", "oauth", "trusted_proxy"] {
        let settings = [("ANNALS_AUTH_MODE", mode), ("ANNALS_TRUSTED_PROXIES", "127.0.0.0/8")];
        let app = TestApp::start_with(&settings).await.unwrap();
        let nobody = app.nobody().unwrap();
        for (path, next) in [
            ("/console", "%2Fconsole"),
            ("/console/", "%2Fconsole%2F"),
            ("/console/runs/1?a=b&c=d", "%2Fconsole%2Fruns%2F1%3Fa%3Db%26c%3Dd"),
        ] {
            let answer = got(&app, &nobody, path).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{mode} {path}");
            assert_eq!(header(&answer, header::LOCATION), format!("/login?next={next}"));
            assert_eq!(header(&answer, header::CACHE_CONTROL), "no-store");
            let login = got(&app, &nobody, &header(&answer, header::LOCATION)).await;
            assert_eq!(login.status(), StatusCode::OK, "{mode} {path}");
        }
        let vouched = get(&app, &nobody, "/console").header("x-sage-internal-userid", "kim");
        assert_eq!(vouched.send().await.unwrap().status(), StatusCode::OK, "{mode}");
        app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_below_is_the_page_and_its_files_are_there() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Viewer).await.unwrap();
    let page = got(&app, &ann, "/console").await;
    assert_eq!(page.status(), StatusCode::OK);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::VARY, "Cookie"),
    ] {
        assert_eq!(header(&page, name.clone()), value, "{name}");
    }
    let policy = header(&page, header::CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let tag = header(&page, header::ETAG);
    let again =
        get(&app, &ann, "/console").header(header::IF_NONE_MATCH, &tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let text = page.text().await.unwrap();
    assert_eq!(got(&app, &ann, "/console/runs/1").await.text().await.unwrap(), text);
    assert!(!text.contains("{{") && !text.contains("<style"), "{text}");
    // Modules are loaded by others, which are listed here because nobody else names them.
    let named = text.split('"').filter(|part| part.starts_with("/console/app/"));
    let mut files: Vec<String> = named.map(str::to_owned).collect();
    assert!(files.len() > 5, "{files:?}");
    while let Some(path) = files.pop() {
        let nobody = app.nobody().unwrap();
        let file = got(&app, &nobody, &path).await;
        assert_eq!(file.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&file, header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        let kind = header(&file, header::CONTENT_TYPE);
        let expected = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(kind, expected, "{path}");
        let tag = header(&file, header::ETAG);
        let kept =
            get(&app, &nobody, &path).header(header::IF_NONE_MATCH, &tag).send().await.unwrap();
        assert_eq!(kept.status(), StatusCode::NOT_MODIFIED, "{path}");
        let text = file.text().await.unwrap();
        let base = &path[..path.rfind('/').unwrap()];
        let imported =
            text.split('"').filter(|part| part.ends_with(".js") && part.starts_with('.'));
        files.extend(imported.map(|part| match part.strip_prefix("../") {
            Some(up) => format!("{}/{up}", &base[..base.rfind('/').unwrap()]),
            None => format!("{base}/{}", &part[2..]),
        }));
    }
    // A page that was loaded before an upgrade goes on.
    let old = got(&app, &ann, "/console/app/v0123456789abcdef/app.js").await;
    assert_eq!((old.status(), &*header(&old, header::CACHE_CONTROL)), (StatusCode::OK, "no-cache"));
    for gone in ["/console/app/nowhere.js", "/console/app/../app.js", "/console/app/"] {
        assert_ne!(
            got(&app, &ann, gone).await.status(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "{gone}"
        );
    }
    assert_eq!(got(&app, &ann, "/console/app/nowhere.js").await.status(), StatusCode::NOT_FOUND);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_of_a_proxy_all_addresses_have_it() {
    let settings = [("ANNALS_PUBLIC_URL", "https://a.example/annals")];
    let app = TestApp::start_with(&settings).await.unwrap();
    let answer = got(&app, &app.nobody().unwrap(), "/console/log").await;
    let expected = "/annals/login?next=%2Fannals%2Fconsole%2Flog";
    assert_eq!(header(&answer, header::LOCATION), expected);
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let text = got(&app, &ann, "/console").await.text().await.unwrap();
    assert!(text.contains(r#"data-root="/annals""#), "{text}");
    assert!(!text.contains(r#""/console"#), "{text}");
    app.stop().await.unwrap();
}
