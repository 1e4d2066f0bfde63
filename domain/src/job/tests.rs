use super::*;
use crate::testing::given;
use uuid::Uuid;

const NODE: NodeId = NodeId(Uuid::from_u128(1));
const OTHER: NodeId = NodeId(Uuid::from_u128(2));

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn request(operation: Operation) -> Box<Request> {
    Box::new(Request {
        owner: "ann".into(),
        operation,
        input_file: None,
        input_url: None,
        params: Map::new(),
        profile: None,
        priority: 10,
    })
}

fn enqueued() -> Event {
    Event::JobEnqueued(request(Operation::ResizeImage))
}

fn started(attempt: u32) -> Event {
    Event::JobStarted { node: NODE, attempt }
}

fn fail(node: NodeId, attempt: u32, permanent: bool) -> Command {
    Command::Fail { node, attempt, error: "no".to_owned(), permanent, now: now() }
}

fn again(seconds: i64) -> Event {
    let retry_at = now() + TimeDelta::seconds(seconds);
    Event::JobAttemptFailed { error: "no".to_owned(), retry_at }
}

fn failed(error: &str) -> Event {
    Event::JobFailed { error: error.to_owned() }
}

#[test]
fn the_same_wish_twice_is_one_job_and_another_one_is_refused() {
    let wish = |operation| Command::Enqueue(request(operation));
    given::<Job>([]).when(wish(Operation::ResizeImage)).then([enqueued()]);
    given::<Job>([enqueued(), started(1)]).when(wish(Operation::ResizeImage)).then_nothing();
    given::<Job>([enqueued()]).when(wish(Operation::CropImage)).then_refused(Refusal::Conflict);
    let mut foreign = request(Operation::ResizeImage);
    foreign.owner = "bob".into();
    given::<Job>([enqueued()]).when(Command::Enqueue(foreign)).then_refused(Refusal::Unknown);
}

#[test]
fn a_job_is_tried_three_times_with_growing_pauses() {
    given::<Job>([enqueued(), started(1)]).when(fail(NODE, 1, false)).then([again(2)]);
    let twice = || [enqueued(), started(1), again(2), started(2)];
    given::<Job>(twice()).when(fail(NODE, 2, false)).then([again(4)]);
    let thrice = twice().into_iter().chain([again(4), started(3)]);
    given::<Job>(thrice).when(fail(NODE, 3, false)).then([failed("no")]);
    given::<Job>([enqueued(), started(1)]).when(fail(NODE, 1, true)).then([failed("no")]);
}

#[test]
fn a_pause_is_kept() {
    let start = |seconds| Command::Start { node: NODE, now: now() + TimeDelta::seconds(seconds) };
    let history = || [enqueued(), started(1), again(2)];
    given::<Job>(history()).when(start(1)).then_refused(Refusal::NotWaiting);
    given::<Job>(history()).when(start(2)).then([started(2)]);
}

#[test]
fn only_the_attempt_that_goes_on_says_how_it_went() {
    let complete = |node, attempt| Command::Complete { node, attempt, result: Map::new() };
    let history = || [enqueued(), started(1), again(0), started(2)];
    given::<Job>(history()).when(complete(NODE, 1)).then_refused(Refusal::NotPerformer);
    given::<Job>(history()).when(fail(OTHER, 2, false)).then_refused(Refusal::NotPerformer);
    let completed = Event::JobCompleted { result: Map::new() };
    given::<Job>(history()).when(complete(NODE, 2)).then([completed]);
}

#[test]
fn progress_goes_forward_only_and_is_told_by_the_attempt_that_goes_on() {
    let tell = |attempt, percent| Command::Progress { node: NODE, attempt, percent };
    let told = |percent| Event::JobProgressed { percent };
    given::<Job>([enqueued(), started(1)]).when(tell(1, 40)).then([told(40)]);
    given::<Job>([enqueued(), started(1), told(40)]).when(tell(1, 40)).then_nothing();
    given::<Job>([enqueued(), started(1)]).when(tell(2, 1)).then_refused(Refusal::NotPerformer);
    let anew = [enqueued(), started(1), told(40), again(0), started(2)];
    given::<Job>(anew).when(tell(2, 250)).then([told(100)]);
}

#[test]
fn what_a_dead_node_left_is_done_again_unless_that_could_do_harm() {
    let interrupt = || Command::Interrupt { now: now() };
    let retried = Event::JobAttemptFailed { error: INTERRUPTED.to_owned(), retry_at: now() };
    given::<Job>([enqueued(), started(1)]).when(interrupt()).then([retried]);
    let publish = Event::JobEnqueued(request(Operation::PublishPost));
    given::<Job>([publish, started(1)]).when(interrupt()).then([failed(INTERRUPTED)]);
    given::<Job>([enqueued(), failed("no")]).when(interrupt()).then_nothing();
}

#[test]
fn a_failed_job_is_asked_for_again_and_given_back_once() {
    let history = || [enqueued(), started(1), failed("no")];
    let retried = Event::JobRetried { priority: RETRY_PRIORITY };
    given::<Job>(history()).when(Command::Retry).then([retried]);
    given::<Job>([enqueued()]).when(Command::Retry).then_refused(Refusal::NotFailed("queued"));
    given::<Job>(history()).when(Command::Refund).then([Event::JobRefunded {}]);
    let refunded = history().into_iter().chain([Event::JobRefunded {}]);
    given::<Job>(refunded).when(Command::Refund).then_nothing();
}
