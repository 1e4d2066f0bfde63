//! `annals user create|token|role`.

use super::operator;
use crate::compose::Store;
use anyhow::{Context, Result, bail};
use commands::{
    effects::Sensitive,
    identity::{self, Registration, Standing, mint_user_id},
    nodes,
};
use domain::{
    Position,
    ids::UserId,
    user::{EmailAddress, Role, Username},
};
use std::{
    io::{self, BufRead, Write},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// Bytes of a password that is made up.
const MADE_UP: usize = 12;
/// How long the servers may take to act on what was done here; they hear of it at once, and look once a second.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at whether they do.
const LOOK: Duration = Duration::from_millis(5);

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Create an account.
    Create {
        /// The name to sign in with.
        name: String,
        /// The password; `-` reads it from standard input. Without it one is made up and printed.
        #[arg(long, allow_hyphen_values = true)]
        password: Option<String>,
        /// Administrator (admin), Creator (user), Viewer or Operator.
        #[arg(long, default_value = "user", value_parser = role)]
        role: Role,
        /// An e-mail address.
        #[arg(long)]
        email: Option<String>,
    },
    /// Print a new API token, for `Authorization: Token …`; it is shown this once.
    Token {
        /// The person's user name or e-mail address.
        name: String,
    },
    /// Give somebody another role.
    Role {
        /// The person's user name or e-mail address.
        name: String,
        /// Administrator (admin), Creator (user), Viewer or Operator.
        #[arg(value_parser = role)]
        role: Role,
    },
}

fn role(text: &str) -> Result<Role, &'static str> {
    Role::named(text).ok_or("a role is Administrator (admin), Creator (user), Viewer or Operator")
}

pub(super) async fn run(store: &Store, command: Command) -> Result<()> {
    match command {
        Command::Create { name, password, role, email } => {
            create(store, &name, password, role, email.as_deref()).await
        }
        Command::Token { name } => {
            let user = find(store, &name).await?;
            let (token, at) = store.identity.issue_api_token(&user, &operator()).await?;
            in_force(store, at).await?;
            Ok(writeln!(io::stdout(), "{}", token.expose())?)
        }
        Command::Role { name, role } => {
            let user = find(store, &name).await?;
            let standing = Standing { role: Some(role), status: None };
            let (_, at) = store.identity.set_standing(&[user], standing, &operator()).await?;
            in_force(store, at).await?;
            Ok(writeln!(io::stdout(), "{name} is {} now", role.as_str())?)
        }
    }
}

async fn create(
    store: &Store,
    name: &str,
    password: Option<String>,
    role: Role,
    email: Option<&str>,
) -> Result<()> {
    let email = email.map(EmailAddress::parse).transpose()?;
    let username = Username::parse(name, email.as_ref())?;
    let (password, made_up) = match password.as_deref() {
        Some("-") => (from_stdin()?, false),
        Some(given) => (Sensitive::from(given.to_owned()), false),
        None => (Sensitive::random(MADE_UP), true),
    };
    let wanted = Registration {
        user: mint_user_id(),
        username,
        password: password.clone(),
        email,
        phone: None,
        role,
    };
    let registered = store.identity.register(wanted, &operator()).await?;
    in_force(store, registered.position).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "created {name} ({}), id {}", role.as_str(), registered.user)?;
    if made_up {
        writeln!(out, "password: {}", password.expose())?;
    }
    Ok(())
}

/// Waits until servers on this database act on what was written: whoever reads a new token here uses it next.
async fn in_force(store: &Store, written: Option<Position>) -> Result<()> {
    let Some(written) = written else { return Ok(()) };
    if !nodes::any(&store.db).await? {
        return Ok(());
    }
    let shown = async {
        while projections::reached(&store.db, "users").await? < written {
            sleep(LOOK).await;
        }
        Ok(())
    };
    // A server that was killed shows nothing, and the next one reads it all before it serves.
    timeout(PATIENCE, shown).await.unwrap_or(Ok(()))
}

/// The first line, without its end.
fn from_stdin() -> Result<Sensitive> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("no password on standard input")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password on standard input");
    }
    Ok(Sensitive::from(password.to_owned()))
}

async fn find(store: &Store, name: &str) -> Result<UserId> {
    let mut found = store.identity.named(name).await?;
    if found.is_none()
        && let Ok(email) = EmailAddress::parse(name)
    {
        found = store.identity.reached_at(&email).await?;
    }
    let (user, _) = found.ok_or(identity::Error::UnknownUser).context(name.to_owned())?;
    Ok(user)
}
