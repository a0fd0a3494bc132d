//! The node under a root: what it is, what it holds, whom it trusts.
//!
//! [`Node::open`] reads and changes nothing. [`Node::open_to_change`] is the way in for every
//! command that changes the environment: the operator's rights, the lock, the marks, and recovery
//! of what was interrupted, in that order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::disk::lock::{Lock, Product};
use crate::disk::marks::{Difference, Mark};
use crate::disk::root::Root;
use crate::disk::state::{CurrentState, EnvironmentFile, StateStore, TrustedState};
use crate::disk::{durable, founding, marks, operator, recover};
use crate::model::recipe::Recipe;
use crate::model::snapshot::{EnvironmentId, Installed};
use crate::model::text::Shown;
use crate::model::{Name, PublicKey, Refusal, RefusalName, Sha256, Time, Watch};
use crate::plan::Component;
use crate::spr::{MemberBytes, Opened, RawStatement, SprError};
use crate::trust::site::{self, SITE_MAX};
use crate::trust::{SigningKey, TrustedSite};

/// A node, opened.
pub struct Node {
    pub(super) root: Root,
    pub(super) store: StateStore,
    file: EnvironmentFile,
    current: CurrentState,
    site: TrustedSite,
    // Held for as long as the node is open to change.
    lock: Option<Lock>,
}

impl Node {
    /// Opens the node to read.
    pub fn open(root: &Path) -> Result<Self, Refusal> {
        let root = Root::open(root)?;
        Self::load(root, None)
    }

    /// Makes sure that the operator is at work here; root becomes the operator. `command` is what
    /// was typed, for the line that a refusal names.
    pub fn check_operator(root: &Path, command: &str) -> Result<(), Refusal> {
        let root = Root::open(root)?;
        check_founded(&root)?;
        operator::check(&root, command)?;
        Ok(())
    }

    /// Opens the node to change it.
    pub fn open_to_change(
        root: &Path,
        command: &str,
        now: Time,
        watch: &dyn Watch,
    ) -> Result<Self, Refusal> {
        let node = Self::lock(root, command, now)?;
        // A copy made in mid-change is a copy first of all: its moves are not recovered.
        node.check_marks()?;
        node.recovered(watch)
    }

    /// From a node that was opened to read to one that is open to change; with `dry_run` it stays as it
    /// is, and must be one that has nothing to recover.
    pub(super) fn ready(
        self,
        dry_run: bool,
        command: &str,
        now: Time,
        watch: &dyn Watch,
    ) -> Result<Self, Refusal> {
        self.check_marks()?;
        if dry_run {
            self.check_recovered()?;
            return Ok(self);
        }
        Self::open_to_change(self.root.path(), command, now, watch)
    }

    /// Opens the node to remove what is not needed any more. Nothing is signed, so that the marks
    /// are asked only where a change must be recovered first.
    pub fn open_to_tidy(
        root: &Path,
        command: &str,
        now: Time,
        watch: &dyn Watch,
    ) -> Result<Self, Refusal> {
        let node = Self::lock(root, command, now)?;
        if recover::needs_recovery(&node.root)? {
            node.check_marks()?;
        }
        node.recovered(watch)
    }

    fn lock(root: &Path, command: &str, now: Time) -> Result<Self, Refusal> {
        let (root, lock) = Self::lock_root(root, command, now)?;
        Self::load(root, Some(lock))
    }

    /// Opens the node to rehome it: its marks are not asked, and nothing is recovered yet.
    pub(super) fn open_to_rehome(root: &Path, command: &str, now: Time) -> Result<Self, Refusal> {
        Self::lock(root, command, now)
    }

    /// Opens a node to rehome it of which no state may count any more: its root, with the lock.
    pub(super) fn lock_root(
        root: &Path,
        command: &str,
        now: Time,
    ) -> Result<(Root, Lock), Refusal> {
        let root = Root::open(root)?;
        check_founded(&root)?;
        operator::check(&root, command)?;
        let lock = Lock::take(&root, command, now)?;
        Ok((root, lock))
    }

