//! Every path and method that is served stands in exactly one document, and every document tells what is served.

use annals_tests::app::TestApp;
use anyhow::{Context, Result};
use api::{openapi::Name, serve};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Served so that nothing else is: they answer that there is nothing.
const NOTHING: &[&str] = &["/v1/", "/genie/", "/llmstack/", "/oauth2/{path}", "/api/oauth2/{path}"];

/// What a table of routes serves: `GET /path`.
type Served = BTreeSet<String>;

/// The router's own table. It has no list of its routes, but shows them when it is printed.
fn table(router: &str) -> Result<Vec<(String, Vec<String>)>> {
    let table = router.split("fallback_router:").next().context("no table")?;
    let (routes, paths) = table.rsplit_once("node: Node").context("no paths")?;
    let mut methods = BTreeMap::new();
    for part in routes.split("RouteId(").skip(1) {
        let (id, route) = part.split_once(')').context("no id")?;
        // Nothing at all for routes of every method, and for services.
        let allowed = route.rsplit_once("allow_header: ").map(|(_, allowed)| allowed);
        let allowed = allowed.and_then(|text| text.split('"').nth(1)).unwrap_or("ANY");
        methods
            .insert(id, allowed.split(',').filter(|method| *method != "HEAD").collect::<Vec<_>>());
    }
    let mut found = vec![];
    for part in paths.split("RouteId(").skip(1) {
        let (id, path) = part.split_once("): \"").context("no path")?;
        let path = path.split('"').next().context("no end")?.replace("{*", "{");
        let methods = methods.get(id).with_context(|| format!("{path} has no route"))?;
        found.push((path, methods.iter().map(|method| (*method).to_owned()).collect()));
    }
    Ok(found)
}

fn documented(name: Name) -> Result<Served> {
    let document = name.document()?;
    let paths = document["paths"].as_object().context("no paths")?;
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().into_iter().flatten();
        let all = methods.map(|(method, _)| format!("{} {path}", method.to_uppercase()));
        all.collect::<Vec<_>>()
    };
    Ok(paths.iter().flat_map(of).collect())
}

#[tokio::test]
async fn documents_tell_what_is_served_and_nothing_else() {
    let app = TestApp::start().await.unwrap();
    let routes = table(&format!("{:?}", serve::router(app.app.clone()))).unwrap();
    app.stop().await.unwrap();
    assert!(routes.len() > 300, "{} routes", routes.len());

    let mut served: BTreeMap<&str, Served> = BTreeMap::new();
    for (path, methods) in &routes {
        let internal = path.contains("__private__axum");
        if internal || NOTHING.contains(&path.as_str()) {
            continue;
        }
        let own = ["/sage", "/llmstack", "/genie"].into_iter();
        let mut under = own.filter_map(|prefix| Some((prefix, path.strip_prefix(prefix)?)));
        let (dialect, path) = under.find(|(_, rest)| rest.starts_with('/')).unwrap_or(("", path));
        if !NOTHING.contains(&path) {
            let all = methods.iter().map(|method| format!("{method} {path}"));
            served.entry(dialect).or_default().extend(all);
        }
    }
    let root = served.remove("").unwrap();
    let mut elsewhere = Served::new();
    for (prefix, name) in
        [("/sage", Name::Sage), ("/llmstack", Name::Llmstack), ("/genie", Name::Genie)]
    {
        let documented = documented(name).unwrap();
        let served = &served[prefix];
        let missing: Vec<_> = served.difference(&documented).collect();
        assert!(missing.is_empty(), "no document tells of {prefix}: {missing:#?}");
        let invented: Vec<_> = documented.difference(served).collect();
        assert!(invented.is_empty(), "nobody serves {prefix}: {invented:#?}");
        let not_at_root: Vec<_> = served.difference(&root).collect();
        assert!(not_at_root.is_empty(), "only below {prefix}: {not_at_root:#?}");
        elsewhere.extend(served.iter().cloned());
    }
    let rest: Served = root.difference(&elsewhere).cloned().collect();
    assert_eq!(rest, documented(Name::V1).unwrap());
}

/// All of these would be one schema: the later one counts, for both.
#[test]
fn no_two_schemas_of_a_dialect_have_one_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/src");
    for dialect in ["sage", "llmstack", "genie", "v1"] {
        let mut known: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut folders = vec![root.join(dialect)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                for name in schemas(&fs::read_to_string(&path).unwrap()) {
                    let other = known.insert(name.clone(), path.clone());
                    assert!(other.is_none(), "{name}: {} and {other:?}", path.display());
                }
            }
        }
    }
}

/// Names of the schemas that a file derives.
fn schemas(text: &str) -> Vec<String> {
    let derived = text
        .split("#[derive(")
        .skip(1)
        .filter(|rest| rest.split(']').next().is_some_and(|derives| derives.contains("ToSchema")));
    let name = |rest: &str| {
        let head = rest.split(['{', ';']).next()?;
        if let Some((_, named)) = head.split_once("as = ") {
            return Some(named.split([',', ')']).next()?.trim().to_owned());
        }
        let after = head.split_once("struct ").or_else(|| head.split_once("enum "))?.1;
        Some(after.split(|c: char| !c.is_alphanumeric()).next()?.to_owned())
    };
    derived.filter_map(name).collect()
}
