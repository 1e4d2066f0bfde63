//! Work on pictures, in this process, within limits of size and memory.

use super::{Output, params::Params};
use crate::reactors::queue::Failed;
use bytes::Bytes;
use domain::job::Operation;
use image::{
    DynamicImage, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder, imageops,
    imageops::FilterType,
};
use serde_json::{Map, json};
use std::io::Cursor;

/// Longest side of a picture, in pixels.
const SIDE: u32 = 16_384;
/// Most memory of a decoded picture.
const MEMORY: u64 = 512 << 20;
/// Bytes of an invisible mark.
const MARK: usize = 4_096;
/// Part of the width that a visible mark takes.
pub(super) const MARK_WIDTH: u32 = 5;
/// What is told of a place for the mark that is none.
pub(super) const PLACES: &str =
    "position has to be bottom-right, bottom-left, top-left, top-right or center";

/// Whether these bytes look like a picture.
pub(super) fn is_picture(bytes: &[u8]) -> bool {
    image::guess_format(bytes).is_ok()
}

/// The mark as PNG, whatever it was: a film's program is given nothing else to read.
pub(super) async fn plain(mark: Bytes) -> Result<Bytes, Failed> {
    let work = move || {
        let (picture, _) = decode(&mark)?;
        let none = Map::new();
        encode(&picture, ImageFormat::Png, Params(&none)).map(|output| output.bytes)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Failed::for_good("the mark cannot be read"))?
}

/// What a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureType {
    /// For browsers.
    pub media_type: &'static str,
    /// For names.
    pub extension: &'static str,
}

/// What kind of picture browsers and people are shown this is, by its bytes and by nothing that was said of it; `None` of
/// anything else, and of a picture larger than [`SIDE`].
pub fn picture_type(bytes: &[u8]) -> Option<PictureType> {
    let kind = |media_type, extension| Some(PictureType { media_type, extension });
    let format = image::guess_format(bytes).ok()?;
    let known = match format {
        ImageFormat::Png => kind("image/png", "png"),
        ImageFormat::Jpeg => kind("image/jpeg", "jpg"),
        ImageFormat::WebP => kind("image/webp", "webp"),
        _ => None,
    };
    // Magic bytes alone are no picture: something has to say how large it is.
    let (width, height) =
        ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok()?;
    known.filter(|_| (1..=SIDE).contains(&width) && (1..=SIDE).contains(&height))
}

/// Does the work. Metadata of the original is never copied.
pub(super) fn work(
    operation: Operation,
    bytes: &[u8],
    mark: Option<&[u8]>,
    params: Params<'_>,
) -> Result<Output, Failed> {
    let (picture, format) = decode(bytes)?;
    match operation {
        Operation::ConvertImage => {
            let name = params.text("format").ok_or_else(|| missing("format"))?;
            let format = named(&name)
                .ok_or_else(|| Failed::for_good("format has to be png, jpeg, webp or gif"))?;
            encode(&picture, format, params)
        }
        Operation::ResizeImage => {
            let width = params.number("width", 1, SIDE)?;
            let height = params.number("height", 1, SIDE)?;
            let exact = matches!(params.text("fit").as_deref(), Some("exact" | "fill"));
            let resized = match (width, height) {
                (None, None) => return Err(missing("width or height")),
                (Some(width), Some(height)) if exact => {
                    picture.resize_exact(width, height, FilterType::Lanczos3)
                }
                (width, height) => {
                    let (width, height) = (width.unwrap_or(SIDE), height.unwrap_or(SIDE));
                    picture.resize(width, height, FilterType::Lanczos3)
                }
            };
            encode(&resized, format, params)
        }
        Operation::CropImage => {
            let (x, y) = (params.number("x", 0, SIDE)?, params.number("y", 0, SIDE)?);
            let (x, y) = (x.unwrap_or(0), y.unwrap_or(0));
            let width = params.needed("width", 1, SIDE)?;
            let height = params.needed("height", 1, SIDE)?;
            if x + width > picture.width() || y + height > picture.height() {
                return Err(Failed::for_good("the part lies outside of the picture"));
            }
            encode(&picture.crop_imm(x, y, width, height), format, params)
        }
        Operation::ApplyWatermark => {
            let mark = mark.ok_or_else(|| missing("watermark_file_id"))?;
            encode(&marked(picture, mark, params)?, format, params)
        }
        Operation::ApplySteganographicWatermark => {
            let text = params.text("text").or_else(|| params.text("identity"));
            let hidden = hide(&picture, &text.ok_or_else(|| missing("text"))?)?;
            encode(&hidden, ImageFormat::Png, params)
        }
        _ => encode(&picture, format, params),
    }
}

