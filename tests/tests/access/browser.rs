//! A browser: keeps cookies and follows redirects one by one.

use reqwest::{Client, Response, header, redirect::Policy};
use std::collections::BTreeMap;

#[derive(Clone)]
pub struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new() -> Self {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { http, cookies: BTreeMap::new() }
    }

    pub async fn get(&mut self, url: &str) -> Response {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let answer = self.http.get(url).header(header::COOKIE, cookies).send().await.unwrap();
        for set in answer.headers().get_all(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }
}

/// Where an answer leads; only a 302 or 303 does.
pub fn location(answer: &Response) -> String {
    assert!(matches!(answer.status().as_u16(), 302 | 303), "{}", answer.status());
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}
