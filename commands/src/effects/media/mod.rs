//! Work on pictures and films. Pictures are worked on here; films by programs that the operator names, and where none is
//! named, the job says which setting would.

mod films;
mod params;
mod pictures;
pub(super) mod program;
#[cfg(test)]
mod tests;

pub use pictures::{PictureType, picture_type};

use crate::{
    effects::{
        blobs::Blobs,
        fetch::{Fetcher, Limits},
    },
    execute::{self, Loaded},
    log::EventLog,
    reactors::queue::{Executor, Failed, Progress},
};
use bytes::Bytes;
use domain::{
    Metadata,
    document::BlobHash,
    ids::{JobId, UploadId, UserId},
    job::{Known, Operation},
    upload::{Command, Refusal, Upload},
};
use futures::{future::BoxFuture, stream};
use params::Params;
use serde_json::{Map, Value, json};
use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};
use uuid::Uuid;

/// Bytes of a file that is worked on.
const LARGEST: u64 = 200 << 20;
/// What a URL is fetched with.
const FETCH: Limits = Limits { bytes: 50 << 20, time: Duration::from_secs(120) };

/// The executor of media jobs.
pub struct Media {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The files.
    pub blobs: Blobs,
    /// Fetches what people name.
    pub fetcher: Fetcher,
    /// The program that works on films.
    pub ffmpeg: Option<PathBuf>,
    /// The program that downloads films.
    pub ytdlp: Option<PathBuf>,
}

/// A file that came out of a job.
struct Output {
    bytes: Bytes,
    media_type: &'static str,
    extension: &'static str,
    /// What else is told of it.
    facts: Map<String, Value>,
}

impl Executor for Media {
    fn perform<'a>(
        &'a self,
        id: JobId,
        job: &'a Known,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        Box::pin(async move {
            let (owner, request) = (&job.request.owner, &job.request);
            let output = match request.operation {
                Operation::ConvertImage
                | Operation::ResizeImage
                | Operation::CropImage
                | Operation::ApplySteganographicWatermark => {
                    self.picture(job, self.input(job).await?).await?
                }
                Operation::StripMetadata => {
                    let bytes = self.input(job).await?;
                    match pictures::is_picture(&bytes) {
                        true => self.picture(job, bytes).await?,
                        false => self.film(job, vec![bytes], progress).await?,
                    }
                }
                Operation::ApplyWatermark => {
                    let bytes = self.input(job).await?;
                    if pictures::is_picture(&bytes) {
                        self.picture(job, bytes).await?
                    } else {
                        self.named(&self.ffmpeg, "ANNALS_FFMPEG")?;
                        let mark = self.mark(job).await?;
                        let missing = || Failed::for_good("watermark_file_id is required");
                        let mark = pictures::plain(mark.ok_or_else(missing)?).await?;
                        self.film(job, vec![bytes, mark], progress).await?
                    }
                }
                Operation::ResizeVideo
                | Operation::CropVideo
                | Operation::CompressVideo
                | Operation::TrimVideos
                | Operation::CreateTeaser => {
                    self.named(&self.ffmpeg, "ANNALS_FFMPEG")?;
                    let bytes = self.input(job).await?;
                    self.film(job, vec![bytes], progress).await?
                }
                Operation::JoinVideos => {
                    self.named(&self.ffmpeg, "ANNALS_FFMPEG")?;
                    let mut inputs = Vec::new();
                    for file in Params(&request.params).texts("inputs")? {
                        inputs.push(self.upload(owner, &file).await?);
                    }
                    if inputs.len() < 2 {
                        return Err(Failed::for_good("inputs has to name two files or more"));
                    }
                    self.film(job, inputs, progress).await?
                }
                Operation::DownloadVideo => {
                    let program = self.named(&self.ytdlp, "ANNALS_YTDLP")?;
                    films::download(program, url(job)?, self.fetcher.reach(), progress).await?
                }
                Operation::YtdlpInfo => {
                    let program = self.named(&self.ytdlp, "ANNALS_YTDLP")?;
                    return films::info(program, url(job)?, self.fetcher.reach()).await;
                }
                Operation::ScrapeProfile
                | Operation::ScrapePostPerformance
                | Operation::PublishPost
                | Operation::OnboardingImport => return Err(Failed::for_good("no media job")),
            };
            self.keep(id, owner, output).await
        })
    }
}

