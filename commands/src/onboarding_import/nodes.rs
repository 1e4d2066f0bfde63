//! Nodes of what is known of a person, as an export has them: each becomes an item in the collection that the assistant
//! reads. Its id follows from the person and the node, so the same export makes no second one.

use super::{AT_ONCE, OnboardingImport, for_now};
use crate::{execute, genie_chat::MOST_ITEMS, reactors::queue::Failed};
use domain::{
    Metadata,
    flow::NODES,
    ids::{ItemId, JobId, UserId},
    item::{self, Command, Item, Refusal},
};
use futures::{StreamExt, stream};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// What a node says.
pub(super) type Fields = Map<String, Value>;

impl OnboardingImport {
    /// Keeps nodes, as many as the collection has room for; why one was left out, for each that was.
    pub(super) async fn remember(
        &self,
        owner: &UserId,
        nodes: Vec<Fields>,
        job: JobId,
    ) -> Result<Vec<String>, Failed> {
        if nodes.is_empty() {
            return Ok(vec![]);
        }
        let there = self.shelf.newest(owner, NODES, MOST_ITEMS).await.map_err(for_now)?;
        let there: HashSet<ItemId> = there.into_iter().map(|kept| kept.id).collect();
        let mut room = (MOST_ITEMS as usize).saturating_sub(there.len());
        let mut left_out = Vec::new();
        let mut wanted = Vec::new();
        for (id, fields) in named(owner, nodes) {
            if there.contains(&id) {
                wanted.push((id, fields));
            } else if room > 0 {
                room -= 1;
                wanted.push((id, fields));
            } else {
                left_out.push(format!("{NODES} has at most {MOST_ITEMS} items"));
            }
        }
        let kept = wanted.into_iter().map(|(id, fields)| self.keep(owner, id, fields, job));
        let mut kept = stream::iter(kept).buffer_unordered(AT_ONCE);
        while let Some(outcome) = kept.next().await {
            left_out.extend(outcome?);
        }
        Ok(left_out)
    }

    /// Keeps a node, also in the place of what it said before; why not, if it is left out.
    async fn keep(
        &self,
        owner: &UserId,
        id: ItemId,
        fields: Fields,
        job: JobId,
    ) -> Result<Option<String>, Failed> {
        let collection = || NODES.to_owned();
        let (whose, said) = (owner.clone(), fields.clone());
        let write = Command::Write { owner: whose, collection: collection(), fields: said };
        let metadata = Metadata::system(job.0);
        let mut outcome = execute::execute::<Item>(&*self.log, &id, &write, &metadata).await;
        if matches!(outcome, Err(execute::Error::Refused(Refusal::Taken))) {
            let change = Command::Change { owner: owner.clone(), collection: collection(), fields };
            outcome = execute::execute::<Item>(&*self.log, &id, &change, &metadata).await;
        }
        match outcome {
            Ok(_) => Ok(None),
            Err(execute::Error::Refused(refusal)) => Ok(Some(refusal.to_string())),
            Err(execute::Error::Failed(failure)) => Err(for_now(failure)),
        }
    }
}

/// Nodes by their ids here; of those that have the same the last one. What names another node of the export names it by
/// its id here.
fn named(owner: &UserId, nodes: Vec<Fields>) -> BTreeMap<ItemId, Fields> {
    let own_id = |fields: &Fields| match fields.get("id") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    let known: HashSet<String> = nodes.iter().filter_map(own_id).collect();
    let here = |id: &str| {
        let known = known.contains(id).then(|| item::imported(owner, id).to_string());
        known.map(Value::from)
    };
    let named = nodes.into_iter().map(|mut fields| {
        for related in fields.get_mut("related").and_then(Value::as_array_mut).into_iter().flatten()
        {
            let id = if related.is_object() { related.get_mut("id") } else { Some(related) };
            if let Some(id) = id
                && let Some(id_here) = id.as_str().and_then(here)
            {
                *id = id_here;
            }
        }
        let own = own_id(&fields);
        for name in ["id", "date_created", "date_updated"] {
            fields.remove(name);
        }
        fields.retain(|_, value| !value.is_null());
        let name = own.unwrap_or_else(|| Value::Object(fields.clone()).to_string());
        (item::imported(owner, &name), fields)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn nodes_keep_their_names_and_name_each_other() {
        let ann = UserId::from("ann");
        let nodes = || {
            vec![
                fields(json!({"id": "a", "name": "old"})),
                fields(json!({"id": "a", "name": "sea", "note": null, "date_created": "x",
                              "related": ["7", {"id": "7", "weight": 0.9}, "elsewhere", 3]})),
                fields(json!({"id": 7, "name": "land"})),
                fields(json!({"name": "sky"})),
            ]
        };
        let (sea, land) = (item::imported(&ann, "a"), item::imported(&ann, "7"));
        let found = named(&ann, nodes());
        assert_eq!(found.len(), 3);
        let related =
            json!([land.to_string(), {"id": land.to_string(), "weight": 0.9}, "elsewhere", 3]);
        assert_eq!(found[&sea], fields(json!({"name": "sea", "related": related})));
        assert_eq!(found[&land], fields(json!({"name": "land"})));
        assert_eq!(found, named(&ann, nodes()));
        assert!(named(&"bob".into(), nodes()).keys().all(|id| !found.contains_key(id)));
    }
}
