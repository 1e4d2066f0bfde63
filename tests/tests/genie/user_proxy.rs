use crate::{
    queue::PIXEL,
    world::{World, ask, good, refused},
};
use annals_tests::{app::Person, form::Form};
use anyhow::{Context, Result};
use domain::user::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const PATH: &str = "/api/user-proxy";

fn patch(who: &Person, body: &Value) -> RequestBuilder {
    who.request(Method::PATCH, PATH).json(body)
}

fn upload(who: &Person, form: Form) -> RequestBuilder {
    let request = who.request(Method::PATCH, PATH).header("content-type", form.media_type());
    request.body(form.end())
}

fn picture(field: &str, name: &str, bytes: &[u8]) -> Form {
    let disposition = format!("name=\"{field}\"; filename=\"{name}\"");
    Form::default().raw(disposition.as_bytes(), bytes)
}

#[tokio::test]
async fn people_see_and_change_what_they_say_of_themselves() -> Result<()> {
    let world = World::start().await?;
    let (ann, vic) = (world.creator("ann").await?, world.person("vic", Role::Viewer).await?);
    let fresh = good(ann.get(PATH)).await?["data"].clone();
    assert_eq!((&fresh["first_name"], &fresh["status"]), (&json!("ann"), &json!("active")));
    assert_eq!(
        (&fresh["role"], &fresh["subscription_tier"]),
        (&json!("Creator"), &json!("starter"))
    );
    assert_eq!(fresh["onboarding_state"], "EXTENSION_INSTALL");
    assert_eq!(fresh["persona"], json!({"bio": null, "tone": null, "brand_colors": []}));
    let body = json!({
        "firstName": "Änn 李", "last_name": "Öst", "bio": "Paints.\n🎨", "language": "pt-BR",
        "timezone": "Europe/Berlin", "persona": {"tone": "calm", "brandColors": ["#FF0088"]},
    });
    let changed = good(patch(&ann, &body)).await?;
    let told = &changed["data"];
    assert_eq!(*told, good(ann.get(PATH)).await?["data"]);
    assert_eq!((&told["first_name"], &told["last_name"]), (&json!("Änn 李"), &json!("Öst")));
    let persona = json!({"bio": "Paints.\n🎨", "tone": "calm", "brand_colors": ["#ff0088"]});
    assert_eq!(told["persona"], persona);
    assert_eq!(good(ann.get("/users/me")).await?["data"]["first_name"], "Änn 李");
    good(patch(&ann, &body)).await?;
    assert_eq!(world.count("ProfileChanged").await?, 1, "nothing new, nothing written");
    let cleared = good(patch(&ann, &json!({"bio": null}))).await?;
    assert_eq!(cleared["data"]["persona"]["bio"], Value::Null);
    good(patch(&vic, &json!({"tone": "dry"}))).await?;
    assert_eq!(good(ann.get(PATH)).await?["data"]["persona"]["tone"], "calm");
    world.app.stop().await
}

/// §16.13
#[tokio::test]
async fn what_others_decide_is_not_changed_and_nothing_beside_it() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let (before, head) = (good(ann.get(PATH)).await?, world.app.app.log.head().await?);
    for (field, value) in [
        ("role", json!("Administrator")),
        ("subscription_tier", json!("studio")),
        ("subscriptionTier", json!("studio")),
        ("subscription_start", json!("2020-01-01T00:00:00Z")),
        ("status", json!(null)),
        ("email", json!("x@example.org")),
        ("id", json!("x")),
        ("anythingllm_user_id", json!(1)),
        ("Role", json!("Administrator")),
    ] {
        for body in [json!({"bio": "new", field: value}), json!({"persona": {field: value}})] {
            let (status, told) = ask(patch(&ann, &body)).await?;
            assert_eq!((status, &told["error"]), (403, &json!("field_not_writable")), "{body}");
            assert_eq!(told["field"], field);
        }
        let form = picture("file", "a.png", PIXEL).text(field, "x");
        assert_eq!(refused(upload(&ann, form)).await?, (403, "field_not_writable".to_owned()));
    }
    for body in [
        json!({}),
        json!([]),
        json!({"nickname": "a"}),
        json!({"bio": 7}),
        json!({"first_name": "a\u{0}b"}),
        json!({"bio": "x".repeat(5_001)}),
        json!({"brand_colors": "red"}),
        json!({"brand_colors": ["red"]}),
        json!({"first_name": "good", "language": "no good"}),
    ] {
        assert_eq!(refused(patch(&ann, &body)).await?.0, 400, "{body}");
    }
    assert_eq!(good(ann.get(PATH)).await?, before);
    assert_eq!(world.app.app.log.head().await?, head);
    world.app.stop().await
}

#[tokio::test]
async fn a_picture_is_known_by_its_bytes_and_the_one_before_goes() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let sent = PIXEL;
    let first = good(upload(&ann, picture("avatar", "猫.exe", sent))).await?;
    let file = &first["file"];
    assert_eq!((&file["type"], &file["filename"]), (&json!("image/png"), &json!("猫.exe")));
    assert_eq!((&file["size"], &file["id"]), (&json!(sent.len()), &first["data"]["avatar"]));
    let link = first["data"]["avatar_url"].as_str().context("a link")?.to_owned();
    let read = ann.get(&link).send().await?;
    assert_eq!(
        (read.status().as_u16(), &read.headers()["content-type"]),
        (200, &"image/png".parse()?)
    );
    assert_eq!(read.headers()["x-content-type-options"], "nosniff");
    assert_eq!(read.bytes().await?, sent);
    let part = ann.get(&link).header("range", "bytes=1-3").send().await?;
    assert_eq!((part.status().as_u16(), part.bytes().await?), (206, "PNG".into()));
    assert_eq!(refused(ann.get(&link).header("range", "bytes=9999-")).await?.0, 416);
    // §16.12: to others it does not exist.
    let unknown =
        ask(bob.get(&format!("{PATH}/files/9b2f4b1e-0000-4000-8000-000000000000"))).await?;
    assert_eq!((unknown.0, ask(bob.get(&link)).await?), (404, unknown.clone()));
    assert_eq!(ask(world.admin().await?.get(&link)).await?, unknown);
    assert_eq!(refused(world.app.nobody()?.get(&link)).await?.0, 401);
    let second = good(upload(&ann, picture("file", "b.png", PIXEL).text("bio", "hi"))).await?;
    assert_eq!(second["data"]["persona"]["bio"], "hi");
    assert_eq!(ask(ann.get(&link)).await?, unknown, "the one before is gone");
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    let large = vec![0; (5 << 20) + 1];
    let bad: [(&[u8], u16); 5] = [
        (svg, 400),
        (b"\x89PNG\r\n\x1a\n", 400),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", 400),
        (b"", 400),
        (&large, 413),
    ];
    for (bytes, status) in bad {
        assert_eq!(refused(upload(&ann, picture("file", "a.png", bytes))).await?.0, status);
    }
    let two = picture("file", "a.png", sent).raw(b"name=\"avatar\"; filename=\"b\"", sent);
    assert_eq!(refused(upload(&ann, two)).await?.0, 400);
    assert_eq!(refused(upload(&ann, picture("other", "a.png", sent))).await?.0, 400);
    assert_eq!(good(ann.get(PATH)).await?["data"], second["data"]);
    world.app.stop().await
}