impl Media {
    async fn picture(&self, job: &Known, bytes: Bytes) -> Result<Output, Failed> {
        let mark = self.mark(job).await?;
        let (operation, params) = (job.request.operation, job.request.params.clone());
        let work = move || pictures::work(operation, &bytes, mark.as_deref(), Params(&params));
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| Failed::for_good("the picture cannot be worked on"))?
    }

    /// The picture that marks another's origin.
    async fn mark(&self, job: &Known) -> Result<Option<Bytes>, Failed> {
        match Params(&job.request.params).text("watermark_file_id") {
            Some(file) => Ok(Some(self.upload(&job.request.owner, &file).await?)),
            None => Ok(None),
        }
    }

    async fn film(
        &self,
        job: &Known,
        inputs: Vec<Bytes>,
        progress: &Progress,
    ) -> Result<Output, Failed> {
        let program = self.named(&self.ffmpeg, "ANNALS_FFMPEG")?;
        let params = Params(&job.request.params);
        films::work(program, job.request.operation, inputs, params, progress).await
    }

    fn named<'a>(
        &self,
        program: &'a Option<PathBuf>,
        setting: &str,
    ) -> Result<&'a PathBuf, Failed> {
        program.as_ref().ok_or_else(|| {
            let need = "is not set: it has to name the program that does this";
            Failed::for_good(format!("{setting} {need}"))
        })
    }

    async fn input(&self, job: &Known) -> Result<Bytes, Failed> {
        match (&job.request.input_file, &job.request.input_url) {
            (Some(file), _) => self.upload(&job.request.owner, file).await,
            (None, Some(url)) => {
                let fetched = self.fetcher.get(url, FETCH).await;
                let fetched = fetched.map_err(|error| Failed::for_now(error.to_string()))?;
                if !(200..300).contains(&fetched.status) {
                    return Err(Failed::for_good(format!("the URL answers {}", fetched.status)));
                }
                Ok(fetched.body)
            }
            (None, None) => Err(Failed::for_good("inputFileId or inputUrl is required")),
        }
    }

    /// The bytes of a file that this person has uploaded.
    pub(super) async fn upload(&self, owner: &UserId, file: &str) -> Result<Bytes, Failed> {
        let unknown = || Failed::for_good("there is no such file");
        let id = Uuid::try_parse(file).map_err(|_| unknown())?;
        let loaded = Loaded::<Upload>::load(&*self.log, &UploadId(id)).await;
        let loaded = loaded.map_err(|error| Failed::for_now(error.to_string()))?;
        let Upload::Kept { owner: whose, blob } = loaded.state() else { return Err(unknown()) };
        if whose != owner {
            return Err(unknown());
        }
        let bytes = self.blobs.read(blob, LARGEST).await;
        bytes.map_err(|error| Failed::for_now(error.to_string()))
    }

    /// Keeps the output under an id that follows from the job's: an attempt that came this far before keeps its own.
    async fn keep(
        &self,
        job: JobId,
        owner: &UserId,
        output: Output,
    ) -> Result<Map<String, Value>, Failed> {
        let id = UploadId(Uuid::new_v5(&job.0, b"output"));
        let size = output.bytes.len() as u64;
        let whole = stream::iter([Ok::<_, Infallible>(output.bytes)]);
        let blob = self.blobs.put(whole, size).await;
        let blob = blob.map_err(|error| Failed::for_now(error.to_string()))?;
        let hash: BlobHash = blob.hash;
        let key = format!("jobs/{job}.{}", output.extension);
        let command = Command::Keep {
            owner: owner.clone(),
            key: key.clone(),
            blob: hash,
            size,
            media_type: output.media_type.to_owned(),
        };
        let metadata = Metadata::system(Uuid::now_v7());
        match execute::execute::<Upload>(&*self.log, &id, &command, &metadata).await {
            Ok(_) | Err(execute::Error::Refused(Refusal::Exists)) => {}
            Err(error) => return Err(Failed::for_now(error.to_string())),
        }
        let mut result = output.facts;
        result.insert("file_id".to_owned(), json!(id));
        result.insert("filename".to_owned(), json!(key));
        result.insert("size".to_owned(), json!(size));
        result.insert("type".to_owned(), json!(output.media_type));
        Ok(result)
    }
}

fn url(job: &Known) -> Result<&str, Failed> {
    let url = job.request.input_url.as_deref();
    url.ok_or_else(|| Failed::for_good("inputUrl is required"))
}
