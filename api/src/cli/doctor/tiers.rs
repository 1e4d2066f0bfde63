//! Subscriptions: tiers that can be understood and still leave somebody out.

use super::Finding;
use crate::config::Config;
use domain::billing::Tier;

const AREA: &str = "tiers";

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let limits = &config.tier_limits;
    let mut findings = Vec::new();
    if !limits.knows(&Tier::starter()) {
        findings.push(Finding::trouble(
            AREA,
            "there is no tier starter: everybody begins there, and would be refused all billable work",
            "add starter to ANNALS_TIER_LIMITS or its file",
        ));
    }
    for (tier, gaps) in limits.gaps().filter(|(_, gaps)| !gaps.is_empty()) {
        findings.push(Finding::advice(
            AREA,
            format!("{tier} does not say {}, which is refused there", gaps.join(", ")),
            "a limit is a number, -1 for none, 0 for what is not in the tier",
        ));
    }
    if findings.is_empty() {
        let names: Vec<_> = limits.gaps().map(|(tier, _)| tier.as_str()).collect();
        findings.push(Finding::fine(AREA, names.join(", ")));
    }
    if !config.rbac_roles.is_empty() && config.rbac_sync_secret.is_none() {
        findings.push(Finding::advice(
            "roles",
            "ANNALS_RBAC_ROLES is set, and nobody can tell of a role",
            "set ANNALS_RBAC_SYNC_SECRET, too",
        ));
    }
    findings
}
