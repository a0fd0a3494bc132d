//! One patch for each of many environments, from one folder of snapshots or from what the desk knows.
//!
//! Each environment is prepared by itself, as if it had been asked for alone; one that is refused
//! does not stop the others. Whose snapshot a file is, and which is a node's newest, is decided by
//! verified statements alone, so that a file that only claims to be newer hides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use zeroize::Zeroizing;

use super::outcome::MadeFile;
use super::{Outcome, Request};
use crate::desk::Desk;
use crate::desk::forks::Fork;
use crate::desk::gather::{self, Claim};
use crate::desk::many::{Many, OneLine, Told};
use crate::desk::statements::read_enrolled;
use crate::disk::medium::PassedOver;
use crate::model::snapshot::EnvironmentId;
use crate::model::text::Shown;
use crate::model::{Kind, Name, Refusal, RefusalName, Sha256, Time, Watch};

/// Which environments.
#[derive(Debug, Default)]
pub struct Asked {
    /// Snapshot or receipt files, or folders with such files in them.
    pub places: Vec<PathBuf>,
    /// Environments whose last snapshots the desk has.
    pub environments: Vec<Name>,
    /// Every environment that the desk knows.
    pub all: bool,
}

impl OneLine for Outcome {
    fn details(&self) -> Vec<String> {
        let files = self.files.iter().chain([&self.head]);
        let explained = self.explained.iter().flatten().map(ToString::to_string);
        let line = |file: &MadeFile| {
            format!(
                "  file       {} ({} bytes, sha256 {})",
                Shown(&file.path),
                file.size,
                file.sha256
            )
        };
        explained.chain(files.map(line)).collect()
    }

    const NEXT: &'static str =
        "carry the files to the hosts, and on each: lockstep apply DIR (or one of the files)";

    fn line(&self) -> String {
        let approvals = match self.approvals_needed {
            0 => String::new(),
            needed => format!(", approvals needed: {needed}"),
        };
        let more = match self.files.len().saturating_sub(1) {
            0 => String::new(),
            1 => " and 1 more volume".to_owned(),
            more => format!(" and {more} more volumes"),
        };
        format!(
            "prepared   {}: {}{more}, {}, apply before {}{approvals}",
            self.environment,
            Shown(&self.file),
            self.changes.join(", "),
            self.apply_before
        )
    }
}

