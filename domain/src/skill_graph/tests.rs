use super::*;

fn potential(edges: &[Vec<(usize, f64)>], node: usize) -> Option<f64> {
    spread(edges, &[0], edges.len()).iter().find(|fired| fired.node == node).map(|f| f.potential)
}

/// §16.11
#[test]
fn a_signal_gets_weaker_with_each_step_and_ends_after_three() {
    let one = [vec![(1, 0.9)], vec![]];
    assert!(potential(&one, 1).is_some_and(|potential| (potential - 0.765).abs() < 1e-12));
    let chain: Vec<Vec<(usize, f64)>> = (1..=5).map(|next| vec![(next, 1.0)]).collect();
    let fired: Vec<_> = spread(&chain, &[0], 9).iter().map(|fired| fired.hops).collect();
    assert_eq!(fired, [0, 1, 2, 3]);
}

/// §16.11
#[test]
fn a_node_fires_at_one_half_and_not_below() {
    let weight = |potential: f64| [vec![(1, potential / LEAK_RATE)], vec![]];
    assert!(potential(&weight(0.5), 1).is_some());
    assert!(potential(&weight(0.4999), 1).is_none());
}

#[test]
fn what_arrives_over_several_paths_adds_up_and_anchors_stay_unseen() {
    let edges = [vec![(1, 0.5), (2, 0.5)], vec![(3, 0.9)], vec![(3, 0.9)], vec![]];
    assert!(spread(&edges, &[0], 4).iter().any(|fired| fired.node == 3));
    assert!(!spread(&edges, &[0], 3).iter().any(|fired| fired.node == 3));
}

fn skill(name: &str, tags: &[&str], related: &[(&str, f64)]) -> Skill {
    Skill {
        name: name.to_owned(),
        category: "01-media".to_owned(),
        description: format!("All about {name}"),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        related: related.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect(),
        ..Skill::default()
    }
}

fn graph() -> Graph {
    Graph::of(vec![
        skill("video-trimming", &["ffmpeg", "video"], &[("video-export", 0.9)]),
        skill("video-export", &["codec"], &[]),
        skill("caption-writing", &["caption", "copy"], &[]),
        skill("tax-basics", &["tax"], &[]),
    ])
}

#[test]
fn a_task_calls_for_what_matches_and_for_what_is_near_to_it() {
    let graph = graph();
    let found = graph.activate("trim a clip with ffmpeg", 5);
    let names: Vec<&str> =
        found.skills.iter().map(|found| graph.skills()[found.skill].name.as_str()).collect();
    assert_eq!(names, ["video-trimming", "video-export"]);
    assert_eq!((found.skills[0].hops, found.skills[1].hops), (0, 1));
    assert_eq!(found.skills[0].matched.tags, ["ffmpeg"]);
    assert!((found.skills[0].score - (0.6 * 0.3 + 0.4)).abs() < 1e-12);
    assert_eq!(graph.activate("trim a clip with ffmpeg", 5), found);
    assert_eq!(graph.activate("nothing of that kind", 5), Activation::default());
}

#[test]
fn words_are_found_and_the_last_one_may_be_cut() {
    let graph = graph();
    let found = |query: &str| graph.search(query).first().map(|(at, _)| *at);
    assert_eq!(found("capt"), graph.find("caption-writing"));
    assert_eq!(found("codec"), graph.find("video-export"));
    assert_eq!(found("zzz"), None);
    let near = graph.related(graph.find("video-trimming").unwrap_or_default());
    assert_eq!(near.first().map(|(at, _)| *at), graph.find("video-export"));
    assert_eq!(near.len(), 3, "the others over their category");
}
