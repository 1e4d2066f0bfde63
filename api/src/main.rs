//! annals.
fn main() {}
