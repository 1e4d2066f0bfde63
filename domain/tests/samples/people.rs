//! What people say of themselves, and whom they know.

use super::{stored, time};
use crate::Stored;
use annals_domain::{
    fan::{self, Account, Fan, Money, Purchase, Stage, Subscription},
    ids::{FanId, UploadId},
    name::{self, FanAccounts, Name},
    platforms::{self, Platforms},
    profile::{self, Profile},
};
use anyhow::Result;
use uuid::Uuid;

const PICTURE: UploadId = UploadId(Uuid::from_u128(8));
const OTHER: UploadId = UploadId(Uuid::from_u128(9));
const FAN: FanId = FanId(Uuid::from_u128(10));

pub fn all() -> Result<Vec<Stored>> {
    use profile::Event as Of;
    let whole = profile::Details {
        first_name: Some("Änn".to_owned()),
        last_name: Some("李".to_owned()),
        bio: Some("Paints.\nDaily.".to_owned()),
        tone: Some("calm".to_owned()),
        language: Some("en-GB".to_owned()),
        timezone: Some("Europe/Berlin".to_owned()),
        brand_colors: vec!["#ff0088".to_owned()],
    };
    let mut all = stored!(Profile, profile::Event;
        ProfileChanged => [Of::ProfileChanged(Box::new(whole)), Of::ProfileChanged(Box::default())],
        AvatarSet => [
            Of::AvatarSet { file: PICTURE, replaced: Some(OTHER) },
            Of::AvatarSet { file: PICTURE, replaced: None },
        ],
    );
    all.extend(stored!(Platforms, platforms::Event;
        PlatformConnected => [platforms::Event::PlatformConnected { platform: "x".to_owned() }],
        PlatformDisconnected => [
            platforms::Event::PlatformDisconnected { platform: "x".to_owned() },
        ],
    ));
    all.extend(fans()?);
    Ok(all)
}

fn fans() -> Result<Vec<Stored>> {
    use fan::Event as Of;
    let details = fan::Details {
        display_name: "Bob".to_owned(),
        aliases: vec!["bobby".to_owned()],
        lifecycle_stage: Stage::WinBack,
        total_spend: Money(1_250),
        currency: "EUR".to_owned(),
        message_count: 3,
        last_contact_at: Some(time("2026-11-21T12:02:00Z")?),
        notes: "Likes cats".to_owned(),
        sentiment: Some("warm".to_owned()),
        purchases: vec![Purchase { title: "Set".to_owned(), amount: Money(500), at: None }],
    };
    let upserted = |details| Of::FanUpserted { owner: "ann".into(), details: Box::new(details) };
    let account = Account {
        platform: "onlyfans".to_owned(),
        platform_fan_id: "77".to_owned(),
        handle: Some("bob".to_owned()),
        subscription: Some(Subscription { status: "active".to_owned(), renews_at: None }),
    };
    let plain = Account { handle: None, subscription: None, ..account.clone() };
    let mut all = stored!(Fan, fan::Event;
        FanUpserted => [upserted(details), upserted(fan::Details::default())],
        FanAccountLinked => [
            Of::FanAccountLinked { account },
            Of::FanAccountLinked { account: plain },
        ],
        FanMemoryAdded => [Of::FanMemoryAdded {
            text: "Has a cat".to_owned(),
            noted_at: time("2026-11-21T12:02:00Z")?,
        }],
    );
    all.extend(stored!(Name<FanAccounts>, name::Event;
        NameReserved => [name::Event::NameReserved { holder: FAN }],
        NameReleased => [name::Event::NameReleased { holder: FAN }],
    ));
    Ok(all)
}
