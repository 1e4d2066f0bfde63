//! Generates messages and services from `proto/`, without `protoc`.

use anyhow::{Context, Result};
use std::{env, fs, path::PathBuf};

const FILES: &[&str] = &["streams", "persistent", "serverfeatures", "gossip", "shared", "status"];

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let files = FILES.iter().map(|name| format!("proto/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").context("no OUT_DIR")?);
    fs::create_dir_all(&out)?;
    let mut messages = prost_build::Config::new();
    messages.include_file("wire.rs").bytes(["."]).enable_type_names().out_dir(out);
    let services = tonic_build::configure().build_client(false).build_transport(false);
    services.compile_fds_with_config(messages, descriptors)?;
    Ok(())
}
