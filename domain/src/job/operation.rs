//! What jobs do, and which queue each kind waits in.

use crate::quota::Action;
use serde::{Deserialize, Serialize};

/// A queue; each does one job at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Pictures and films.
    Media,
    /// What happens at platforms.
    Scrape,
    /// First imports.
    Onboarding,
}

impl Queue {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Media, Self::Scrape, Self::Onboarding];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Media => "media-jobs",
            Self::Scrape => "scrape-jobs",
            Self::Onboarding => "onboarding-jobs",
        }
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Another format of a picture.
    ConvertImage,
    /// Another size of a picture.
    ResizeImage,
    /// A part of a picture.
    CropImage,
    /// Another size of a film.
    ResizeVideo,
    /// A part of a film's picture.
    CropVideo,
    /// A smaller file of a film.
    CompressVideo,
    /// A film from a URL.
    DownloadVideo,
    /// A piece of a film.
    TrimVideos,
    /// Several films as one.
    JoinVideos,
    /// A visible mark.
    ApplyWatermark,
    /// The beginning of a film.
    CreateTeaser,
    /// A file without what it says of its origin.
    StripMetadata,
    /// An invisible mark.
    ApplySteganographicWatermark,
    /// What is known of a film at a URL.
    YtdlpInfo,
    /// Reads a profile at a platform.
    ScrapeProfile,
    /// Reads how a post does at a platform.
    ScrapePostPerformance,
    /// Publishes a post at a platform.
    PublishPost,
    /// Takes in what somebody exported elsewhere.
    OnboardingImport,
}

impl Operation {
    /// The operation of this name, or of one it had in other places.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            "crop_media" => "crop_image",
            "compress_media" => "compress_video",
            name => name,
        };
        serde_json::from_value(serde_json::Value::from(name)).ok()
    }

    /// Where it waits.
    pub fn queue(self) -> Queue {
        match self {
            Self::ScrapeProfile | Self::ScrapePostPerformance | Self::PublishPost => Queue::Scrape,
            Self::OnboardingImport => Queue::Onboarding,
            _ => Queue::Media,
        }
    }

    /// What it counts as, if it counts.
    pub fn charged(self) -> Option<Action> {
        let free = matches!(self, Self::YtdlpInfo | Self::DownloadVideo | Self::StripMetadata);
        (self.queue() == Queue::Media && !free).then_some(Action::MediaModifications)
    }

    /// Whether doing it twice does no harm.
    pub fn repeatable(self) -> bool {
        self != Self::PublishPost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_name_and_wait_where_they_belong() {
        for (name, queue, charged) in [
            ("convert_image", Queue::Media, true),
            ("crop_media", Queue::Media, true),
            ("strip_metadata", Queue::Media, false),
            ("ytdlp_info", Queue::Media, false),
            ("publish_post", Queue::Scrape, false),
            ("onboarding_import", Queue::Onboarding, false),
        ] {
            let operation = Operation::named(name);
            assert_eq!(operation.map(Operation::queue), Some(queue), "{name}");
            assert_eq!(operation.and_then(Operation::charged).is_some(), charged, "{name}");
        }
        assert_eq!(Operation::named("rm -rf"), None);
    }
}
