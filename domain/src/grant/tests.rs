use super::*;
use crate::testing::given;
use chrono::TimeDelta;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap_or_default()
}

fn token(name: &str, ends: i64) -> Token {
    Token { digest: name.to_owned(), expires_at: at(ends) }
}

fn terms() -> Terms {
    Terms {
        client: "app".into(),
        user: "ann".into(),
        generation: Some(1),
        scope: scope("openid email"),
        redirect_uri: "https://app.example/cb".to_owned(),
        redirect_named: true,
        challenge: Some("E9Melhoa".to_owned()),
        code: "code".to_owned(),
        expires_at: at(300),
    }
}

fn issued() -> Event {
    Event::CodeIssued(terms())
}

fn exchange() -> Exchange {
    Exchange {
        code: "code".to_owned(),
        client: "app".into(),
        redirect_uri: Some("https://app.example/cb".to_owned()),
        challenge: Some("E9Melhoa".to_owned()),
        now: at(10),
        access: token("a1", 3_610),
        refresh: Some(token("r1", 9_000)),
    }
}

fn tokens(serial: u32, words: &str, now: i64) -> Tokens {
    Tokens {
        serial,
        scope: scope(words),
        issued_at: at(now),
        access: token(&format!("a{serial}"), 3_600 + now),
        refresh: Some(token(&format!("r{serial}"), 9_000)),
    }
}

fn exchanged() -> Event {
    Event::CodeExchanged(tokens(1, "openid email", 10))
}

fn refresh(serial: u32) -> Refresh {
    Refresh {
        token: format!("r{serial}"),
        serial,
        client: "app".into(),
        scope: None,
        now: at(20),
        access: token(&format!("a{}", serial + 1), 3_620),
        next: token(&format!("r{}", serial + 1), 9_000),
    }
}

fn refreshed() -> Event {
    Event::TokensRefreshed(tokens(2, "openid email", 20))
}

fn revoked(reason: Revocation) -> Event {
    Event::GrantRevoked { reason }
}

fn burnt(flaw: Flaw) -> Event {
    Event::CodeBurnt { flaw }
}

#[test]
fn a_code_is_exchanged_once_and_a_second_time_costs_the_tokens() {
    let again = || Command::Exchange(exchange());
    given::<Grant>([issued()]).when(again()).then([exchanged()]);
    let replayed = revoked(Revocation::CodeReplayed);
    given::<Grant>([issued(), exchanged()]).when(again()).then([replayed.clone()]);
    given::<Grant>([issued(), exchanged(), refreshed()]).when(again()).then([replayed.clone()]);
    given::<Grant>([issued(), exchanged(), replayed]).when(again()).then_refused(Refusal::Ended);
}

#[test]
fn whatever_is_wrong_with_an_exchange_burns_the_code() {
    let cases = [
        (Flaw::WrongClient, Exchange { client: "other".into(), ..exchange() }),
        (Flaw::WrongRedirect, Exchange { redirect_uri: None, ..exchange() }),
        (
            Flaw::WrongRedirect,
            Exchange { redirect_uri: Some("https://app.example/".to_owned()), ..exchange() },
        ),
        (Flaw::VerifierMissing, Exchange { challenge: None, ..exchange() }),
        (Flaw::WrongVerifier, Exchange { challenge: Some("other".to_owned()), ..exchange() }),
    ];
    for (flaw, wrong) in cases {
        given::<Grant>([issued()]).when(Command::Exchange(wrong)).then([burnt(flaw)]);
        let right = Command::Exchange(exchange());
        given::<Grant>([issued(), burnt(flaw)]).when(right).then_refused(Refusal::Ended);
    }
}

#[test]
fn a_verifier_needs_a_challenge_and_a_place_not_named_need_not_be_repeated() {
    let plain = Terms { challenge: None, redirect_named: false, ..terms() };
    let given = || given::<Grant>([Event::CodeIssued(plain.clone())]);
    given().when(Command::Exchange(exchange())).then([burnt(Flaw::VerifierUnasked)]);
    let bare = Exchange { challenge: None, redirect_uri: None, ..exchange() };
    given().when(Command::Exchange(bare)).then([exchanged()]);
    let repeated = Exchange { challenge: None, ..exchange() };
    given().when(Command::Exchange(repeated)).then([exchanged()]);
}

#[test]
fn whoever_does_not_know_the_code_changes_nothing() {
    let guessed = Exchange { code: "other".to_owned(), ..exchange() };
    given::<Grant>([issued()])
        .when(Command::Exchange(guessed.clone()))
        .then_refused(Refusal::Unknown);
    given::<Grant>([issued(), exchanged()])
        .when(Command::Exchange(guessed))
        .then_refused(Refusal::Unknown);
    let burn = Command::Burn("other".to_owned(), Flaw::Unproven);
    given::<Grant>([issued()]).when(burn).then_refused(Refusal::Unknown);
    given::<Grant>([]).when(Command::Exchange(exchange())).then_refused(Refusal::Unknown);
}

