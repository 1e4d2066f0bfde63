use crate::server::{Server, server};
use annals_tests::smtp_server::{Manner, SmtpServer, Taken};
use serde_json::json;

async fn send(server: &Server) -> crate::server::Answer {
    server.post("/api/auth/register/send-code", &[], json!({"email": "Ann@Example.org"})).await
}

/// The six digits in a mail.
fn code(mail: &Taken) -> String {
    let mut words = mail.text.split(|c: char| !c.is_ascii_digit());
    words.rfind(|word| word.len() == 6).unwrap().to_owned()
}

#[tokio::test]
async fn a_person_registers_with_the_code_from_their_mail() {
    let login = Manner::Login("annals".to_owned(), "pass word".to_owned());
    let mut mails = SmtpServer::start(login).await.unwrap();
    let url = mails.url("annals:pass%20word@");
    let from = "Annals <no-reply@annals.example>";
    let server = server(&[("ANNALS_SMTP_URL", &url), ("ANNALS_SMTP_FROM", from)]).await;
    assert_eq!(send(&server).await.told(), (200, 200, "验证码发送成功"));
    let mail = mails.next().await.unwrap();
    assert_eq!(
        (mail.from.as_str(), mail.to.as_str()),
        ("no-reply@annals.example", "ann@example.org")
    );
    assert!(
        mail.text.contains("验证码") && mail.text.contains("verification code"),
        "{}",
        mail.text
    );
    let body = json!({
        "username": "ann", "password": "password", "email": "ann@example.org",
        "verification_code": code(&mail),
    });
    let registered = server.post("/api/user/register", &[], body).await;
    assert_eq!(registered.told(), (200, 200, "注册成功"));
    assert_eq!(server.login("ann", "password").await.status, 200);
}

#[tokio::test]
async fn a_mail_that_is_not_taken_leaves_no_code_behind() {
    let mut open = SmtpServer::start(Manner::Open).await.unwrap();
    let login = Manner::Login("annals".to_owned(), "right".to_owned());
    let strict = SmtpServer::start(login).await.unwrap();
    let refusing = SmtpServer::start(Manner::Refusing).await.unwrap();
    let gone = SmtpServer::start(Manner::Open).await.unwrap().url("");
    for url in [strict.url("annals:wrong@"), refusing.url(""), gone] {
        let server = server(&[("ANNALS_SMTP_URL", &url)]).await;
        for _ in 0..2 {
            // Without a code there is nothing to wait for, so the second attempt is told the same.
            assert_eq!(send(&server).await.told(), (500, 500, "邮件发送失败"), "{url}");
        }
    }
    let server = server(&[("ANNALS_SMTP_URL", &open.url(""))]).await;
    assert_eq!(send(&server).await.status, 200);
    let mail = open.next().await.unwrap();
    assert_eq!(mail.from, "annals@localhost");
}