    /// Opens the node for recovery itself, which is still due. The marks are asked only where there
    /// is something to recover: a copy of an environment may start its product.
    pub(super) fn open_to_recover(root: &Path, command: &str, now: Time) -> Result<Self, Refusal> {
        let node = Self::lock(root, command, now)?;
        if recover::needs_recovery(&node.root)? {
            node.check_marks()?;
        }
        Ok(node)
    }

    fn recovered(self, watch: &dyn Watch) -> Result<Self, Refusal> {
        let put_right = super::recover::put_right(&self, true, watch)?;
        if let Some(refusal) = put_right.not_started {
            return Err(refusal);
        }
        match super::recover::describe(&put_right.recovered) {
            None => Ok(self),
            Some(line) => {
                watch.warn(&line);
                let Self { root, lock, .. } = self;
                Self::load(root, lock)
            }
        }
    }

    fn load(root: Root, lock: Option<Lock>) -> Result<Self, Refusal> {
        check_founded(&root)?;
        operator::check_reader(&root)?;
        let store = StateStore::open(&root);
        let current = store.current()?;
        Self::assemble(root, store, current, lock)
    }

    /// The node whose state that is.
    pub(super) fn assemble(
        root: Root,
        store: StateStore,
        current: CurrentState,
        lock: Option<Lock>,
    ) -> Result<Self, Refusal> {
        let mut file = store.environment()?;
        if let Some(home) = &current.state.home {
            file.environment = home.environment.clone();
            file.node = home.node.clone();
        }
        let site = current.files.get("site.spr").cloned().unwrap_or_default();
        let (raw, members) = site::open(&site)?;
        let site = TrustedSite::reload(raw, members)?;
        if site.site_ref() != current.state.site {
            return Err(Refusal::new(
                RefusalName::Corrupt,
                "the stored site file is not the one in force",
            )
            .value("in force", current.state.site.sha256)
            .value("stored", site.site_ref().sha256)
            .next("put .lockstep back from a backup that you trust, or ask for help"));
        }
        Ok(Self {
            root,
            store,
            file,
            current,
            site,
            lock,
        })
    }

    /// Read-only commands do not recover; they say that it is due.
    pub fn check_recovered(&self) -> Result<(), Refusal> {
        if self.lock.is_some() || !recover::needs_recovery(&self.root)? {
            return Ok(());
        }
        Err(
            Refusal::new(RefusalName::NeedsRecovery, "a change was interrupted here")
                .value("environment", self.environment())
                .value(
                    "journal",
                    self.root.state_folder().join("journal").display(),
                )
                .next("lockstep recover"),
        )
    }

    /// A script names the environment it means, so that a command copied from another window does
    /// no harm.
    pub fn check_named(&self, typed: Option<&Name>) -> Result<(), Refusal> {
        let here = &self.environment().name;
        match typed {
            Some(typed) if typed != here => Err(Refusal::new(
                RefusalName::WrongEnvironment,
                "this is not the environment that was named",
            )
            .value("you named", typed)
            .value("this is", here)
            .next("go to the right root, or name the right environment")),
            _ => Ok(()),
        }
    }

    /// Asks for the environment's name where it was not typed, before something is done that is not
    /// taken back with a keystroke. `about` says what.
    pub fn confirm(
        &self,
        typed: Option<&Name>,
        about: &str,
        watch: &dyn Watch,
    ) -> Result<(), Refusal> {
        if typed.is_some() {
            return self.check_named(typed);
        }
        let here = &self.environment().name;
        let refusal = match watch.name(about) {
            Some(answer) if answer == here.as_str() => return Ok(()),
            Some(answer) => Refusal::new(
                RefusalName::WrongEnvironment,
                "this is not the environment that was named",
            )
            .value("you named", answer)
            .value("this is", here),
            None => Refusal::new(
                RefusalName::Usage,
                "this must name the environment that is meant, and nobody was there to be asked",
            )
            .value("this is", here)
            .value("root", self.root.path().display()),
        };
        Err(refusal.next(format!(
            "the same line with --environment {here}, if it is that"
        )))
    }

