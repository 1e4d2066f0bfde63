//! Parameters as RFC 6749 (section 3.1) has them: none twice, and one without a value was not sent.

use super::{Refused, Result};
use crate::core::{Error, extract};
use axum::{
    extract::{FromRequest, Request},
    http::header,
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of the largest form.
const FORM: usize = 64 * 1024;

/// The parameters of a request.
#[derive(Debug)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// From a query string or a form.
    ///
    /// # Errors
    /// When a parameter comes twice, or its value is not UTF-8.
    pub fn parse(encoded: &[u8]) -> Result<Self> {
        let (mut all, mut seen) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in form_urlencoded::parse(encoded) {
            if !seen.insert(name.clone().into_owned()) {
                return Err(Refused::invalid("a parameter is there twice"));
            }
            if value.contains(char::REPLACEMENT_CHARACTER) || value.contains('\0') {
                return Err(Refused::invalid("a parameter is not UTF-8"));
            }
            if !value.is_empty() {
                all.insert(name.into_owned(), value.into_owned());
            }
        }
        Ok(Self(all))
    }

    /// The value of a parameter, if it has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a parameter that has to be there.
    ///
    /// # Errors
    /// 400 `invalid_request` with its name.
    pub fn need(&self, name: &'static str) -> Result<&str> {
        self.get(name).ok_or_else(|| Refused::invalid(format!("{name} is missing")))
    }
}

/// The parameters in a form body; no other type of body is taken.
#[derive(Debug)]
pub struct Form(pub Params);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let sent = request.headers().get(header::CONTENT_TYPE);
        let sent = sent.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let essence = sent.split(';').next().unwrap_or_default().trim();
        let form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        let bytes = extract::read(request.into_body(), FORM).await?;
        if !form {
            return Err(Error::MediaType(sent).into());
        }
        Params::parse(&bytes).map(Self)
    }
}
