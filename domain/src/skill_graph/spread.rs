//! Spreading activation: what is stimulated passes a part of it on along its edges.

use std::collections::BTreeMap;

/// Part of a signal that is left after a step.
pub const LEAK_RATE: f64 = 0.85;
/// Potential at which a node takes part in the answer.
const FIRE_THRESHOLD: f64 = 0.5;
/// Weaker signals are not passed on.
const MIN_SIGNAL: f64 = 0.02;
/// Steps at most.
const MAX_HOPS: u32 = 3;
/// Edges of one node along which it passes signals on: its strongest.
const FAN_OUT: usize = 12;
/// Room for rounding: five tenths in three parts are five tenths.
const ROUNDING: f64 = 1e-9;

/// A node that takes part in the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fired {
    /// Which.
    pub node: usize,
    /// How strongly it was stimulated.
    pub potential: f64,
    /// Steps from the nearest seed.
    pub hops: u32,
}

/// Stimulates `seeds` and follows `edges` (by node: target and weight from 0 to 1). Nodes from `visible` on pass signals
/// on and are never part of the answer, which is in the order of the nodes.
pub fn spread(edges: &[Vec<(usize, f64)>], seeds: &[usize], visible: usize) -> Vec<Fired> {
    let mut reached: BTreeMap<usize, Fired> =
        seeds.iter().map(|&node| (node, Fired { node, potential: 1.0, hops: 0 })).collect();
    let mut frontier: BTreeMap<usize, f64> = seeds.iter().map(|&node| (node, 1.0)).collect();
    for hop in 1..=MAX_HOPS {
        let mut arrived: BTreeMap<usize, f64> = BTreeMap::new();
        for (node, signal) in &frontier {
            for (target, weight) in strongest(edges, *node) {
                let sent = signal * weight * LEAK_RATE;
                if sent >= MIN_SIGNAL {
                    *arrived.entry(target).or_default() += sent;
                }
            }
        }
        frontier.clear();
        for (node, signal) in arrived {
            if seeds.contains(&node) {
                continue;
            }
            let known = reached.entry(node).or_insert_with(|| {
                // Whoever is reached for the first time passes it on, once.
                frontier.insert(node, signal);
                Fired { node, potential: 0.0, hops: hop }
            });
            known.potential += signal;
        }
    }
    let fires = |fired: &Fired| fired.hops == 0 || fired.potential + ROUNDING >= FIRE_THRESHOLD;
    reached.into_values().filter(|fired| fired.node < visible && fires(fired)).collect()
}

fn strongest(edges: &[Vec<(usize, f64)>], node: usize) -> Vec<(usize, f64)> {
    let mut all = edges.get(node).cloned().unwrap_or_default();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(FAN_OUT);
    all
}