    /// A copied, moved or restored environment signs nothing.
    pub fn check_marks(&self) -> Result<(), Refusal> {
        match super::marks::refuse(&self.displaced()?) {
            None => Ok(()),
            Some(refusal) => Err(refusal),
        }
    }

    /// The marks that are not those of the place where the node's key was made.
    pub(super) fn displaced(&self) -> Result<Vec<Difference>, Refusal> {
        let live = marks::live(&self.root, &self.key_path(), &marks::Sources::default())?;
        let mut differing = marks::compare(&self.current.state.marks, &live);
        let born = marks::born(&self.key_path());
        differing.extend(marks::differ(
            Mark::Born,
            self.current.state.born.as_ref(),
            born.as_ref(),
        ));
        differing.extend(self.store.put_back()?);
        Ok(differing)
    }

    /// Where the node's key lies.
    pub(super) fn key_path(&self) -> PathBuf {
        self.store.key_path(self.current.state.home.as_ref())
    }

    /// Says to a service manager that asks whether the product may be started; to nobody where the
    /// node is not open to change.
    pub(super) fn say_product(&self, product: Product) -> Result<(), Refusal> {
        let said = self.lock.as_ref().map(|lock| lock.say(product));
        Ok(said.transpose().map(|_| ())?)
    }

    /// Which environment.
    #[must_use]
    pub fn environment(&self) -> &EnvironmentId {
        &self.file.environment
    }

    /// Which node.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.file.node
    }

    /// The site in force.
    #[must_use]
    pub fn site(&self) -> &TrustedSite {
        &self.site
    }

    /// The state in force.
    #[must_use]
    pub fn state(&self) -> &TrustedState {
        &self.current.state
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The first line of every host command.
    #[must_use]
    pub fn header(&self) -> String {
        format!(
            "environment {}, node {}, root {}, generation {}",
            self.environment(),
            self.name(),
            Shown(self.root.path()),
            self.state().generation
        )
    }

    /// The node's private key; the marks are checked first, so that no copy signs.
    pub fn key(&self) -> Result<SigningKey, Refusal> {
        self.check_marks()?;
        Ok(founding::load_key(&self.key_path())?)
    }

    /// The node's public key.
    pub fn public_key(&self) -> Result<PublicKey, Refusal> {
        let key = founding::load_key(&self.key_path())?;
        key.public()
            .map_err(|e| Refusal::new(RefusalName::Corrupt, e.to_string()))
    }

    /// What is installed.
    #[must_use]
    pub fn installed(&self) -> &[Installed] {
        &self.current.state.installed
    }

    /// What is installed, with recipes, which are read on all cores. Not before this process acts as the
    /// operator: user ids belong to threads.
    pub fn components(&self) -> Result<Vec<Component>, Refusal> {
        let (store, state) = (&self.store, self.root.state_folder());
        self.installed()
            .par_iter()
            .map(|installed| {
                let file = store.recipe(&installed.recipe)?;
                let recipe = read_recipe(file).map_err(|e| e.refuse(&state))?;
                Ok(Component {
                    installed: installed.clone(),
                    recipe: Arc::new(recipe),
                })
            })
            .collect()
    }

    /// The bytes of an installed recipe file, if it is at hand and intact.
    #[must_use]
    pub fn recipe_file(&self, recipe: &Sha256) -> Option<Vec<u8>> {
        self.store.recipe(recipe).ok()
    }
}

fn check_founded(root: &Root) -> Result<(), Refusal> {
    if root.state_folder().exists() {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Usage,
        "there is no environment under this root",
    )
    .value("root", root.path().display())
    .next("name the installation: --root DIR; or make one: lockstep init"))
}

/// Reads a recipe file whose digest was checked.
pub(super) fn read_recipe(file: Vec<u8>) -> Result<Recipe, SprError> {
    Opened::of_file(file)?.decode()
}

/// Reads a site file from disk; nothing of it is believed yet.
pub(super) fn read_site(path: &Path) -> Result<(RawStatement, Vec<MemberBytes>), Refusal> {
    let file = durable::read(path, SITE_MAX)?;
    Ok(site::open(&file)?)
}
