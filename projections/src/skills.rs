//! Read model: skills.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, agent,
    agent::Agent,
    codec,
    ids::{AgentId, SkillId, UserId},
    skill::{Content, Event, Skill},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// Skills listed at most.
const SKILLS: i64 = 2_000;

/// The projection.
pub struct Skills;

impl Projection for Skills {
    fn name(&self) -> &'static str {
        "skills"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["skills"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Skill::CATEGORY, Agent::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            if recorded.stream.category() == Agent::CATEGORY {
                // An agent takes its skills with it.
                if recorded.kind.as_ref() == "AgentDeleted" {
                    codec::decode::<agent::Event>(&recorded.kind, &recorded.data)?;
                    let gone = sqlx::query("delete from skills where agent_id = $1");
                    gone.bind(recorded.stream.key()).execute(db).await?;
                }
                return Ok(());
            }
            // Streams are named by uuids.
            let Ok(id) = recorded.stream.key().parse::<Uuid>() else { return Ok(()) };
            apply(db, recorded, id, codec::decode(&recorded.kind, &recorded.data)?).await?;
            Ok(())
        })
    }
}

async fn apply(db: &mut PgConnection, at: &Recorded, id: Uuid, event: Event) -> sqlx::Result<()> {
    let change = |statement: &'static str| {
        sqlx::query(statement).bind(id).bind(at.recorded_at).bind(column(at.revision.0))
    };
    let files = |content: &Content| i32::try_from(content.files.len()).unwrap_or(i32::MAX);
    let statement = match event {
        Event::SkillImported { home, folder, content, .. } => change(
            "insert into skills (skill_id, dimension, owner, agent_id, folder, name, description, files,
                 created_at, updated_at, revision)
             values ($1, $4, $5, $6, $7, $8, $9, $10, $2, $2, $3)",
        )
        .bind(home.dimension())
        .bind(home.owner().map_or("", UserId::as_str).to_owned())
        .bind(home.agent().map_or("", AgentId::as_str).to_owned())
        .bind(folder.as_str().to_owned())
        .bind(content.name.clone())
        .bind(content.description.clone())
        .bind(files(&content)),
        Event::SkillReplaced { content, .. } => change(
            "update skills set name = $4, description = $5, files = $6, updated_at = $2, revision = $3
             where skill_id = $1",
        )
        .bind(content.name.clone())
        .bind(content.description.clone())
        .bind(files(&content)),
        Event::SkillEdited { description, .. } => change(
            "update skills set description = $4, updated_at = $2, revision = $3 where skill_id = $1",
        )
        .bind(description),
        Event::SkillDeleted {} => sqlx::query("delete from skills where skill_id = $1").bind(id),
    };
    statement.execute(db).await?;
    Ok(())
}

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    /// Its stream.
    pub skill_id: Uuid,
    /// `system`, `user` or `agent`.
    pub dimension: String,
    /// Whose; empty for everybody's.
    pub owner: String,
    /// Which agent's; empty when it is none's.
    pub agent_id: String,
    /// What that agent is called.
    pub agent_name: Option<String>,
    /// What its folder is called.
    pub folder: String,
    /// As its front matter has it.
    pub name: String,
    /// As its front matter has it.
    pub description: String,
    /// How many files it has.
    pub files: i32,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Row {
    /// Which skill this is.
    pub fn id(&self) -> SkillId {
        SkillId(self.skill_id)
    }
}

/// Which skills to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Beside the system's, those of this person; `None` for everybody's.
    pub owner: Option<&'a UserId>,
    /// Only `system`, `user` or `agent` ones.
    pub dimension: Option<&'a str>,
    /// Of agents' skills, only this one's.
    pub agent: Option<&'a AgentId>,
}

/// Skills by name, those of the system first among equals.
///
/// # Errors
/// When the database does not answer.
pub async fn listed(db: &PgPool, filter: Filter<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select s.skill_id, s.dimension, s.owner, s.agent_id, a.name as agent_name, s.folder, s.name,
             s.description, s.files, s.updated_at
         from skills s left join agents a on a.agent_id = s.agent_id
         where (s.dimension = 'system' or $1::text is null or s.owner = $1)
           and ($2::text is null or s.dimension = $2)
           and ($3::text is null or s.dimension <> 'agent' or s.agent_id = $3)
         order by s.name, s.owner, s.agent_id limit $4",
    )
    .bind(filter.owner.map(UserId::as_str))
    .bind(filter.dimension)
    .bind(filter.agent.map(AgentId::as_str))
    .bind(SKILLS)
    .fetch_all(db)
    .await
}

/// What there is for an agent of `owner`, sorted by name. Of skills that are called the same, the agent's counts before its
/// owner's, and that one before the system's.
///
/// # Errors
/// When the database does not answer.
pub async fn available(
    db: &PgPool,
    owner: &UserId,
    agent: Option<&AgentId>,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select * from (
             select distinct on (folder) skill_id, dimension, owner, agent_id, null::text as agent_name,
                 folder, name, description, files, updated_at
             from skills
             where dimension = 'system' or (dimension = 'user' and owner = $1)
                or (dimension = 'agent' and owner = $1 and agent_id = $2)
             order by folder, case dimension when 'agent' then 0 when 'user' then 1 else 2 end
         ) one order by name, folder limit $3",
    )
    .bind(owner.as_str())
    .bind(agent.map(AgentId::as_str))
    .bind(SKILLS)
    .fetch_all(db)
    .await
}