/// Prepares for one environment or many; `request` says all but which.
pub fn run(
    desk: &Desk,
    asked: &Asked,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Told<Outcome>, Refusal> {
    let alone = match (asked.environments.as_slice(), asked.places.as_slice()) {
        ([name], _) if !asked.all => Some(Group::known(name)),
        ([], [file]) if !asked.all && !file.is_dir() => Some(Group::of(asked.places.clone())),
        _ => None,
    };
    if let Some(group) = alone {
        return Ok(Told::One(group.prepare(desk, request, now, watch)?));
    }
    let known = asked.all || !asked.environments.is_empty();
    let (groups, mut many) = if known {
        (from_records(desk, asked)?, Many::new(PassedOver::default()))
    } else {
        from_files(desk, &asked.places)?
    };
    // Files alone, of one environment: its nodes, each named, and none may be missing.
    let files_alone = !known && !asked.places.iter().any(|place| place.is_dir());
    if files_alone && groups.len() <= 1 {
        let group = Group::of(asked.places.clone());
        return Ok(Told::One(group.prepare(desk, request, now, watch)?));
    }
    if groups.len() > 1 {
        check_folder(request.output.as_deref(), groups.len())?;
    }
    let passphrases = Mutex::default();
    let not_begun = || {
        Refusal::new(
            RefusalName::Interrupted,
            "the command was ended from outside before this one was begun",
        )
        .next("run the command again for those that are left: --environment NAME, for each")
    };
    for (index, (environment, group)) in groups.iter().enumerate() {
        // What was prepared until then is there, and told of.
        if watch.interrupted() {
            many.refuse(environment, not_begun());
            continue;
        }
        let number = index.saturating_add(1);
        watch.say(&format!(
            "prepare    {environment} ({number} of {})",
            groups.len()
        ));
        let together = Together {
            watch,
            passphrases: &passphrases,
            environment,
        };
        many.take(environment, group.prepare(desk, request, now, &together));
    }
    Ok(Told::Many(many))
}

/// What a patch for one environment is made from.
#[derive(Debug, Default)]
struct Group {
    environment: Option<Name>,
    snapshots: Vec<PathBuf>,
}

impl Group {
    fn known(name: &Name) -> Self {
        Self {
            environment: Some(name.clone()),
            ..Self::default()
        }
    }

    fn of(snapshots: Vec<PathBuf>) -> Self {
        Self {
            snapshots,
            ..Self::default()
        }
    }

    fn prepare(
        &self,
        desk: &Desk,
        request: &Request,
        now: Time,
        watch: &dyn Watch,
    ) -> Result<Outcome, Refusal> {
        let request = Request {
            snapshots: self.snapshots.clone(),
            environment: self.environment.clone(),
            ..request.clone()
        };
        super::run(desk, &request, now, watch)
    }
}

type Groups = Vec<(Name, Group)>;

fn from_records(desk: &Desk, asked: &Asked) -> Result<Groups, Refusal> {
    let names: BTreeSet<Name> = if asked.all {
        let records = desk.environments()?;
        records.into_iter().map(|r| r.environment.name).collect()
    } else {
        asked.environments.iter().cloned().collect()
    };
    if names.is_empty() {
        return Err(
            Refusal::new(RefusalName::NotEnrolled, "no environment is enrolled here")
                .value("asked for", "all")
                .value("known here", "none")
                .next("lockstep enrol SNAPSHOT.spr"),
        );
    }
    let group = |name: Name| {
        let group = Group::known(&name);
        (name, group)
    };
    Ok(names.into_iter().map(group).collect())
}

/// A node's newest word among the files.
struct Newest {
    path: PathBuf,
    sequence: u64,
    sha256: Sha256,
}

/// Groups the files by environment. Those of nodes that are not enrolled stand among the refused,
/// older ones among those left out.
fn from_files(desk: &Desk, places: &[PathBuf]) -> Result<(Groups, Many<Outcome>), Refusal> {
    let takes = [Kind::Snapshot, Kind::Receipt];
    let found = gather::claims(places, &takes, "snapshot or receipt");
    let (claims, mut many) = found.map_err(|refusal| {
        refusal.next("name the snapshots, or the folder they lie in: lockstep prepare /media/usb --to RECIPE")
    })?;
    let mut environments: BTreeMap<EnvironmentId, BTreeMap<Name, Newest>> = BTreeMap::new();
    let mut forks = BTreeMap::new();
    for Claim { path, .. } in claims {
        let word = match read_enrolled(desk, &path) {
            Ok(word) => word,
            Err(refusal) => {
                many.refuse(path.display(), refusal);
                continue;
            }
        };
        let snapshot = word.snapshot.get();
        let (environment, node) = (snapshot.environment.clone(), snapshot.node.name.clone());
        let new = Newest {
            path,
            sequence: snapshot.sequence,
            sha256: word.snapshot.sha256(),
        };
        let nodes = environments.entry(environment.clone()).or_default();
        // Claims rise by sequence number: what was there is older, a copy, or a contradiction.
        if let Some(old) = nodes.insert(node.clone(), new)
            && let Some(new) = nodes.get(&node)
        {
            if old.sequence == new.sequence && old.sha256 != new.sha256 {
                let fork = Fork::twice(new.sequence, old.sha256, new.sha256).refuse(&node);
                forks.insert(
                    environment,
                    fork.next("find out which of the two is real, and name that file alone"),
                );
            }
            many.leave_out(old.path.display(), why_older(&node, &old, new));
        }
    }
    for (environment, fork) in forks {
        environments.remove(&environment);
        many.refuse(&environment.name, fork);
    }
    let group = |(environment, nodes): (EnvironmentId, BTreeMap<Name, Newest>)| {
        let snapshots = nodes.into_values().map(|newest| newest.path).collect();
        (environment.name, Group::of(snapshots))
    };
    let mut groups: Groups = environments.into_iter().map(group).collect();
    groups.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok((groups, many))
}

fn why_older(node: &Name, old: &Newest, new: &Newest) -> String {
    if old.sequence == new.sequence {
        return format!("node {node}: another file of the same snapshot");
    }
    format!(
        "node {node}: sequence {} is older than {}, in {}",
        old.sequence,
        new.sequence,
        Shown(&new.path)
    )
}

fn check_folder(output: Option<&Path>, environments: usize) -> Result<(), Refusal> {
    match output {
        Some(path) if !path.is_dir() => Err(Refusal::new(
            RefusalName::Usage,
            "patches for several environments go into a folder, each under its own name",
        )
        .value("output", path.display())
        .value("environments", environments)
        .next("name a folder that is there: --output DIR")),
        _ => Ok(()),
    }
}

/// Watches one environment of many: warnings say which, and a passphrase is asked for once.
struct Together<'a> {
    watch: &'a dyn Watch,
    passphrases: &'a Mutex<BTreeMap<String, Zeroizing<String>>>,
    environment: &'a Name,
}

