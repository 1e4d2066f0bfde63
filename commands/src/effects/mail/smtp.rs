//! Mail by SMTP.

use super::{Mail, MailError, Mailer};
use crate::effects::Sensitive;
use domain::user::EmailAddress;
use futures::future::BoxFuture;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use std::{fmt, net::IpAddr, time::Duration};
use tokio::time::timeout;

/// How long one answer of the server may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a mail may take as a whole; somebody waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

/// Hands mails to one server.
#[derive(Clone)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpMailer({})", self.from)
    }
}

impl SmtpMailer {
    /// Through the server of this URL: `smtp://`, `smtps://` (TLS from the start) or `starttls://` (TLS before anything
    /// else is said; also `smtp://…?tls=required`), with `user:password@` for servers that want a login. `from` is the
    /// sender; without one it is `annals@` the server's name.
    ///
    /// # Errors
    /// The setting that does not fit, and what would; the URL is never repeated.
    pub fn new(url: &Sensitive, from: Option<&str>) -> Result<Self, (&'static str, String)> {
        let fits = "has to be a URL such as smtps://user:password@mail.example.org";
        let bad = || ("ANNALS_SMTP_URL", fits.to_owned());
        let url = match url.expose().strip_prefix("starttls://") {
            Some(rest) => Sensitive::from(format!("smtp://{rest}?tls=required")),
            None => url.clone(),
        };
        let parsed = openidconnect::url::Url::parse(url.expose()).map_err(|_| bad())?;
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose());
        let transport = builder.map_err(|_| bad())?.timeout(Some(ANSWER)).build();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let ours = format!("annals@{}", if literal { "localhost" } else { host });
        let from = from.unwrap_or(&ours).parse().map_err(|_| {
            let fits = "has to be an address such as annals <annals@example.org>";
            ("ANNALS_SMTP_FROM", fits.to_owned())
        })?;
        Ok(Self { transport, from })
    }

    /// Whether the server answers and takes our login; no mail is sent.
    ///
    /// # Errors
    /// What it says.
    pub async fn check(&self) -> Result<(), MailError> {
        match timeout(DEADLINE, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(MailError("the server hangs up".to_owned())),
            Ok(Err(error)) => Err(MailError(error.to_string())),
            Err(_) => Err(MailError(format!("no answer within {DEADLINE:?}"))),
        }
    }

    fn message(&self, mail: Mail) -> Result<Message, MailError> {
        let (to, subject, body) = match mail {
            Mail::VerificationCode { to, code, valid_for } => {
                let (code, minutes) = (code.expose(), valid_for.as_secs() / 60);
                let body = format!(
                    "您的验证码是 {code}，{minutes} 分钟内有效。如果不是您本人操作，请忽略此邮件。\n\n\
                     Your verification code is {code}. It is valid for {minutes} minutes. \
                     If you did not ask for it, ignore this mail.\n"
                );
                (to, "验证码 / Verification code", body)
            }
        };
        let built = Message::builder()
            .from(self.from.clone())
            .to(mailbox(&to)?)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body);
        built.map_err(|error| MailError(error.to_string()))
    }
}

fn mailbox(to: &EmailAddress) -> Result<Mailbox, MailError> {
    to.as_str().parse().map_err(|_| MailError("nobody can be reached at that address".to_owned()))
}

impl Mailer for SmtpMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            let message = self.message(mail)?;
            match timeout(DEADLINE, self.transport.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(MailError(error.to_string())),
                Err(_) => Err(MailError(format!("no answer within {DEADLINE:?}"))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer(url: &str, from: Option<&str>) -> Result<SmtpMailer, (&'static str, String)> {
        SmtpMailer::new(&Sensitive::from(url.to_owned()), from)
    }

    #[test]
    fn servers_are_named_by_url() {
        for url in [
            "smtp://127.0.0.1:2525",
            "smtp://ann:hunter2@mail.example.org",
            "smtps://ann:hunter2@mail.example.org",
            "starttls://ann:hunter2@mail.example.org:587",
        ] {
            let made = mailer(url, None);
            assert!(made.is_ok(), "{url}: {made:?}");
            assert!(!format!("{made:?}").contains("hunter2"));
        }
    }

    #[test]
    fn other_things_are_refused_without_repeating_them() {
        for url in ["mail.example.org", "http://ann:hunter2@mail.example.org", "smtp://", "smtp:x"]
        {
            let Err((name, reason)) = mailer(url, None) else { panic!("{url} was taken") };
            assert_eq!(name, "ANNALS_SMTP_URL");
            assert!(!reason.contains("hunter2"));
        }
        let refused = mailer("smtp://mail.example.org", Some("nobody"));
        assert_eq!(refused.err().map(|(name, _)| name), Some("ANNALS_SMTP_FROM"));
    }
}
