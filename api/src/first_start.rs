//! What a fresh installation needs before anybody can use it.

use crate::app::App;
use anyhow::{Context, Result};
use domain::{Metadata, user::Username};
use uuid::Uuid;

/// Creates the first administrator and prints a made-up password, once.
///
/// # Errors
/// With what a person can do about it.
pub async fn bootstrap(app: &App) -> Result<()> {
    let metadata = Metadata::system(Uuid::now_v7());
    let username = Username::parse(&app.config.admin_username, None)
        .context("ANNALS_ADMIN_USERNAME cannot be a user name")?;
    let password = app.config.admin_password.clone();
    let made = app.identity.bootstrap_admin(username, password, &metadata).await?;
    if let Some(made) = made {
        app.caught_up("users", made.position).await;
        if let Some(password) = made.made_up {
            // To the terminal and nowhere else: log collectors keep what they get.
            eprintln!("\n  administrator: {}", app.config.admin_username);
            eprintln!("  password:      {}   (shown this once)\n", password.expose());
        }
    }
    if app.identity.registration_allowed().await?.is_none() {
        app.identity.allow_registration(app.config.allow_registration, &metadata).await?;
    }
    Ok(())
}
