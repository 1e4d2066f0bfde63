//! The GenieHelper dialect over HTTP on a whole node: reply and events, right, wrong, foreign, missing.

mod captions;
mod credentials;
mod cycles;
mod fans;
mod goose;
mod identity;
mod impersonate;
mod onboarding;
mod posts;
mod queue;
mod register;
mod settings;
mod skills;
mod stream_chat;
mod stream_chat_actions;
mod stream_chat_crash;
mod user_proxy;
mod world;
