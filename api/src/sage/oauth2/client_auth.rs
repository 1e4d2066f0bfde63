//! Which client is calling, and whether it can prove it.

use super::{Refused, params::Params};
use crate::{app::App, core::peer::Peer};
use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use commands::oauth2::clients::{Client, Method};

/// Why it is not known who calls.
#[derive(Debug)]
pub enum Unknown {
    /// Nothing was said.
    Silent,
    /// What was said cannot be true: whoever says it is not to keep what came along.
    Unproven(Refused),
    /// It was said in a way that this client does not use; libraries try several.
    Otherwise(Refused),
}

impl From<Unknown> for Refused {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Silent => Self::client("missing client authentication"),
            Unknown::Unproven(refused) | Unknown::Otherwise(refused) => refused,
        }
    }
}

/// The client that calls. Failures are counted by address.
pub fn client<'a>(
    app: &'a App,
    peer: Peer,
    headers: &HeaderMap,
    params: &Params,
) -> Result<&'a Client, Unknown> {
    let said = said(headers, params)?;
    app.access.clients.attempt(peer.address).map_err(|many| Unknown::Otherwise(many.into()))?;
    let found = proven(app, &said)?;
    app.access.clients.forgive(peer.address);
    Ok(found)
}

struct Said {
    method: Method,
    /// Id and secret, in the order in which they are tried.
    readings: Vec<(String, String)>,
}

fn said(headers: &HeaderMap, params: &Params) -> Result<Said, Unknown> {
    let twice = || Unknown::Otherwise(Refused::invalid("the client authenticates in two ways"));
    let (id, secret) = (params.get("client_id"), params.get("client_secret"));
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let Some(id) = id else { return Err(Unknown::Silent) };
        let method = if secret.is_some() { Method::Post } else { Method::None };
        let reading = (id.to_owned(), secret.unwrap_or_default().to_owned());
        return Ok(Said { method, readings: vec![reading] });
    };
    let malformed = || Unknown::Unproven(Refused::client("malformed client authentication"));
    if secret.is_some() || headers.get_all(header::AUTHORIZATION).iter().count() > 1 {
        return Err(twice());
    }
    let value = value.to_str().map_err(|_| malformed())?;
    let (scheme, encoded) = value.trim().split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (user, password) = decoded.split_once(':').ok_or_else(malformed)?;
    // The RFC has both percent-encoded; not every library does that.
    let readings =
        vec![(unescaped(user), unescaped(password)), (user.to_owned(), password.to_owned())];
    if id.is_some_and(|id| readings.iter().all(|(other, _)| other != id)) {
        return Err(twice());
    }
    Ok(Said { method: Method::Basic, readings })
}

fn proven<'a>(app: &'a App, said: &Said) -> Result<&'a Client, Unknown> {
    let known = |id: &str| app.oauth2.clients.enabled(id);
    let Some(client) = said.readings.iter().find_map(|(id, _)| known(id)) else {
        return Err(Unknown::Unproven(Refused::client("unknown client")));
    };
    if client.method != said.method {
        let why = "the client authenticates in another way";
        return Err(Unknown::Otherwise(Refused::client(why)));
    }
    let own = said.readings.iter().filter(|(id, _)| *id == client.id.as_str());
    let proven = own.map(|(_, secret)| client.proves(secret)).fold(false, |any, one| any | one);
    if client.method == Method::None || proven {
        return Ok(client);
    }
    Err(Unknown::Unproven(Refused::client("wrong client secret")))
}

/// Of `application/x-www-form-urlencoded`, one value.
fn unescaped(text: &str) -> String {
    let one = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(one.as_bytes())
        .next()
        .map(|(text, _)| text.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_decoded_whole() {
        for (text, value) in [("a%3Ab+c", "a:b c"), ("a&b=c", "a&b=c"), ("", ""), ("%C3%A9", "é")]
        {
            assert_eq!(unescaped(text), value);
        }
    }
}
