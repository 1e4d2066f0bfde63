use crate::room::{Room, answer, echo, made, run};
use serde_json::json;

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
