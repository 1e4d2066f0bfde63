//! The real `annals` binary, built with the profile of the tests. Always through cargo: an old binary would be tested otherwise.

use anyhow::{Context, Result, ensure};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Where it is; built at the first call.
///
/// # Errors
/// When it does not build.
pub fn annals() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn build() -> Result<PathBuf> {
    // target/<profile>/deps/<test>
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|deps| deps.parent()).context("no target folder")?;
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace, as the tests were built: for one package features would differ, and so all its parts.
    cargo.args(["build", "--quiet", "--workspace", "--bin", "annals"]);
    cargo.arg("--target-dir").arg(folder.parent().context("no target folder")?);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "annals does not build");
    Ok(folder.join("annals"))
}