#[test]
fn a_code_that_came_without_proof_is_burnt() {
    let burn = || Command::Burn("code".to_owned(), Flaw::Unproven);
    given::<Grant>([issued()]).when(burn()).then([burnt(Flaw::Unproven)]);
    let replayed = revoked(Revocation::CodeReplayed);
    given::<Grant>([issued(), exchanged()]).when(burn()).then([replayed]);
}

#[test]
fn an_old_code_is_worth_nothing() {
    let late = Exchange { now: at(300), ..exchange() };
    given::<Grant>([issued()]).when(Command::Exchange(late)).then_refused(Refusal::Expired);
}

#[test]
fn a_refresh_token_works_once_and_a_second_time_ends_the_family() {
    let again = || Command::Refresh(refresh(1));
    given::<Grant>([issued(), exchanged()]).when(again()).then([refreshed()]);
    let replayed = revoked(Revocation::RefreshReplayed);
    let history = [issued(), exchanged(), refreshed()];
    given::<Grant>(history.clone()).when(again()).then([replayed.clone()]);
    let newest = Command::Refresh(refresh(2));
    given::<Grant>(history.into_iter().chain([replayed])).when(newest).then_refused(Refusal::Ended);
}

#[test]
fn a_refresh_may_narrow_and_the_next_one_may_have_all_again() {
    let wish = |serial, words| Refresh { scope: Some(scope(words)), ..refresh(serial) };
    let narrowed = Event::TokensRefreshed(tokens(2, "email", 20));
    let history = || given::<Grant>([issued(), exchanged()]);
    history().when(Command::Refresh(wish(1, "email"))).then([narrowed.clone()]);
    let wider = Command::Refresh(wish(1, "email profile"));
    history().when(wider).then_refused(Refusal::ScopeTooWide);
    given::<Grant>([issued(), exchanged(), narrowed])
        .when(Command::Refresh(refresh(2)))
        .then([Event::TokensRefreshed(tokens(3, "openid email", 20))]);
}

#[test]
fn refreshing_needs_the_same_client_and_a_token_that_counts() {
    let history = || given::<Grant>([issued(), exchanged()]);
    let stolen = Refresh { client: "other".into(), ..refresh(1) };
    history().when(Command::Refresh(stolen)).then_refused(Refusal::WrongClient);
    let late = Refresh { now: at(9_000), ..refresh(1) };
    history().when(Command::Refresh(late)).then_refused(Refusal::Expired);
    history().when(Command::Refresh(refresh(2))).then_refused(Refusal::Unknown);
    given::<Grant>([issued()]).when(Command::Refresh(refresh(1))).then_refused(Refusal::Unknown);
    let only_access = Tokens { refresh: None, ..tokens(1, "openid email", 10) };
    given::<Grant>([issued(), Event::CodeExchanged(only_access)])
        .when(Command::Refresh(refresh(1)))
        .then_refused(Refusal::Unknown);
}

#[test]
fn revoking_ends_it_for_good_and_once() {
    let ended = revoked(Revocation::ByClient);
    given::<Grant>([issued()]).when(Command::Revoke).then([ended.clone()]);
    given::<Grant>([issued(), exchanged()]).when(Command::Revoke).then([ended.clone()]);
    given::<Grant>([issued(), ended]).when(Command::Revoke).then_nothing();
    given::<Grant>([]).when(Command::Revoke).then_refused(Refusal::Unknown);
}

#[test]
fn an_id_is_given_once() {
    let issue = || Command::Issue(Box::new(terms()));
    given::<Grant>([]).when(issue()).then([issued()]);
    given::<Grant>([issued()]).when(issue()).then_refused(Refusal::AlreadyIssued);
}

fn fold(events: &[Event]) -> Grant {
    events.iter().fold(Grant::default(), Grant::evolve)
}

#[test]
fn first_and_last_event_are_the_whole_state() {
    let all = [
        vec![issued()],
        vec![issued(), burnt(Flaw::WrongVerifier)],
        vec![issued(), exchanged(), refreshed(), Event::TokensRefreshed(tokens(3, "email", 30))],
        vec![issued(), exchanged(), refreshed(), revoked(Revocation::ByClient)],
    ];
    for events in all {
        let ends = [events[0].clone(), events[events.len() - 1].clone()];
        assert_eq!(fold(&events), fold(&ends));
    }
}

#[test]
fn only_the_newest_tokens_count_and_only_for_their_time() {
    let grant = fold(&[issued(), exchanged(), refreshed()]);
    assert!(grant.access("a2", at(3_619)).is_some());
    assert!(grant.access("a2", at(3_620)).is_none());
    assert!(grant.access("a1", at(20)).is_none());
    assert!(grant.refresh("r2", at(8_999)).is_some());
    assert!(grant.refresh("r2", at(9_000)).is_none());
    assert!(grant.refresh("r1", at(20)).is_none());
    assert!(grant.access("r2", at(20)).is_none());
    assert!(fold(&[issued()]).access("code", at(20)).is_none());
}
