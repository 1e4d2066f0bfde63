//! Files on their way in and out.

use super::room::{Room, answer, data, raised, upload};
use anyhow::Result;
use serde_json::json;
use std::io::{Cursor, Read};
use zip::ZipArchive;

#[tokio::test]
async fn a_file_of_50_mb_goes_in_and_comes_out() -> Result<()> {
    let room = Room::open().await?;
    let bytes: Vec<u8> = (0..=250_u8).cycle().take(50 << 20).collect();
    let arrived =
        data(upload(&room.ann, &room.at("/upload"), "big 文.bin", "in/here", &bytes)).await?;
    assert_eq!(
        arrived,
        json!({"filename": "big 文.bin", "path": "in/here/big 文.bin", "size": 50 << 20})
    );
    let get = room.ann.get(&room.at("/download?file_path=in/here/big%20%E6%96%87.bin"));
    let response = get.send().await?;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment; filename*=utf-8''big%20%E6%96%87.bin"),
        ("x-content-type-options", "nosniff"),
        ("content-length", "52428800"),
    ] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    assert!(response.bytes().await? == bytes);
    room.close().await
}

#[tokio::test]
async fn names_that_are_paths_lose_them() -> Result<()> {
    let room = Room::open().await?;
    for name in ["../../evil.txt", "/etc/evil.txt"] {
        let arrived = data(upload(&room.ann, &room.at("/upload"), name, "", b"x")).await?;
        assert_eq!(arrived["path"], "evil.txt", "{name}");
    }
    assert_eq!(room.paths("").await?, ["evil.txt"]);
    let get = room.ann.get(&room.at("/download?file_path=evil.txt")).send().await?;
    assert_eq!(get.headers()["content-disposition"], "attachment; filename=\"evil.txt\"");
    assert_eq!(get.headers()["content-type"], "text/plain");
    room.close().await
}

#[tokio::test]
async fn a_folder_comes_out_as_a_zip() -> Result<()> {
    let room = Room::open().await?;
    let large = "0123456789".repeat(300_000);
    for (path, text) in
        [("报告/a.txt", "hello"), ("报告/in/größe.md", &large), ("报告x", "no"), ("报告/e", "")]
    {
        room.write(path, text).await?;
    }
    let response = room.ann.get(&room.at("/download?file_path=%E6%8A%A5%E5%91%8A")).send().await?;
    assert_eq!(response.headers()["content-type"], "application/zip");
    let named = "attachment; filename*=utf-8''%E6%8A%A5%E5%91%8A.zip";
    assert_eq!(response.headers()["content-disposition"], named);
    let mut zip = ZipArchive::new(Cursor::new(response.bytes().await?))?;
    let mut names =
        zip.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<Vec<String>>>()?;
    names.sort();
    assert_eq!(names, ["a.txt", "e", "in/größe.md"]);
    let packed = zip.by_name("a.txt")?.last_modified();
    assert!(packed.is_some_and(|at| at.year() >= 2020), "{packed:?}");
    let mut text = String::new();
    zip.by_name("in/größe.md")?.read_to_string(&mut text)?;
    assert!(text == large);
    room.close().await
}

#[tokio::test]
async fn nothing_private_is_downloaded() -> Result<()> {
    let room = Room::open().await?;
    let before = room.node.settled().await?;
    let here = format!("{}/livez", room.node.base_url);
    for (url, why) in [
        (here.as_str(), "URL 不是公网地址"),
        ("http://169.254.169.254/latest/meta-data", "URL 不是公网地址"),
        ("http://localhost:1/", "URL 不是公网地址"),
        ("file:///etc/passwd", "仅支持 http 和 https URL"),
        ("nonsense", "URL 无效"),
    ] {
        let body = json!({"source_url": url, "filename": "x.txt"});
        let fetched = room.ann.post(&room.at("/download_from_url")).json(&body);
        assert_eq!(raised(fetched).await?, format!("下载失败: {why}"), "{url}");
    }
    assert_eq!(room.news(before).await?, Vec::<String>::new());
    room.close().await
}

#[tokio::test]
async fn where_the_operator_allows_it_people_download_from_anywhere() -> Result<()> {
    let room = Room::open_with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await?;
    let url = format!("{}/livez", room.node.base_url);
    let body = json!({"source_url": url, "target_path": "in"});
    let arrived = data(room.ann.post(&room.at("/download_from_url")).json(&body)).await?;
    assert_eq!(arrived["path"], "in/livez");
    // Tools never do: a model chose the URL.
    let fetched = raised(room.tool(&room.ann, "fetch_webpages", json!({"urls": [url]}))).await?;
    assert!(fetched.contains("public address"), "{fetched}");
    room.close().await
}

#[tokio::test]
async fn a_form_without_a_file_is_refused() -> Result<()> {
    let room = Room::open().await?;
    let form =
        "--line\r\ncontent-disposition: form-data; name=\"target_path\"\r\n\r\nx\r\n--line--\r\n";
    let request = room.ann.post(&room.at("/upload"));
    let request = request.header("content-type", "multipart/form-data; boundary=line").body(form);
    let (status, body) = answer(request).await?;
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["body", "file"])));
    room.close().await
}

#[tokio::test]
async fn a_file_is_known_as_one_however_its_name_is_written() -> Result<()> {
    let room = Room::open().await?;
    for (written, kept) in [
        (b"filename=\"gr\xc3\xbc\xc3\x9f.txt\"".as_slice(), "grüß.txt"),
        (b"filename*=UTF-8''%E6%8A%A5%20a.txt", "报 a.txt"),
        (b"filename=\"\xff.txt\"", "\u{fffd}.txt"),
        (b"filename*=utf-8''..%2F..%2Fevil.txt", "evil.txt"),
    ] {
        let parts: [&[u8]; 3] = [
            b"--line\r\ncontent-disposition: form-data; name=\"file\"; ",
            written,
            b"\r\n\r\nx\r\n--line--\r\n",
        ];
        let request = room.ann.post(&room.at("/upload"));
        let request = request.header("content-type", "multipart/form-data; boundary=line");
        let arrived = data(request.body(parts.concat())).await?;
        assert_eq!(arrived["path"], kept);
    }
    room.close().await
}
