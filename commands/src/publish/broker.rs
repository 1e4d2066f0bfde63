//! Where the broker is, and as whom to log in.

use super::End;
use async_nats::{ConnectOptions, ServerAddr};
use std::fmt;

/// Address of the broker, `nats://[user:password@]host:port` (or `tls://…`); several separated by commas. A user without
/// a password is a token. The first address that names a user decides for all.
#[derive(Clone)]
pub struct BrokerUrl(pub String);

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokerUrl(…)")
    }
}

impl BrokerUrl {
    /// The addresses, and options that log in. The client itself passes over what stands before the `@`.
    pub(super) fn parse(&self) -> Result<(Vec<ServerAddr>, ConnectOptions), End> {
        let addresses = self.0.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>();
        // Without the cause, which may quote the password.
        let addresses: Vec<ServerAddr> =
            addresses.map_err(|_| End::because("the address of the broker cannot be read"))?;
        let options = ConnectOptions::new();
        let login = addresses.iter().find_map(|one| Some((one.username()?, one.password())));
        let options = match login {
            None => options,
            Some((user, Some(password))) => {
                options.user_and_password(decoded(user), decoded(password))
            }
            Some((token, None)) => options.token(decoded(token)),
        };
        Ok((addresses, options))
    }
}

/// Without percent-encoding; what is not valid stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut plain, mut i) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(i) {
        let code = (byte == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        if let Some(code) = code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            plain.push(code);
            i += 3;
        } else {
            plain.push(byte);
            i += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        for (text, plain) in
            [("p%40ss%3A1", "p@ss:1"), ("%C3%A9", "é"), ("100%", "100%"), ("%zz", "%zz")]
        {
            assert_eq!(decoded(text), plain);
        }
    }

    #[test]
    fn nothing_of_the_address_is_shown() {
        let broker = BrokerUrl("nats://ann:s3cret@host:no-port".to_owned());
        assert!(!format!("{broker:?} {:?}", broker.parse().map(|_| ())).contains("s3cret"));
    }
}
