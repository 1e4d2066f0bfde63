#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::{billing::Tier, testing::given};
use serde_json::Value;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn november() -> Cycle {
    Cycle { start: time("2026-11-01T00:00:00Z"), end: time("2026-12-01T00:00:00Z") }
}

fn charged(amount: u64, cycle_start: &str, reference: Option<&str>, at: &str) -> Event {
    Event::UsageCharged {
        action: Action::PostCreations,
        amount,
        billing_cycle_start: time(cycle_start),
        charged_at: time(at),
        reference: reference.map(str::to_owned),
    }
}

fn in_november(amount: u64) -> Event {
    charged(amount, "2026-11-01T00:00:00Z", None, "2026-11-20T00:00:00Z")
}

fn charge(amount: u64, limit: Limit) -> Command {
    Command::Charge {
        action: Action::PostCreations,
        amount,
        limit,
        cycle: november(),
        reference: None,
        now: time("2026-11-20T00:00:00Z"),
    }
}

#[test]
fn work_within_the_limit_is_counted() {
    given::<Quota>([in_november(1)]).when(charge(2, Limit::UpTo(3))).then([in_november(2)]);
}

#[test]
fn work_that_would_pass_the_limit_is_refused_whole() {
    given::<Quota>([in_november(2)])
        .when(charge(2, Limit::UpTo(3)))
        .then_refused(Refusal::LimitReached { limit: 3, usage: 2, resets_at: november().end });
}

#[test]
fn the_last_piece_of_the_allowance_may_be_used() {
    given::<Quota>([in_november(2)]).when(charge(1, Limit::UpTo(3))).then([in_november(1)]);
}

#[test]
fn a_tier_without_this_work_says_so() {
    given::<Quota>([]).when(charge(1, Limit::UpTo(0))).then_refused(Refusal::NotInTier);
}

#[test]
fn without_a_limit_everything_goes() {
    given::<Quota>([in_november(999_999)])
        .when(charge(1_000, Limit::Unlimited))
        .then([in_november(1_000)]);
}

#[test]
fn amounts_outside_1_to_1000_are_refused() {
    for amount in [0, 1_001] {
        given::<Quota>([])
            .when(charge(amount, Limit::Unlimited))
            .then_refused(Refusal::AmountOutOfRange);
    }
}

#[test]
fn work_of_earlier_cycles_does_not_count() {
    given::<Quota>([charged(3, "2026-10-01T00:00:00Z", None, "2026-10-20T00:00:00Z")])
        .when(charge(3, Limit::UpTo(3)))
        .then([in_november(3)]);
}

#[test]
fn counters_of_cycles_begun_later_count() {
    given::<Quota>([charged(3, "2026-11-10T00:00:00Z", None, "2026-11-11T00:00:00Z")])
        .when(charge(1, Limit::UpTo(3)))
        .then_refused(Refusal::LimitReached { limit: 3, usage: 3, resets_at: november().end });
}

#[test]
fn kinds_of_work_are_counted_apart() {
    let other = Event::UsageCharged {
        action: Action::MediaModifications,
        amount: 3,
        billing_cycle_start: november().start,
        charged_at: time("2026-11-20T00:00:00Z"),
        reference: None,
    };
    given::<Quota>([other]).when(charge(3, Limit::UpTo(3))).then([in_november(3)]);
}

fn repeated(now: &str) -> Command {
    Command::Charge {
        action: Action::PostCreations,
        amount: 1,
        limit: Limit::UpTo(3),
        cycle: november(),
        reference: Some("job-7".to_owned()),
        now: time(now),
    }
}

#[test]
fn the_same_reference_within_a_day_changes_nothing_even_at_the_limit() {
    let first = charged(3, "2026-11-01T00:00:00Z", Some("job-7"), "2026-11-19T00:00:01Z");
    given::<Quota>([first]).when(repeated("2026-11-20T00:00:00Z")).then_nothing();
}

