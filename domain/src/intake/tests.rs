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
    }
}

fn held(document: &str, name: &str, digit: &str) -> Present {
    Present { document: document.into(), name: name.into(), blob: hash(digit), failed: false }
}

fn accept(files: &[File], present: &[Present], replace: bool) -> Command {
    let (files, present) = (files.to_vec(), present.to_vec());
    Command::Accept { owner: "ann".into(), task: "t".into(), files, replace, present, seen: 0 }
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
    given::<Intake>([]).when(accept(&files, &[], false)).then([accepted(&files, &[])]);
    let bad = [file("1", "a", "a"), file("2", "", "b")];
    given::<Intake>([]).when(accept(&bad, &[], false)).then_refused(Refusal::BadName);
    given::<Intake>([]).when(accept(&[], &[], false)).then_refused(Refusal::BadCount);
    let bad = [file("1", "a", "/")];
    given::<Intake>([]).when(accept(&bad, &[], false)).then_refused(Refusal::BadBlob);
}

#[test]
fn the_same_file_is_not_taken_twice() {
    let again = accept(&[file("2", "b", "a")], &[held("1", "a", "a")], false);
    given::<Intake>([]).when(again).then_refused(duplicate("b", "a"));
    let both = accept(&[file("1", "a", "a"), file("2", "b", "a")], &[], false);
    given::<Intake>([]).when(both).then_refused(duplicate("b", "a"));
}

#[test]
fn what_failed_or_is_empty_may_come_again() {
    let files = [file("2", "b", "a")];
    let failed = Present { failed: true, ..held("1", "a", "a") };
    given::<Intake>([]).when(accept(&files, &[failed], false)).then([accepted(&files, &[])]);
    let empty = |id| File { size: 0, ..file(id, "b", "a") };
    let files = [empty("2"), empty("3")];
    given::<Intake>([])
        .when(accept(&files, &[held("1", "a", "a")], false))
        .then([accepted(&files, &[])]);
}

#[test]
fn documents_of_the_same_name_give_way_when_asked() {
    let files = [file("3", "a", "c"), file("4", "d", "b")];
    let present = [held("1", "a", "a"), held("2", "b", "b")];
    given::<Intake>([]).when(accept(&files, &present, true)).then([accepted(&files, &["1"])]);
    let twice = [file("3", "a", "c"), file("4", "a", "c")];
    given::<Intake>([]).when(accept(&twice, &[], true)).then([accepted(&twice[..1], &[])]);
}

#[test]
fn an_upload_of_the_same_moment_counts() {
    let first = [file("1", "a", "a")];
    let history = || given::<Intake>([accepted(&first, &[])]);
    let same = accept(&[file("2", "b", "a")], &[], false);
    history().when(same).then_refused(duplicate("b", "a"));
    let other = [file("2", "a", "b")];
    history().when(accept(&other, &[], true)).then([accepted(&other, &["1"])]);
    // One that the look-up reflects does not: its document may be gone again.
    let Command::Accept { owner, task, files, replace, present, .. } = accept(&first, &[], false);
    let later = Command::Accept { owner, task, files, replace, present, seen: 1 };
    history().when(later).then([accepted(&first, &[])]);
}
