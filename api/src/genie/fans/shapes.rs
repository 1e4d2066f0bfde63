//! What is asked of fans, and how they are told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Most fans of the page, 200 at most; 50 unless it is named.
    #[serde(default)]
    pub limit: Option<u32>,
    /// How many to pass over.
    #[serde(default)]
    pub offset: Option<u32>,
    /// `total_spend`, `last_contact_at` or `display_name`; with `-` before it the other way round.
    #[serde(default)]
    pub sort: Option<String>,
    /// Only with an account there.
    #[serde(default)]
    #[param(max_length = 200)]
    pub platform: Option<String>,
    /// `active`, `trial`, `churned` or `win_back`; also as `lifecycle_stage`.
    #[serde(default, alias = "lifecycle_stage", alias = "lifecycleStage")]
    pub stage: Option<String>,
    /// In names and accounts; also as `q`.
    #[serde(default, alias = "q")]
    #[param(max_length = 200)]
    pub search: Option<String>,
    /// Only those who have spent as much.
    #[serde(default, alias = "minSpend")]
    pub min_spend: Option<String>,
    /// `memories`, `purchases` or both, separated by commas; for the larger subscriptions.
    #[serde(default)]
    pub include: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// `memories`, `purchases` or both, separated by commas; for the larger subscriptions.
    #[serde(default)]
    pub include: Option<String>,
}

/// What is known of a fan.
#[derive(ToSchema)]
#[schema(as = FanRecord)]
#[expect(dead_code, reason = "a shape for the document; the use case reads what it is sent")]
pub(super) struct Known {
    /// Which fan; else one of their accounts tells.
    id: Option<Uuid>,
    display_name: Option<String>,
    aliases: Option<Vec<String>>,
    /// `active`, `trial`, `churned` or `win_back`.
    lifecycle_stage: Option<String>,
    /// With two places at most.
    #[schema(minimum = 0)]
    total_spend: Option<f64>,
    currency: Option<String>,
    message_count: Option<u64>,
    #[schema(format = DateTime)]
    last_contact_at: Option<String>,
    notes: Option<String>,
    #[schema(max_length = 100)]
    sentiment: Option<String>,
    purchases: Option<Vec<KnownPurchase>>,
    /// What to note about them.
    memories: Option<Vec<String>>,
    #[schema(inline)]
    platform_accounts: Option<Vec<KnownAccount>>,
    /// Of a single account, beside `platform_fan_id` and `handle`.
    platform: Option<String>,
    platform_fan_id: Option<String>,
    handle: Option<String>,
}

/// An account of a fan.
#[derive(ToSchema)]
#[schema(as = FanAccountRecord)]
#[expect(dead_code, reason = "a shape for the document; the use case reads what it is sent")]
struct KnownAccount {
    platform: String,
    platform_fan_id: Option<String>,
    handle: Option<String>,
    /// How their subscription stands.
    subscription_status: Option<String>,
}

/// Something a fan has bought.
#[derive(ToSchema)]
#[schema(as = FanPurchaseRecord)]
#[expect(dead_code, reason = "a shape for the document; the use case reads what it is sent")]
struct KnownPurchase {
    title: String,
    /// With two places at most.
    #[schema(minimum = 0)]
    amount: f64,
    #[schema(format = DateTime)]
    at: Option<String>,
}

/// Something to remember of a fan.
#[derive(Deserialize, ToSchema)]
#[schema(as = FanMemoryWish)]
pub(super) struct MemoryBody {
    /// Also as `memory` or `content`.
    #[serde(default, alias = "memory", alias = "content")]
    #[schema(required)]
    pub text: String,
}

/// A fan.
#[derive(Serialize, ToSchema)]
#[schema(as = Fan)]
pub(super) struct Shown {
    pub id: Uuid,
    pub display_name: String,
    pub aliases: Vec<String>,
    /// `active`, `trial`, `churned` or `win_back`.
    pub lifecycle_stage: &'static str,
    pub total_spend: f64,
    pub currency: String,
    pub message_count: u64,
    pub last_contact_at: Option<String>,
    pub notes: String,
    pub platform_accounts: Vec<ShownAccount>,
    pub date_created: String,
    pub date_updated: String,
    /// For the larger subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub sentiment: Option<Option<String>>,
    /// For the larger subscriptions, when they are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchases: Option<Vec<ShownPurchase>>,
    /// For the larger subscriptions, when they are wanted; the latest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memories: Option<Vec<ShownMemory>>,
}

/// An account of a fan.
#[derive(Serialize, ToSchema)]
#[schema(as = FanAccount)]
pub(super) struct ShownAccount {
    pub platform: String,
    pub platform_fan_id: String,
    pub handle: Option<String>,
    pub subscription: Option<ShownSubscription>,
}

/// What a fan pays regularly.
#[derive(Serialize, ToSchema)]
#[schema(as = FanSubscription)]
pub(super) struct ShownSubscription {
    pub status: String,
    pub renews_at: Option<String>,
}

/// Something a fan has bought.
#[derive(Serialize, ToSchema)]
#[schema(as = FanPurchase)]
pub(super) struct ShownPurchase {
    pub title: String,
    pub amount: f64,
    pub at: Option<String>,
}

/// Something that was noted of a fan.
#[derive(Serialize, ToSchema)]
#[schema(as = FanMemory)]
pub(super) struct ShownMemory {
    pub text: String,
    pub date: String,
}

/// A fan, as they are known now.
#[derive(Serialize, ToSchema)]
#[schema(as = UpsertedFan)]
pub(super) struct Upserted {
    /// Whether they are new.
    pub created: bool,
    pub data: Shown,
}
