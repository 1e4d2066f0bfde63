use super::*;
use crate::testing::given;

fn release(notes: &str) -> Release {
    let artifact = Artifact {
        platform: "darwin-aarch64".into(),
        installer_url: Some("https://example.org/a.dmg".into()),
        updater_url: Some("https://example.org/a.app.tar.gz".into()),
        updater_signature: Some("c2ln".into()),
    };
    let published_at = DateTime::UNIX_EPOCH;
    Release { notes: notes.into(), published_at, artifacts: vec![artifact] }
}

fn with(change: impl FnOnce(&mut Artifact)) -> Command {
    let mut release = release("");
    release.artifacts.first_mut().map(change);
    Command::Publish(release)
}

fn published() -> Event {
    Event::VersionPublished { release: release("one") }
}

#[test]
fn a_version_is_published_once() {
    given::<Offer>([]).when(Command::Publish(release("one"))).then([published()]);
    given::<Offer>([published()])
        .when(Command::Publish(release("one")))
        .then_refused(Refusal::Exists);
}

#[test]
fn an_import_replaces_and_repeating_it_changes_nothing() {
    let replaced = Event::VersionReplaced { release: release("two") };
    given::<Offer>([]).when(Command::Import(release("one"))).then([published()]);
    given::<Offer>([published()]).when(Command::Import(release("one"))).then_nothing();
    given::<Offer>([published()]).when(Command::Import(release("two"))).then([replaced]);
}

#[test]
fn what_is_withdrawn_can_be_published_anew() {
    let history = || [published(), Event::VersionWithdrawn {}];
    given::<Offer>([published()]).when(Command::Withdraw).then([Event::VersionWithdrawn {}]);
    given::<Offer>(history()).when(Command::Withdraw).then_refused(Refusal::Unknown);
    given::<Offer>([]).when(Command::Withdraw).then_refused(Refusal::Unknown);
    given::<Offer>(history()).when(Command::Publish(release("one"))).then([published()]);
}

#[test]
fn urls_lead_into_the_web() {
    for url in ["javascript:alert(1)", "file:///etc/passwd", "https://", "https:///x", "a b", ""] {
        let refused = |command| given::<Offer>([]).when(command).then_refused(Refusal::BadUrl);
        refused(with(|artifact| artifact.installer_url = Some(url.into())));
        refused(with(|artifact| artifact.updater_url = Some(url.into())));
    }
    let long = format!("https://example.org/{}", "x".repeat(MAX_URL));
    given::<Offer>([])
        .when(with(|artifact| artifact.updater_url = Some(long)))
        .then_refused(Refusal::BadUrl);
}

#[test]
fn everything_has_a_limit() {
    let refused = |command, why| given::<Offer>([]).when(command).then_refused(why);
    refused(Command::Publish(release(&"x".repeat(MAX_NOTES + 1))), Refusal::LongNotes);
    let artifacts = vec![Artifact { platform: "p".into(), ..Artifact::default() }; 65];
    refused(Command::Publish(Release { artifacts, ..release("") }), Refusal::ManyArtifacts);
    for platform in ["", "linux x86", "p/../q", &"p".repeat(65)] {
        refused(with(|artifact| artifact.platform = platform.into()), Refusal::BadPlatform);
    }
    let signature = "x".repeat(MAX_SIGNATURE + 1);
    refused(with(|a| a.updater_signature = Some(signature)), Refusal::LongSignature);
}

#[test]
fn versions_are_short_and_plain() {
    for text in ["1.0.0", "v2", "2026.1", "1.0.0-beta.1+build_5"] {
        assert!(Version::parse(text).is_ok(), "{text}");
    }
    let long = "1".repeat(65);
    for text in ["", ".1", "-1", "1/2", "1 0", "../x", "一", "1\0", "latest", "check", &long] {
        assert_eq!(Version::parse(text), Err(Refusal::BadVersion), "{text:?}");
    }
}

#[test]
fn versions_rank_as_semantic_versioning_has_it() -> Result<(), Refusal> {
    let ordered = [
        "nightly",
        "0.9.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "v1.0.1",
        "1.2",
        "1.10.0",
        "10.0.0",
    ];
    let ranks: Result<Vec<_>, _> =
        ordered.iter().map(|text| Version::parse(text).map(|version| version.rank())).collect();
    let ranks = ranks?;
    assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:#?}");
    assert_eq!(Version::parse("1.0.0+a")?.rank(), Version::parse("1.0.0+b")?.rank());
    Ok(())
}
