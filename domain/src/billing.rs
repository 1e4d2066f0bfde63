//! Subscriptions and the billing cycles that follow from them. All times are UTC.

use chrono::{DateTime, Datelike, Months, NaiveTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of a subscription tier: lower case, aliases resolved. What a tier allows is configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Tier(String);

impl Tier {
    /// The tier everybody starts in.
    pub fn starter() -> Self {
        Self("starter".to_owned())
    }

    /// The tier of this name; `freemium` is another word for `starter`, `elite` for `studio`.
    pub fn named(name: &str) -> Self {
        let name = name.trim().to_lowercase();
        Self(match name.as_str() {
            "freemium" => "starter".to_owned(),
            "elite" => "studio".to_owned(),
            _ => name,
        })
    }

    /// The canonical name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Tier {
    fn from(name: String) -> Self {
        Self::named(&name)
    }
}

impl From<Tier> for String {
    fn from(tier: Tier) -> Self {
        tier.0
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a subscription begins a new cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// On the same day of each month.
    Monthly,
    /// On the same day of each year.
    Annual,
}

impl Period {
    fn months(self) -> i64 {
        match self {
            Self::Monthly => 1,
            Self::Annual => 12,
        }
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Annual => "annual",
        }
    }

    /// The period of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Monthly, Self::Annual].into_iter().find(|period| period.as_str() == name)
    }
}

/// What a subscriber's cycles hang on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// How often a cycle begins.
    pub period: Period,
    /// The first cycle's beginning; every later one is counted from here.
    pub start: DateTime<Utc>,
}

/// One billing cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// First instant that belongs to it.
    pub start: DateTime<Utc>,
    /// First instant that belongs to the next one.
    pub end: DateTime<Utc>,
}

impl Cycle {
    /// The cycle that holds `now`. Without a subscription these are calendar months. `None` when the calendar has no
    /// such date.
    ///
    /// A subscription begun on the 29th to 31st renews on the last day of a shorter month; each boundary is counted
    /// from the original day, so a short month moves nothing for ever.
    pub fn at(now: DateTime<Utc>, subscription: Option<&Subscription>) -> Option<Self> {
        let (anchor, step) = match subscription {
            Some(Subscription { period, start }) => (*start, period.months()),
            None => (month_start(now)?, 1),
        };
        let apart = months(now) - months(anchor);
        let mut count = apart.div_euclid(step);
        // Within the month of the boundary the day decides.
        if boundary(anchor, count * step)? > now {
            count -= 1;
        }
        let start = boundary(anchor, count * step)?;
        let end = boundary(anchor, (count + 1) * step)?;
        Some(Self { start, end })
    }
}

fn months(at: DateTime<Utc>) -> i64 {
    i64::from(at.year()) * 12 + i64::from(at.month0())
}

fn month_start(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Some(Utc.from_utc_datetime(&at.date_naive().with_day(1)?.and_time(NaiveTime::MIN)))
}

fn boundary(anchor: DateTime<Utc>, months: i64) -> Option<DateTime<Utc>> {
    let distance = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 {
        anchor.checked_sub_months(distance)
    } else {
        anchor.checked_add_months(distance)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn cycle(period: Period, start: &str, now: &str) -> (String, String) {
        let subscription = Subscription { period, start: time(start) };
        let cycle = Cycle::at(time(now), Some(&subscription)).unwrap();
        (cycle.start.to_rfc3339(), cycle.end.to_rfc3339())
    }

    fn span(start: &str, end: &str) -> (String, String) {
        (time(start).to_rfc3339(), time(end).to_rfc3339())
    }

    #[test]
    fn a_monthly_cycle_keeps_day_and_time_of_day() {
        assert_eq!(
            cycle(Period::Monthly, "2026-01-15T10:30:00Z", "2026-11-15T10:29:59Z"),
            span("2026-10-15T10:30:00Z", "2026-11-15T10:30:00Z")
        );
    }

    #[test]
    fn the_boundary_itself_belongs_to_the_new_cycle() {
        assert_eq!(
            cycle(Period::Monthly, "2026-01-15T10:30:00Z", "2026-11-15T10:30:00Z"),
            span("2026-11-15T10:30:00Z", "2026-12-15T10:30:00Z")
        );
    }

    #[test]
    fn the_31st_clamps_in_short_months_and_does_not_drift() {
        assert_eq!(
            cycle(Period::Monthly, "2026-01-31T00:00:00Z", "2026-03-01T00:00:00Z"),
            span("2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z")
        );
        assert_eq!(
            cycle(Period::Monthly, "2026-01-31T00:00:00Z", "2026-04-30T12:00:00Z"),
            span("2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z")
        );
    }

    #[test]
    fn a_leap_day_subscription_renews_on_the_28th_in_common_years() {
        assert_eq!(
            cycle(Period::Annual, "2024-02-29T08:00:00Z", "2027-02-28T08:00:00Z"),
            span("2027-02-28T08:00:00Z", "2028-02-29T08:00:00Z")
        );
    }

    #[test]
    fn an_annual_cycle_before_its_day_began_last_year() {
        assert_eq!(
            cycle(Period::Annual, "2020-06-10T00:00:00Z", "2026-06-09T23:59:59Z"),
            span("2025-06-10T00:00:00Z", "2026-06-10T00:00:00Z")
        );
    }

    #[test]
    fn a_subscription_that_starts_in_the_future_has_cycles_before_it_too() {
        assert_eq!(
            cycle(Period::Monthly, "2027-03-31T00:00:00Z", "2026-11-21T00:00:00Z"),
            span("2026-10-31T00:00:00Z", "2026-11-30T00:00:00Z")
        );
    }

    #[test]
    fn without_a_subscription_calendar_months_count() {
        let cycle = Cycle::at(time("2026-12-31T23:59:59Z"), None).unwrap();
        assert_eq!(cycle.start, time("2026-12-01T00:00:00Z"));
        assert_eq!(cycle.end, time("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn dates_off_the_calendar_have_no_cycle() {
        assert_eq!(Cycle::at(DateTime::<Utc>::MAX_UTC, None), None);
    }

    #[test]
    fn old_tier_names_are_understood() {
        assert_eq!(Tier::named(" Freemium "), Tier::starter());
        assert_eq!(Tier::named("elite").as_str(), "studio");
        assert_eq!(Tier::named("Pro").as_str(), "pro");
    }
}
