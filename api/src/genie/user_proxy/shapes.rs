//! How profiles are told and changed.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A profile.
#[derive(Serialize, ToSchema)]
#[schema(as = Profile)]
pub(super) struct Shown {
    pub id: String,
    pub email: Option<String>,
    /// Their name for logging in, while they have given none.
    pub first_name: String,
    pub last_name: Option<String>,
    /// A file.
    pub avatar: Option<Uuid>,
    /// Where it is.
    pub avatar_url: Option<String>,
    /// `Administrator`, `Creator` or `Viewer`.
    pub role: &'static str,
    pub status: &'static str,
    pub subscription_tier: Option<String>,
    pub subscription_start: Option<String>,
    /// `monthly` or `annual`.
    pub subscription_period: Option<&'static str>,
    pub onboarding_state: &'static str,
    pub persona: Persona,
    /// A language tag: `en`, `pt-BR`.
    pub language: Option<String>,
    /// A zone of the tz database: `Europe/Berlin`.
    pub timezone: Option<String>,
    pub date_created: Option<String>,
}

/// How somebody appears.
#[derive(Serialize, ToSchema)]
pub(super) struct Persona {
    /// Who they are, in their own words.
    pub bio: Option<String>,
    /// How they sound.
    pub tone: Option<String>,
    pub brand_colors: Vec<String>,
}

/// What to change. `null` takes a field away; what is not named stays.
#[derive(ToSchema)]
#[schema(as = ProfileChange)]
#[expect(dead_code, reason = "a shape for the document; fields are read one by one")]
pub(super) struct Change {
    first_name: Option<String>,
    last_name: Option<String>,
    bio: Option<String>,
    tone: Option<String>,
    /// In a form, separated by commas.
    brand_colors: Option<Vec<String>>,
    language: Option<String>,
    timezone: Option<String>,
    /// In a form: a PNG, JPEG or WebP picture of at most 5 MiB.
    #[schema(format = Binary, nullable = false)]
    avatar: Option<String>,
}

/// A profile, as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedProfile)]
pub(super) struct Changed {
    /// The picture, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Picture>,
    pub data: Shown,
}

/// A picture of somebody.
#[derive(Serialize, ToSchema)]
pub(super) struct Picture {
    pub id: Uuid,
    pub filename: String,
    #[serde(rename = "type")]
    pub media_type: &'static str,
    /// In bytes.
    pub size: u64,
}