#[test]
fn after_a_day_a_reference_is_new_work() {
    let first = charged(1, "2026-11-01T00:00:00Z", Some("job-7"), "2026-11-19T00:00:00Z");
    let again = charged(1, "2026-11-01T00:00:00Z", Some("job-7"), "2026-11-20T00:00:00Z");
    given::<Quota>([first]).when(repeated("2026-11-20T00:00:00Z")).then([again]);
}

#[test]
fn old_references_are_forgotten() {
    let at = |day: u32| format!("2026-11-{day:02}T00:00:00Z");
    let quota = (1..=20).fold(Quota::default(), |quota, day| {
        quota.evolve(&charged(1, "2026-11-01T00:00:00Z", Some(&format!("job-{day}")), &at(day)))
    });
    assert_eq!(quota.references.len(), 1);
    assert_eq!(
        quota.usage(Action::PostCreations, november().start, time("2026-11-20T00:00:00Z")),
        20
    );
}

fn reserve(name: &str, now: &str) -> Command {
    Command::Reserve {
        reservation: name.to_owned(),
        action: Action::PostCreations,
        limit: Limit::UpTo(3),
        cycle: november(),
        now: time(now),
        expires_at: time(now) + TimeDelta::minutes(2),
    }
}

fn reserved(name: &str, at: &str) -> Event {
    Event::UsageReserved {
        reservation: name.to_owned(),
        action: Action::PostCreations,
        amount: 1,
        billing_cycle_start: november().start,
        expires_at: time(at) + TimeDelta::minutes(2),
    }
}

fn confirmed(name: &str) -> Event {
    Event::UsageConfirmed { reservation: name.to_owned() }
}

fn released(name: &str) -> Event {
    Event::UsageReleased { reservation: name.to_owned() }
}

const NOON: &str = "2026-11-20T12:00:00Z";
const LATER: &str = "2026-11-20T12:02:00Z";

#[test]
fn work_that_is_going_on_counts() {
    given::<Quota>([in_november(2)]).when(reserve("c1", NOON)).then([reserved("c1", NOON)]);
    given::<Quota>([in_november(2), reserved("c1", NOON)])
        .when(reserve("c2", NOON))
        .then_refused(Refusal::LimitReached { limit: 3, usage: 3, resets_at: november().end });
    given::<Quota>([in_november(2), reserved("c1", NOON)]).when(reserve("c1", NOON)).then_nothing();
}

#[test]
fn work_that_nobody_finished_costs_nothing_but_what_was_done_does() {
    given::<Quota>([in_november(2), reserved("c1", NOON)])
        .when(reserve("c2", LATER))
        .then([reserved("c2", LATER)]);
    given::<Quota>([in_november(2), reserved("c1", NOON), confirmed("c1")])
        .when(reserve("c2", LATER))
        .then_refused(Refusal::LimitReached { limit: 3, usage: 3, resets_at: november().end });
}

#[test]
fn work_is_confirmed_and_given_back_once() {
    let confirm = || Command::Confirm("c1".to_owned());
    let release = || Command::Release("c1".to_owned());
    given::<Quota>([reserved("c1", NOON)]).when(confirm()).then([confirmed("c1")]);
    given::<Quota>([reserved("c1", NOON), confirmed("c1")]).when(confirm()).then_nothing();
    given::<Quota>([reserved("c1", NOON), confirmed("c1")]).when(release()).then([released("c1")]);
    given::<Quota>([reserved("c1", NOON), released("c1")]).when(release()).then_nothing();
    given::<Quota>([in_november(2), reserved("c1", NOON), confirmed("c1"), released("c1")])
        .when(reserve("c2", NOON))
        .then([reserved("c2", NOON)]);
}

#[test]
fn a_charge_for_work_that_is_reserved_is_a_repeat() {
    let history = [in_november(2), reserved("job-7", "2026-11-20T00:00:00Z"), confirmed("job-7")];
    given::<Quota>(history).when(repeated("2026-11-20T00:00:00Z")).then_nothing();
}

#[test]
fn an_unknown_tier_is_allowed_nothing() {
    let limits = TierLimits::default();
    assert_eq!(
        limits.limit(&Tier::named("platinum"), Action::PostCreations),
        Err(Refusal::QuotaCheckFailed)
    );
    assert_eq!(limits.limit(&Tier::named("elite"), Action::TaxonomyTags), Ok(Limit::Unlimited));
}

