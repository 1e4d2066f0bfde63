use super::*;
use crate::testing::given;

fn hash(digit: &str) -> BlobHash {
    BlobHash(digit.repeat(64))
}

fn file(document: &str, name: &str, digit: &str) -> File {
    File {
        document: document.into(),
        name: name.into(),
        blob: hash(digit),
        size: 3,
        media_type: String::new(),
        metadata: Labels::default(),
        origin: Origin::File,
    }
}

fn held(document: &str, name: &str, digit: &str) -> Present {
    Present { document: document.into(), name: name.into(), blob: hash(digit), failed: false }
}

fn accept(files: &[File], present: &[Present], twins: Twins) -> Command {
    let (files, present) = (files.to_vec(), present.to_vec());
    Command::Accept { owner: "ann".into(), task: "t".into(), files, twins, present, seen: 0 }
}

fn accepted(files: &[File], replaced: &[&str]) -> Event {
    let replaced = replaced.iter().map(|id| DocumentId::from(*id)).collect();
    Event::FilesAccepted { owner: "ann".into(), task: "t".into(), files: files.to_vec(), replaced }
}

fn duplicate(name: &str, other: &str) -> Refusal {
    Refusal::Duplicate { name: name.into(), other: other.into() }
}

#[test]
fn an_upload_is_taken_as_a_whole() {
    let files = [file("1", "a", "a"), file("2", "b", "b")];
    given::<Intake>([]).when(accept(&files, &[], Twins::Refuse)).then([accepted(&files, &[])]);
    let bad = [file("1", "a", "a"), file("2", "", "b")];
    given::<Intake>([]).when(accept(&bad, &[], Twins::Refuse)).then_refused(Refusal::BadName);
    given::<Intake>([]).when(accept(&[], &[], Twins::Refuse)).then_refused(Refusal::BadCount);
    let bad = [file("1", "a", "/")];
    given::<Intake>([]).when(accept(&bad, &[], Twins::Refuse)).then_refused(Refusal::BadBlob);
}

#[test]
fn the_same_file_is_not_taken_twice() {
    let again = accept(&[file("2", "b", "a")], &[held("1", "a", "a")], Twins::Refuse);
    given::<Intake>([]).when(again).then_refused(duplicate("b", "a"));
    let both = accept(&[file("1", "a", "a"), file("2", "b", "a")], &[], Twins::Refuse);
    given::<Intake>([]).when(both).then_refused(duplicate("b", "a"));
}

#[test]
fn what_failed_or_is_empty_may_come_again() {
    let files = [file("2", "b", "a")];
    let failed = Present { failed: true, ..held("1", "a", "a") };
    given::<Intake>([])
        .when(accept(&files, &[failed], Twins::Refuse))
        .then([accepted(&files, &[])]);
    let empty = |id| File { size: 0, ..file(id, "b", "a") };
    let files = [empty("2"), empty("3")];
    given::<Intake>([])
        .when(accept(&files, &[held("1", "a", "a")], Twins::Refuse))
        .then([accepted(&files, &[])]);
}

#[test]
fn documents_of_the_same_name_give_way_when_asked() {
    let files = [file("3", "a", "c"), file("4", "d", "b")];
    let present = [held("1", "a", "a"), held("2", "b", "b")];
    given::<Intake>([])
        .when(accept(&files, &present, Twins::Replace))
        .then([accepted(&files, &["1"])]);
    let twice = [file("3", "a", "c"), file("4", "a", "c")];
    given::<Intake>([])
        .when(accept(&twice, &[], Twins::Replace))
        .then([accepted(&twice[..1], &[])]);
}

#[test]
fn an_upload_of_the_same_moment_counts() {
    let first = [file("1", "a", "a")];
    let history = || given::<Intake>([accepted(&first, &[])]);
    let same = accept(&[file("2", "b", "a")], &[], Twins::Refuse);
    history().when(same).then_refused(duplicate("b", "a"));
    let other = [file("2", "a", "b")];
    history().when(accept(&other, &[], Twins::Replace)).then([accepted(&other, &["1"])]);
    // One that the look-up reflects does not: its document may be gone again.
    let Command::Accept { owner, task, files, twins, present, .. } =
        accept(&first, &[], Twins::Refuse);
    let later = Command::Accept { owner, task, files, twins, present, seen: 1 };
    history().when(later).then([accepted(&first, &[])]);
}

#[test]
fn where_twins_stand_beside_each_other_nothing_is_refused_or_replaced() {
    let files = [file("2", "a", "a"), file("3", "a", "a")];
    let again = accept(&files, &[held("1", "a", "a")], Twins::Keep);
    given::<Intake>([accepted(&files[..1], &[])]).when(again).then([accepted(&files, &[])]);
}

#[test]
fn metadata_and_addresses_have_limits() {
    let labels = |text: &str| {
        Labels([("md_k".to_owned(), crate::document::Label::Text(text.to_owned()))].into())
    };
    let described = File { metadata: labels("v"), ..file("1", "a", "a") };
    given::<Intake>([])
        .when(accept(std::slice::from_ref(&described), &[], Twins::Keep))
        .then([accepted(&[described], &[])]);
    let bad = File { metadata: labels("\0"), ..file("1", "a", "a") };
    given::<Intake>([]).when(accept(&[bad], &[], Twins::Keep)).then_refused(Refusal::BadMetadata);
    let url = "x".repeat(MAX_URL + 1);
    let bad = File { origin: Origin::Page { url }, ..file("1", "a", "a") };
    given::<Intake>([]).when(accept(&[bad], &[], Twins::Keep)).then_refused(Refusal::BadUrl);
}
