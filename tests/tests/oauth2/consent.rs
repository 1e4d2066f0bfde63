use crate::world::{Form, World, answered, field, wish};
use anyhow::Result;
use reqwest::{Method, header::COOKIE};

#[tokio::test]
async fn people_are_asked_and_their_answer_counts() -> Result<()> {
    let world = World::start().await?;
    let (_, ann) = world.person("ann").await?;
    let (_, bob) = world.person("bob").await?;
    let reply = world.authorize(&ann, &wish("asks")).await?;
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["x-frame-options"]),
        (200, &"DENY".parse()?)
    );
    let policy = reply.headers()["content-security-policy"].to_str()?.to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = reply.text().await?;
    assert!(page.contains("&lt;b&gt;Asks&lt;/b&gt;") && !page.contains("<b>Asks"), "{page}");
    assert!(!page.contains("<script"));
    let form = |decision: &str| -> Result<Vec<(String, String)>> {
        let names = ["request", "ends", "proof"];
        let fields = names.iter().map(|name| Ok(((*name).to_owned(), field(&page, name)?)));
        let mut form: Vec<_> = fields.collect::<Result<_>>()?;
        form.push(("decision".to_owned(), decision.to_owned()));
        Ok(form)
    };
    let send = async |cookie: &str, form: &[(String, String)]| {
        let request = world.request(Method::POST, "/oauth2/consent").header(COOKIE, cookie);
        anyhow::Ok(request.form(form).send().await?)
    };
    let denied = send(&ann, &form("deny")?).await?;
    assert_eq!(denied.status(), 303);
    let denied = answered(&denied)?;
    assert_eq!((denied["error"].as_str(), denied["state"].as_str()), ("access_denied", "a b&c=é"));
    assert_eq!(denied["iss"], world.issuer());
    // Another site cannot send the form: it knows no proof for this person.
    let mut forged = form("allow")?;
    forged[2].1 = "0".repeat(64);
    let mut other = form("allow")?;
    other[0].1 = other[0].1.replace("profile", "email");
    for (cookie, form) in
        [(&ann, forged), (&ann, other), (&bob, form("allow")?), (&String::new(), form("allow")?)]
    {
        let reply = send(cookie, &form).await?;
        assert_eq!(reply.status(), 403);
    }
    assert!(world.events().await?.0.is_empty());
    let allowed = answered(&send(&ann, &form("allow")?).await?)?;
    assert_eq!(world.exchange("asks", &allowed["code"]).await?.0, 200);
    world.stop().await
}