impl Watch for Together<'_> {
    fn say(&self, line: &str) {
        self.watch.say(line);
    }

    fn warn(&self, line: &str) {
        self.watch.warn(&format!("{}: {line}", self.environment));
    }

    fn progress(&self, stage: &str, done: u64, total: u64) {
        self.watch.progress(stage, done, total);
    }

    fn count(&self, stage: &str, done: u64, total: u64) {
        self.watch.count(stage, done, total);
    }

    fn interrupted(&self) -> bool {
        self.watch.interrupted()
    }

    fn fingerprint(&self, whom: &str) -> Option<String> {
        self.watch.fingerprint(whom)
    }

    fn agent(&self) -> Option<PathBuf> {
        self.watch.agent()
    }

    fn passphrase(&self, key_file: &str) -> Option<Zeroizing<String>> {
        let Ok(mut known) = self.passphrases.lock() else {
            return self.watch.passphrase(key_file);
        };
        if let Some(passphrase) = known.get(key_file) {
            return Some(passphrase.clone());
        }
        let passphrase = self.watch.passphrase(key_file)?;
        known.insert(key_file.to_owned(), passphrase.clone());
        Some(passphrase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who types what is asked for, and counts.
    #[derive(Default)]
    struct Typist {
        asked: Mutex<Vec<String>>,
        warned: Mutex<Vec<String>>,
    }

    impl Watch for Typist {
        fn say(&self, _: &str) {}

        fn warn(&self, line: &str) {
            self.warned.lock().unwrap().push(line.to_owned());
        }

        fn progress(&self, _: &str, _: u64, _: u64) {}

        fn passphrase(&self, key_file: &str) -> Option<Zeroizing<String>> {
            self.asked.lock().unwrap().push(key_file.to_owned());
            Some(Zeroizing::new(format!("of {key_file}")))
        }
    }

    #[test]
    fn a_passphrase_is_asked_for_once_and_warnings_say_whose() {
        let typist = Typist::default();
        let passphrases = Mutex::default();
        for environment in ["PROD", "TEST"] {
            let together = Together {
                watch: &typist,
                passphrases: &passphrases,
                environment: &environment.parse().unwrap(),
            };
            assert_eq!(*together.passphrase("keys/desk").unwrap(), "of keys/desk");
            together.warn("old");
        }
        assert_eq!(*typist.asked.lock().unwrap(), ["keys/desk"]);
        assert_eq!(*typist.warned.lock().unwrap(), ["PROD: old", "TEST: old"]);
    }
}
