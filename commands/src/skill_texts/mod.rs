//! Skills as texts: Markdown with a front matter, from this program and from a folder of the operator's.

mod builtin;

use crate::effects::front_matter;
use chrono::{DateTime, Utc};
use domain::skill_graph::Skill;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// Skills that are read from a folder.
const MOST: usize = 5_000;
/// Bytes of one skill.
const LARGEST: u64 = 256 << 10;
/// When the skills that come with this program were last changed.
const BUILTIN: DateTime<Utc> = DateTime::from_timestamp_nanos(1_795_219_200_000_000_000);

/// A skill and when it was last changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated {
    /// The skill.
    pub skill: Skill,
    /// When.
    pub changed_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Front {
    name: String,
    category: String,
    description: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    concepts: Vec<String>,
    #[serde(default)]
    related: BTreeMap<String, f64>,
}

/// All skills, those of the folder in the place of those of the same name that come with this program. What cannot be
/// read is left out, with a word in the log.
pub fn load(folder: Option<&Path>) -> Vec<Dated> {
    let builtin = builtin::TEXTS.iter().filter_map(|text| read(text, BUILTIN, "builtin"));
    let mut all: Vec<Dated> = builtin.collect();
    let Some(folder) = folder else { return all };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "no skills are read from there");
            return all;
        }
    };
    for entry in entries.flatten().take(MOST) {
        let path = entry.path();
        let Ok(facts) = entry.metadata() else { continue };
        let wanted = path.extension().is_some_and(|extension| extension == "md");
        if !wanted || !facts.is_file() || facts.len() > LARGEST {
            continue;
        }
        let changed = facts.modified().map_or(BUILTIN, DateTime::from);
        let place = path.display().to_string();
        all.extend(fs::read_to_string(&path).ok().and_then(|text| read(&text, changed, &place)));
    }
    all
}

fn read(text: &str, changed_at: DateTime<Utc>, place: &str) -> Option<Dated> {
    match front_matter::read::<Front>(text) {
        Ok((front, content)) => {
            let Front { name, category, description, tags, concepts, related } = front;
            let (related, content) = (related.into_iter().collect(), content.trim().to_owned());
            let skill = Skill { name, category, description, tags, concepts, related, content };
            Some(Dated { skill, changed_at })
        }
        Err(error) => {
            tracing::warn!(%error, place, "a skill is left out");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::skill_graph::Graph;

    #[test]
    fn every_skill_of_ours_is_read_and_knows_its_neighbours() {
        let all = load(None);
        assert_eq!(all.len(), builtin::TEXTS.len());
        assert!(all.len() >= 40, "{}", all.len());
        let graph = Graph::of(all.iter().map(|dated| dated.skill.clone()).collect());
        assert_eq!(graph.skills().len(), all.len(), "names are unique");
        for skill in graph.skills() {
            assert!(skill.content.len() > 200 && !skill.tags.is_empty(), "{}", skill.name);
            for (name, _) in &skill.related {
                assert!(graph.find(name).is_some(), "{} knows {name}", skill.name);
            }
        }
    }

    #[test]
    fn a_folder_wins_and_what_is_no_skill_is_left_out() -> std::io::Result<()> {
        let folder = std::env::temp_dir().join(format!("annals-skills-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder)?;
        let ours = "---\nname: trim-video\ncategory: x\ndescription: Mine\n---\nText";
        fs::write(folder.join("a.md"), ours)?;
        fs::write(folder.join("b.md"), "rubbish")?;
        fs::write(folder.join("c.txt"), ours)?;
        let all = load(Some(&folder));
        fs::remove_dir_all(&folder)?;
        assert_eq!(all.len(), builtin::TEXTS.len() + 1);
        let graph = Graph::of(all.into_iter().map(|dated| dated.skill).collect());
        let found = graph.find("trim-video").map(|at| graph.skills()[at].description.clone());
        assert_eq!(found.as_deref(), Some("Mine"));
        Ok(())
    }
}
