//! A new migration has to rebuild the crate that embeds it.
fn main() {
    println!("cargo:rerun-if-changed=sql");
}
