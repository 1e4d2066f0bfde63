//! Settings of the GenieHelper API: what tiers allow, what roles are called elsewhere.

use super::{ConfigError, values::Values};
use axum::http::StatusCode;
use commands::effects::{Sensitive, credential_v1};
use domain::{quota::TierLimits, user::Role};
use serde_json::Value;
use std::{collections::BTreeMap, fs};
use uuid::Uuid;

const LIMITS: &str = "ANNALS_TIER_LIMITS";
const LIMITS_FILE: &str = "ANNALS_TIER_LIMITS_FILE";
const ROLES: &str = "ANNALS_RBAC_ROLES";

impl Values {
    /// What opens credentials that another installation sealed.
    pub fn credentials_key(&self) -> Result<Option<Sensitive>, ConfigError> {
        self.parse("ANNALS_CREDENTIALS_KEY_B64", "32 bytes in base64", |text| match text {
            "" => Some(None),
            text => credential_v1::is_key(text).then(|| Some(text.to_owned().into())),
        })
    }

    /// From the setting itself or the file that another one names; else what comes with the program.
    pub fn tier_limits(&self) -> Result<TierLimits, ConfigError> {
        let (name, shown, json) = match (self.get(LIMITS), self.get(LIMITS_FILE)) {
            (None, None) => return Ok(TierLimits::default()),
            (Some(_), Some(_)) => {
                let reason = format!("has to be unset where {LIMITS_FILE} is set");
                return Err(ConfigError::Bad { name: LIMITS, reason });
            }
            (Some(json), None) => (LIMITS, String::new(), json.to_owned()),
            (None, Some(path)) => {
                let bad = |reason| ConfigError::Bad { name: LIMITS_FILE, reason };
                let json =
                    fs::read_to_string(path).map_err(|error| bad(format!("{path}: {error}")))?;
                (LIMITS_FILE, format!("{path}: "), json)
            }
        };
        let bad = |reason| ConfigError::Bad { name, reason: format!("{shown}{reason}") };
        let json: Value = serde_json::from_str(json.trim_start_matches('\u{feff}'))
            .map_err(|error| bad(format!("has to be JSON: {error}")))?;
        TierLimits::try_from(&json).map_err(|misfit| bad(misfit.to_string()))
    }

    /// What roles are called at the identity provider, which knows them by ids.
    pub fn rbac_roles(&self) -> Result<BTreeMap<Uuid, Role>, ConfigError> {
        let bad = |reason| ConfigError::Bad { name: ROLES, reason };
        let fits = || bad(r#"has to be JSON such as {"<id of a role>": "Creator"}"#.to_owned());
        let named: BTreeMap<String, String> = match self.get(ROLES) {
            None => return Ok(BTreeMap::new()),
            Some(json) => serde_json::from_str(json).map_err(|_| fits())?,
        };
        let read = |(id, role): (String, String)| {
            let known: Uuid = id.trim().parse().map_err(|_| bad(format!("{id} is no UUID")))?;
            let wanted = "Administrator, Creator or Viewer";
            let bad_role = || bad(format!("{id} has to be {wanted}"));
            Ok((known, Role::named(&role).ok_or_else(bad_role)?))
        };
        named.into_iter().map(read).collect()
    }

    /// What scheduling a post answers with.
    pub fn genie_post_status(&self) -> Result<StatusCode, ConfigError> {
        self.parse("ANNALS_GENIE_POST_STATUS", "200 or 201", |text| {
            [StatusCode::OK, StatusCode::CREATED].into_iter().find(|code| code.as_str() == text)
        })
    }

    /// Whether people may go to any station of the onboarding.
    pub fn genie_onboarding_lenient(&self) -> Result<bool, ConfigError> {
        self.parse("ANNALS_GENIE_ONBOARDING", "strict or lenient", |text| match text {
            "strict" => Some(false),
            "lenient" => Some(true),
            _ => None,
        })
    }
}
