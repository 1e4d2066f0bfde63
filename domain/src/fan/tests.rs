use super::*;
use crate::testing::given;

fn account(platform: &str, handle: Option<&str>) -> Account {
    Account {
        platform: platform.to_owned(),
        platform_fan_id: "77".to_owned(),
        handle: handle.map(str::to_owned),
        subscription: None,
    }
}

fn upsert(patch: Patch, accounts: &[Account], memories: &[&str]) -> Command {
    Command::Upsert {
        owner: "ann".into(),
        patch: Box::new(patch),
        accounts: accounts.to_vec(),
        memories: memories.iter().map(|&text| text.to_owned()).collect(),
        now: DateTime::UNIX_EPOCH,
    }
}

fn upserted(name: &str) -> Event {
    let details =
        Details { display_name: name.to_owned(), currency: "USD".to_owned(), ..Details::default() };
    Event::FanUpserted { owner: "ann".into(), details: Box::new(details) }
}

fn linked(account: Account) -> Event {
    Event::FanAccountLinked { account }
}

fn noted(text: &str) -> Event {
    Event::FanMemoryAdded { text: text.to_owned(), noted_at: DateTime::UNIX_EPOCH }
}

#[test]
fn a_fan_is_known_by_an_account_and_the_same_again_is_nothing_new() {
    let bob = || account("x", Some("bob"));
    let wish = || upsert(Patch::default(), &[bob()], &["likes cats", " likes cats "]);
    let facts = || [upserted("bob"), linked(bob()), noted("likes cats")];
    given::<Fan>([]).when(wish()).then(facts());
    given::<Fan>(facts()).when(wish()).then_nothing();
}

#[test]
fn what_is_not_said_stays() {
    let known = [upserted("bob"), linked(account("x", Some("bob")))];
    let patch = Patch { display_name: Some("Bob".to_owned()), ..Patch::default() };
    let other = account("fansly", None);
    given::<Fan>(known)
        .when(upsert(patch, &[account("x", None), other.clone()], &[]))
        .then([upserted("Bob"), linked(other)]);
}

#[test]
fn anothers_fan_does_not_exist() {
    let theirs = |command| match command {
        Command::Upsert { patch, accounts, memories, now, .. } => {
            Command::Upsert { owner: "eve".into(), patch, accounts, memories, now }
        }
        other => other,
    };
    let remember = |by: &str| Command::Remember {
        by: by.into(),
        text: "x".to_owned(),
        now: DateTime::UNIX_EPOCH,
    };
    let known = || given::<Fan>([upserted("bob")]);
    known().when(theirs(upsert(Patch::default(), &[], &[]))).then_refused(Refusal::Unknown);
    known().when(remember("eve")).then_refused(Refusal::Unknown);
    known().when(remember("ann")).then([noted("x")]);
    given::<Fan>([]).when(remember("ann")).then_refused(Refusal::Unknown);
}

#[test]
fn what_does_not_fit_stops_all_of_it() {
    let text = |text: &str| Some(text.to_owned());
    for patch in [
        Patch { display_name: text("a\nb"), ..Patch::default() },
        Patch { currency: text("dollar"), ..Patch::default() },
        Patch { notes: text("a\0b"), ..Patch::default() },
        Patch { aliases: Some(vec!["a".to_owned(); 21]), ..Patch::default() },
    ] {
        let state = Fan::default();
        let refused = state.decide(&upsert(patch.clone(), &[account("x", None)], &[]));
        assert!(matches!(refused, Err(Refusal::Unfit(_))), "{patch:?}");
    }
    let nameless = upsert(Patch::default(), &[], &[]);
    given::<Fan>([]).when(nameless).then_refused(Refusal::Unfit("a fan needs a name"));
    let many: Vec<_> = (0..=MOST_ACCOUNTS).map(|n| account(&format!("p{n}"), None)).collect();
    given::<Fan>([])
        .when(upsert(Patch::default(), &many, &[]))
        .then_refused(Refusal::TooManyAccounts);
}

#[test]
fn money_is_counted_in_hundredths() {
    for (text, minor) in [("0", 0), ("12", 1_200), ("12.5", 1_250), ("0.005", 1), ("0.994", 99)] {
        assert_eq!(Money::parse(text), Some(Money(minor)), "{text}");
    }
    for text in ["", "-1", "1e3", "NaN", "1.2.3", "1,5", "99999999999999999999", ".5"] {
        assert_eq!(Money::parse(text), None, "{text}");
    }
    assert_eq!(Money(1_205).to_string(), "12.05");
}

#[test]
fn stages_are_known_in_all_spellings() {
    for name in ["win-back", "WIN_BACK", "win-back candidate", "winback"] {
        assert_eq!(Stage::named(name), Some(Stage::WinBack), "{name}");
    }
    assert_eq!(Stage::named("gone"), None);
}