fn limits(json: &str) -> Result<TierLimits, String> {
    let json: Value = serde_json::from_str(json).unwrap();
    TierLimits::try_from(&json).map_err(|misfit| misfit.to_string())
}

#[test]
fn limits_are_read_from_configuration() {
    let limits = limits(
        r#"{"team": {"caption_generator": -1, "taxonomy_tags": 0, "connected_platforms": 20, "fan_details": true}}"#,
    );
    let (limits, team) = (limits.unwrap(), Tier::named("team"));
    assert_eq!(limits.limit(&team, Action::PostCreations), Ok(Limit::Unlimited));
    assert_eq!(limits.limit(&team, Action::TaxonomyTags), Ok(Limit::UpTo(0)));
    assert_eq!(limits.limit(&team, Action::MediaModifications), Err(Refusal::QuotaCheckFailed));
    assert_eq!(limits.connected_platforms(&team), Ok(Limit::UpTo(20)));
    assert_eq!(limits.scheduled_posts(&team), Err(Refusal::QuotaCheckFailed));
    assert!(limits.fan_details(&team) && !limits.knows(&Tier::starter()));
    let gaps: Vec<_> = limits.gaps().collect();
    assert_eq!(gaps, [(&team, vec!["media_modifications", "scheduled_queue_size"])]);
}

#[test]
fn a_configuration_from_before_platforms_and_fans_were_in_it_means_what_it_meant() {
    let limits = limits(
        r#"{"starter": {"post_creations": 7}, "elite": {"fan_details": false}, "team": {}}"#,
    );
    let (limits, named) = (limits.unwrap(), Tier::named);
    assert_eq!(limits.connected_platforms(&named("starter")), Ok(Limit::UpTo(1)));
    assert_eq!(limits.connected_platforms(&named("studio")), Ok(Limit::UpTo(9)));
    assert!(!limits.fan_details(&named("starter")) && !limits.fan_details(&named("studio")));
    for unknown in ["team", "pro"] {
        let (tier, failed) = (named(unknown), Err(Refusal::QuotaCheckFailed));
        assert_eq!(limits.connected_platforms(&tier), failed, "{unknown}");
        assert!(!limits.fan_details(&tier), "{unknown}");
    }
    assert!(TierLimits::default().fan_details(&named("pro")));
    assert!(TierLimits::default().gaps().all(|(_, gaps)| gaps.is_empty()));
}

#[test]
fn what_makes_no_sense_in_a_configuration_is_named() {
    for (json, begins) in [
        ("[]", "the whole has to be an object"),
        ("{}", "there is no tier"),
        (r#"{"pro": 3}"#, "pro has to be an object"),
        (r#"{"pro": {"post_creation": 3}}"#, "pro.post_creation is no key; there are post_"),
        (r#"{"t": {"post_creations": -2}}"#, "t.post_creations has to be a whole number"),
        (r#"{"t": {"connected_platforms": 1.5}}"#, "t.connected_platforms has to be a whole"),
        (r#"{"t": {"scheduled_queue_size": "3"}}"#, "t.scheduled_queue_size has to be a whole"),
        (r#"{"t": {"fan_details": 1}}"#, "t.fan_details has to be true or false"),
        (r#"{"t": {"post_creations": 1, "caption_generator": 1}}"#, "t.post_creations says again"),
        (r#"{"starter": {}, "Freemium": {}}"#, "starter says again"),
    ] {
        let told = limits(json).unwrap_err();
        assert!(told.starts_with(begins), "{json}: {told}");
    }
}

#[test]
fn actions_answer_to_their_other_names() {
    for (name, action) in [
        ("caption_generator", Action::PostCreations),
        ("posts_ai_assisted", Action::PostCreations),
        ("taxonomy_ai_calls", Action::TaxonomyTags),
        ("watermark_ops", Action::MediaModifications),
    ] {
        assert_eq!(Action::named(name), Some(action));
    }
    assert_eq!(Action::named("chat"), None);
}
