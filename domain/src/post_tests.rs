use super::*;
use crate::testing::given;

const JOB: JobId = JobId(Uuid::from_u128(1));
const OTHER: JobId = JobId(Uuid::from_u128(2));

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
}

fn draft(owner: &str) -> Box<Draft> {
    Box::new(Draft {
        owner: owner.into(),
        platform: "x".to_owned(),
        text: "Hello".to_owned(),
        media: None,
        clip_job: None,
        platform_meta: Map::new(),
    })
}

fn drafted() -> Event {
    Event::PostDrafted(draft("ann"))
}

fn scheduled() -> [Event; 2] {
    [drafted(), Event::PostScheduled { at: at(1) }]
}

fn publishing() -> Vec<Event> {
    scheduled().into_iter().chain([Event::PostPublishing { job: JOB }]).collect()
}

fn failed(error: &str) -> Event {
    Event::PostFailed { error: error.to_owned() }
}

fn publish(hours: i64) -> Command {
    Command::Publish { job: JOB, now: at(hours) }
}

#[test]
fn the_same_wish_twice_is_one_post_and_another_one_is_refused() {
    let wish = |owner: &str, hours| Command::Schedule(draft(owner), Some(at(hours)));
    given::<Post>([]).when(wish("ann", 1)).then(scheduled());
    given::<Post>([]).when(Command::Schedule(draft("ann"), None)).then([drafted()]);
    given::<Post>(publishing()).when(wish("ann", 1)).then_nothing();
    given::<Post>(scheduled()).when(wish("ann", 2)).then_refused(Refusal::Conflict);
    given::<Post>(scheduled()).when(wish("bob", 1)).then_refused(Refusal::Unknown);
}

#[test]
fn a_post_is_handed_over_once_when_its_time_has_come_and_not_a_day_later() {
    given::<Post>(scheduled()).when(publish(0)).then_refused(Refusal::NotDue("scheduled"));
    given::<Post>(scheduled()).when(publish(1)).then([Event::PostPublishing { job: JOB }]);
    given::<Post>(scheduled()).when(publish(24)).then([Event::PostPublishing { job: JOB }]);
    given::<Post>(scheduled()).when(publish(25)).then([failed(MISSED)]);
    given::<Post>(publishing()).when(publish(2)).then_refused(Refusal::NotDue("publishing"));
    given::<Post>([drafted()]).when(publish(2)).then_refused(Refusal::NotDue("draft"));
}

#[test]
fn only_its_own_job_says_what_became_of_it() {
    let succeed = |job| Command::Succeed { job, result: Map::new() };
    let fail = |job| Command::Fail { job, error: "interrupted".to_owned() };
    let published = || Event::PostPublished { result: Map::new() };
    given::<Post>(publishing()).when(succeed(OTHER)).then_refused(Refusal::NotItsJob);
    given::<Post>(publishing()).when(succeed(JOB)).then([published()]);
    given::<Post>(publishing()).when(fail(JOB)).then([failed("interrupted")]);
    let over = publishing().into_iter().chain([published()]);
    given::<Post>(over).when(fail(JOB)).then_refused(Refusal::NotItsJob);
}

#[test]
fn a_job_that_is_asked_for_again_takes_its_own_post_along() {
    let over = || publishing().into_iter().chain([failed("no")]);
    given::<Post>(over()).when(Command::Resume(JOB)).then([Event::PostPublishing { job: JOB }]);
    given::<Post>(over()).when(Command::Resume(OTHER)).then_refused(Refusal::NotItsJob);
    given::<Post>(publishing()).when(Command::Resume(JOB)).then_nothing();
    let missed = scheduled().into_iter().chain([failed(MISSED)]);
    given::<Post>(missed).when(Command::Resume(JOB)).then_refused(Refusal::NotItsJob);
}

#[test]
fn what_is_under_way_is_not_cancelled() {
    given::<Post>([drafted()]).when(Command::Cancel).then([Event::PostCancelled {}]);
    given::<Post>(scheduled()).when(Command::Cancel).then([Event::PostCancelled {}]);
    given::<Post>(publishing()).when(Command::Cancel).then_refused(Refusal::TooLate("publishing"));
    let gone = scheduled().into_iter().chain([Event::PostCancelled {}]);
    given::<Post>(gone).when(Command::Cancel).then_refused(Refusal::Unknown);
    given::<Post>([]).when(Command::Cancel).then_refused(Refusal::Unknown);
}

#[test]
fn what_was_withheld_is_not_handed_over() {
    let withhold = || Command::Withhold { error: "suspended".to_owned() };
    given::<Post>(scheduled()).when(withhold()).then([failed("suspended")]);
    given::<Post>(publishing()).when(withhold()).then_refused(Refusal::NotDue("publishing"));
}
