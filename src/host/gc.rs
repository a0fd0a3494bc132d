//! `gc`: make room by removing old generations, on every mount that holds a part of one.
//!
//! It signs nothing, and so asks for no key; and a copy of an environment may be tidied as well.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Node;
use crate::disk::generations;
use crate::disk::space::Room;
use crate::model::text::{Shown, path_as_text};
use crate::model::{Name, Refusal, Time, TreePath, Watch};

/// What `gc` did.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The generations that cannot be brought back any more.
    pub removed: Vec<u64>,
    /// Those that still can.
    pub kept: Vec<u64>,
    /// How much room that made, and what is left, by mount; the root's first.
    pub mounts: Vec<Freed>,
}

/// Room on one mount.
#[derive(Debug, Serialize)]
pub struct Freed {
    /// The mount point; the root for its own.
    #[serde(serialize_with = "path_as_text")]
    pub mount: PathBuf,
    /// Bytes freed.
    pub bytes: u64,
    /// Inodes freed.
    pub inodes: u64,
    /// Bytes that the generations left take.
    pub left_bytes: u64,
    /// Inodes that the generations left take.
    pub left_inodes: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "environment {}", self.environment)?;
        writeln!(f, "  removed    {}", listed(&self.removed))?;
        write!(f, "  kept       {}", listed(&self.kept))?;
        for mount in &self.mounts {
            let freed = room(mount.bytes, mount.inodes);
            let left = room(mount.left_bytes, mount.left_inodes);
            write!(f, "\n  mount      {}", Shown(&mount.mount))?;
            write!(f, "\n  freed      {freed}\n  left       {left}")?;
        }
        Ok(())
    }
}

/// Removes all generations but the newest `keep`; `environment` is the one that is meant.
pub fn run(
    root: &Path,
    keep: usize,
    environment: Option<&Name>,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    Node::open(root)?.check_named(environment)?;
    let node = Node::open_to_tidy(root, &format!("gc --keep {keep}"), now, watch)?;
    watch.say(&node.header());
    let root = node.root();
    let beyond = generations::beyond(root, keep)?;
    if !beyond.is_empty() {
        let about = format!(
            "what {} change(s) displaced is removed for good: no rollback to before them",
            beyond.len()
        );
        node.confirm(environment, &about, watch)?;
    }
    let freed = generations::sizes(root, &beyond)?;
    let before = reachable(&node)?;
    super::generations::prune(&node, keep)?;
    let kept = reachable(&node)?;
    let left = generations::sizes(root, &generations::list(root)?)?;
    Ok(Outcome {
        environment: node.environment().to_string(),
        removed: before.into_iter().filter(|n| !kept.contains(n)).collect(),
        mounts: by_mount(&node, &freed, &left),
        kept,
    })
}

fn reachable(node: &Node) -> Result<Vec<u64>, Refusal> {
    let all = super::generations::all(node)?;
    let reachable = all.iter().filter(|generation| generation.reachable);
    Ok(reachable.map(|generation| generation.sequence).collect())
}

fn by_mount(
    node: &Node,
    freed: &[(Option<TreePath>, Room)],
    left: &[(Option<TreePath>, Room)],
) -> Vec<Freed> {
    let mut points: Vec<&Option<TreePath>> = freed.iter().chain(left).map(|(p, _)| p).collect();
    points.sort_unstable();
    points.dedup();
    let of = |sizes: &[(Option<TreePath>, Room)], point: &Option<TreePath>| {
        let found = sizes.iter().find(|(other, _)| other == point);
        found.map_or_else(Room::default, |(_, room)| *room)
    };
    points
        .into_iter()
        .map(|point| {
            let (freed, left) = (of(freed, point), of(left, point));
            let root = || node.root().path().to_owned();
            let mount = point
                .as_ref()
                .map_or_else(root, |p| node.root().absolute(p));
            Freed {
                mount,
                bytes: freed.bytes,
                inodes: freed.inodes,
                left_bytes: left.bytes,
                left_inodes: left.inodes,
            }
        })
        .collect()
}

fn room(bytes: u64, inodes: u64) -> Room {
    Room { bytes, inodes }
}

fn listed(sequences: &[u64]) -> String {
    let numbers: Vec<String> = sequences.iter().map(u64::to_string).collect();
    match numbers.as_slice() {
        [] => "no generation".to_owned(),
        [one] => format!("1 generation: {one}"),
        more => format!("{} generations: {}", more.len(), more.join(", ")),
    }
}