fn missing(name: &str) -> Failed {
    Failed::for_good(format!("{name} is required"))
}

fn decode(bytes: &[u8]) -> Result<(DynamicImage, ImageFormat), Failed> {
    let bad = |error: String| Failed::for_good(format!("not a picture that can be read: {error}"));
    let mut reader = ImageReader::new(Cursor::new(bytes));
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE), Some(SIDE));
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let reader = reader.with_guessed_format().map_err(|error| bad(error.to_string()))?;
    let format = reader.format().ok_or_else(|| bad("its format is unknown".to_owned()))?;
    Ok((reader.decode().map_err(|error| bad(error.to_string()))?, format))
}

fn named(name: &str) -> Option<ImageFormat> {
    match name.to_ascii_lowercase().as_str() {
        "png" => Some(ImageFormat::Png),
        "jpg" | "jpeg" => Some(ImageFormat::Jpeg),
        "webp" => Some(ImageFormat::WebP),
        "gif" => Some(ImageFormat::Gif),
        _ => None,
    }
}

fn encode(
    picture: &DynamicImage,
    format: ImageFormat,
    params: Params<'_>,
) -> Result<Output, Failed> {
    let mut bytes = Vec::new();
    let mut out = Cursor::new(&mut bytes);
    let (media_type, extension, written) = match format {
        ImageFormat::Jpeg => {
            let quality = params.number("quality", 1, 100)?.unwrap_or(85);
            let quality = u8::try_from(quality).unwrap_or(85);
            let flat = DynamicImage::from(picture.to_rgb8());
            let written = flat.write_with_encoder(JpegEncoder::new_with_quality(&mut out, quality));
            ("image/jpeg", "jpg", written)
        }
        ImageFormat::WebP => {
            let rgba = DynamicImage::from(picture.to_rgba8());
            ("image/webp", "webp", rgba.write_to(&mut out, format))
        }
        ImageFormat::Gif => {
            let rgba = DynamicImage::from(picture.to_rgba8());
            ("image/gif", "gif", rgba.write_to(&mut out, format))
        }
        _ => ("image/png", "png", picture.write_to(&mut out, ImageFormat::Png)),
    };
    written.map_err(|error| Failed::for_good(format!("the picture cannot be written: {error}")))?;
    let mut facts = Map::new();
    facts.insert("width".to_owned(), json!(picture.width()));
    facts.insert("height".to_owned(), json!(picture.height()));
    Ok(Output { bytes: Bytes::from(bytes), media_type, extension, facts })
}

/// The mark in a corner, a fifth as wide as the picture.
fn marked(picture: DynamicImage, mark: &[u8], params: Params<'_>) -> Result<DynamicImage, Failed> {
    let opacity = params.number("opacity", 1, 100)?.unwrap_or(60);
    let (mark, _) = decode(mark)?;
    let width = (picture.width() / MARK_WIDTH).max(1);
    let mut mark = mark.resize(width, picture.height(), FilterType::Triangle).to_rgba8();
    for pixel in mark.pixels_mut() {
        let alpha = u32::from(pixel.0[3]) * opacity / 100;
        pixel.0[3] = u8::try_from(alpha).unwrap_or(u8::MAX);
    }
    let room = |whole: u32, part: u32| i64::from(whole.saturating_sub(part));
    let (right, bottom) =
        (room(picture.width(), mark.width()), room(picture.height(), mark.height()));
    let (x, y) = match params.text("position").as_deref() {
        None | Some("bottom-right") => (right, bottom),
        Some("bottom-left") => (0, bottom),
        Some("top-left") => (0, 0),
        Some("top-right") => (right, 0),
        Some("center") => (right / 2, bottom / 2),
        Some(_) => return Err(Failed::for_good(PLACES)),
    };
    let mut canvas = picture.to_rgba8();
    imageops::overlay(&mut canvas, &mark, x, y);
    Ok(canvas.into())
}

/// Hides a text in the lowest bits of the colours: its length in four bytes, then its bytes.
fn hide(picture: &DynamicImage, text: &str) -> Result<DynamicImage, Failed> {
    if text.len() > MARK {
        return Err(Failed::for_good(format!("text has at most {MARK} bytes")));
    }
    let length = u32::try_from(text.len()).unwrap_or_default().to_be_bytes();
    let bits = length
        .into_iter()
        .chain(text.bytes())
        .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1));
    let mut canvas = picture.to_rgb8();
    if (text.len() + length.len()) * 8 > canvas.as_raw().len() {
        return Err(Failed::for_good("the picture is too small for this text"));
    }
    for (colour, bit) in canvas.iter_mut().zip(bits) {
        *colour = (*colour & !1) | bit;
    }
    Ok(canvas.into())
}
