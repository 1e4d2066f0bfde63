use crate::room::{Room, answer, echo, made, run};
use annals_tests::app::Person;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_their_own_runs_page_by_page() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let first = run(&room.ann, &id, json!({"word": "0"})).await.unwrap();
    for n in 1..23 {
        run(&room.ann, &id, json!({"word": n.to_string()})).await.unwrap();
    }
    let (status, page) =
        answer(room.ann.get(&format!("/api/history?app_uuid={id}"))).await.unwrap();
    assert_eq!(
        (status, &page["count"], page["results"].as_array().unwrap().len()),
        (200, &json!(23), 20)
    );
    assert!(page["previous"].is_null());
    let next = page["next"].as_str().unwrap();
    let path = next.strip_prefix(&room.node.base_url).unwrap();
    let (_, second) = answer(room.ann.get(path)).await.unwrap();
    let oldest = &second["results"][2];
    assert_eq!((&oldest["request_uuid"], &oldest["response_status"]), (&first["_id"], &json!(200)));
    assert!(second["next"].is_null() && oldest.get("request_body").is_none());
    let (status, body) = answer(room.ann.get("/api/history?page=3")).await.unwrap();
    assert_eq!((status, body), (404, json!({"detail": "Invalid page."})));

    let one = format!("/api/history/{}", first["_id"].as_str().unwrap());
    let (_, item) = answer(room.ann.get(&one)).await.unwrap();
    assert_eq!(item["request_body"], json!({"input": {"word": "0"}, "stream": false}));
    assert_eq!(item["response_body"], json!({"output": "Said: 0 "}));
    assert_eq!(item["session_key"], first["session"]["id"]);
    let session = first["session"]["id"].as_str().unwrap();
    let (_, some) =
        answer(room.ann.get(&format!("/api/history?session_key={session}&detail=true")))
            .await
            .unwrap();
    assert_eq!((&some["count"], &some["results"][0]), (&json!(1), &item));
    let (_, sessions) =
        answer(room.ann.get(&format!("/api/history/sessions?app_uuid={id}"))).await.unwrap();
    assert_eq!(sessions["count"], 23);

    assert_eq!(answer(room.ann.get("/api/history?session_key=%00")).await.unwrap().1["count"], 0);
    assert_eq!(answer(room.bob.get("/api/history")).await.unwrap().1["count"], 0);
    assert_eq!(answer(room.bob.get(&one)).await.unwrap().0, 404);
    assert_eq!(
        answer(room.bob.get(&format!("/api/history/sessions?app_uuid={id}"))).await.unwrap().1["count"],
        0
    );
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_thought_of_a_run_is_kept_with_it() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let done = run(&room.ann, &id, json!({"word": "=1+1"})).await.unwrap();
    let path = format!("/api/history/{}", done["_id"].as_str().unwrap());
    let rate = |body: Value| room.ann.request(Method::PATCH, &path).json(&body);
    let (status, item) = answer(rate(json!({"feedback": {"response_quality": 4}}))).await.unwrap();
    assert_eq!(
        (status, &item["feedback"]),
        (201, &json!({"response_quality": "4", "response_feedback": ""}))
    );
    let before = room.node.settled().await.unwrap();
    for (body, expected) in [
        (json!({}), 400),
        (json!({"feedback": {"response_quality": []}}), 400),
        (json!({"feedback": {"response_feedback": "x".repeat(20_000)}}), 400),
        (json!({"feedback": {"response_quality": 4}}), 201),
    ] {
        assert_eq!(answer(rate(body)).await.unwrap().0, expected);
    }
    let foreign = room.bob.request(Method::PATCH, &path).json(&json!({"feedback": {}}));
    assert_eq!(answer(foreign).await.unwrap().0, 404);
    assert_eq!(room.node.settled().await.unwrap(), before);
    let said = json!({"feedback": {"response_feedback": "slow"}});
    assert_eq!(answer(rate(said)).await.unwrap().0, 201);
    let (_, item) = answer(room.ann.get(&path)).await.unwrap();
    assert_eq!(item["feedback"], json!({"response_quality": "4", "response_feedback": "slow"}));

    let table = |who: &Person, body: Value| {
        let request = who.post("/api/history/download").json(&body);
        async move {
            let response = request.send().await.unwrap();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            (response.status().as_u16(), kind, response.text().await.unwrap())
        }
    };
    let (status, kind, text) = table(&room.ann, json!({"app_uuid": id, "count": 5})).await;
    assert_eq!((status, kind.as_str()), (200, "text/csv"));
    let session = done["session"]["id"].as_str().unwrap();
    let created = item["created_at"].as_str().unwrap();
    assert_eq!(
        text,
        format!(
            "Created At,Session,Request,Response\n{created},{session},\"{{\"\"word\"\":\"\"=1+1\"\"}}\",Said: =1+1 \n"
        )
    );
    let form = room.ann.post("/api/history/download");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(format!("app_uuid={id}&count=5")).send().await.unwrap();
    assert_eq!(form.text().await.unwrap(), text);
    let (_, _, none) = table(&room.ann, json!({"app_uuid": id, "before": created})).await;
    assert_eq!(none.lines().count(), 1);
    assert_eq!(table(&room.bob, json!({"app_uuid": id})).await.2.lines().count(), 1);
    for wrong in
        [json!({}), json!({"app_uuid": id, "count": 101}), json!({"app_uuid": id, "before": "x"})]
    {
        assert_eq!(table(&room.ann, wrong).await.0, 400);
    }
    room.close().await.unwrap();
}
