use super::*;
use image::{DynamicImage, ImageFormat, RgbImage};
use std::io::Cursor;

fn picture() -> Vec<u8> {
    let image = RgbImage::from_fn(64, 32, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut bytes = Vec::new();
    let written =
        DynamicImage::from(image).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png);
    assert!(written.is_ok());
    bytes
}

fn work(operation: Operation, params: Value) -> Result<Output, Failed> {
    let params = params.as_object().cloned().unwrap_or_default();
    pictures::work(operation, &picture(), Some(&picture()), Params(&params))
}

fn sides(output: Result<Output, Failed>) -> Option<(u32, u32)> {
    let decoded = image::load_from_memory(&output.ok()?.bytes).ok()?;
    Some((decoded.width(), decoded.height()))
}

#[test]
fn pictures_become_what_was_asked_for() {
    use Operation as O;
    assert_eq!(sides(work(O::ResizeImage, json!({"width": 16}))), Some((16, 8)));
    let exact = json!({"width": 10, "height": 10, "fit": "exact"});
    assert_eq!(sides(work(O::ResizeImage, exact)), Some((10, 10)));
    let part = json!({"x": 4, "y": 4, "width": 8, "height": 6});
    assert_eq!(sides(work(O::CropImage, part)), Some((8, 6)));
    for format in ["png", "jpeg", "webp", "gif"] {
        let converted = work(O::ConvertImage, json!({"format": format}));
        let media_type = converted.as_ref().map(|output| output.media_type);
        assert_eq!(media_type, Ok(format!("image/{format}").as_str()));
        assert_eq!(sides(converted), Some((64, 32)), "{format}");
    }
    assert_eq!(sides(work(O::ApplyWatermark, json!({"watermarkFileId": "x"}))), Some((64, 32)));
}

#[test]
fn an_invisible_mark_is_found_again() {
    let text = "made by ann";
    let marked = work(Operation::ApplySteganographicWatermark, json!({"text": text}));
    let pixels = marked.ok().and_then(|marked| image::load_from_memory(&marked.bytes).ok());
    let pixels = pixels.map(|picture| picture.to_rgb8().into_raw()).unwrap_or_default();
    let byte = |at: usize| pixels[at * 8..].iter().take(8).fold(0_u8, |byte, c| byte << 1 | c & 1);
    let length = u32::from_be_bytes([byte(0), byte(1), byte(2), byte(3)]) as usize;
    let found: Vec<u8> = (4..4 + length).map(byte).collect();
    assert_eq!(std::str::from_utf8(&found), Ok(text));
}

#[test]
fn a_wish_that_makes_no_sense_fails_for_good() {
    use Operation as O;
    for (operation, params) in [
        (O::ResizeImage, json!({})),
        (O::ResizeImage, json!({"width": 0})),
        (O::ResizeImage, json!({"width": "wide"})),
        (O::CropImage, json!({"x": 60, "width": 8, "height": 1})),
        (O::ConvertImage, json!({"format": "exe"})),
        (O::ApplySteganographicWatermark, json!({"text": "x".repeat(3_000)})),
    ] {
        assert!(work(operation, params.clone()).is_err_and(|failed| failed.permanent), "{params}");
    }
    let none = Params(&Map::new()).0.clone();
    let rubbish = pictures::work(O::StripMetadata, b"GIF89a rubbish", None, Params(&none));
    assert!(rubbish.is_err_and(|failed| failed.permanent));
}
