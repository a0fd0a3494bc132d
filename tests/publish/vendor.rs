//! A build server to test with.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lockstep::disk::durable;
use lockstep::model::recipe::{Hot, Recipe};
use lockstep::model::site;
use lockstep::model::snapshot::Floor;
use lockstep::model::{RecipePath, Refusal, Sha256, Time, Unwatched, Watch};
use lockstep::publish::{KeyFolder, component, init, release, words};
use lockstep::release::tuf::Lifetimes;
use lockstep::release::{Directory, FetchedVendor, Source as _, State, Wanted, fetch};
use lockstep::spr::Opened;
use lockstep::trust::vendor::{Expiry, VendorFiles, VerifiedVendor, verify};
use tempfile::TempDir;

pub(crate) type Done<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) const RESTAPI: &str = "restapi/7.0/restapi-7.0.40";

/// A build server: a repository, keys and folders to publish.
pub(crate) struct Vendor {
    pub(crate) folder: TempDir,
}

impl Vendor {
    pub(crate) fn new() -> Done<Self> {
        let vendor = Self {
            folder: tempfile::tempdir()?,
        };
        init::run(&vendor.init(), day(0), &Unwatched)?;
        Ok(vendor)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn keys(&self) -> KeyFolder {
        KeyFolder::new(self.path("keys"))
    }

    pub(crate) fn source(&self) -> Directory {
        Directory::new(self.path("repo"))
    }

    pub(crate) fn state(&self) -> Done<State> {
        Ok(State::load(&self.source())?)
    }

    pub(crate) fn init(&self) -> init::Request {
        init::Request {
            repository: self.path("repo"),
            keys: self.keys(),
            threshold: 1,
            root_keys: Vec::new(),
            lifetimes: Lifetimes::default(),
        }
    }

    /// Lays files with these contents into the folder that is published next.
    pub(crate) fn lay(&self, files: &[(&str, &str)]) -> Done {
        for (path, content) in files {
            lay(&self.path("build").join(path), content)?;
        }
        Ok(())
    }

    pub(crate) fn component(&self, recipe: &str) -> Done<component::Request> {
        Ok(component::Request {
            repository: self.path("repo"),
            keys: self.keys(),
            recipe: recipe.parse()?,
            files: self.path("build"),
            requires: Vec::new(),
            joint: Vec::new(),
            replaces: Vec::new(),
            takes: Vec::new(),
            hot: Hot::No("it was never tried".to_owned()),
            one_way: None,
            config: Vec::new(),
            notes: None,
            licence: None,
            sbom: None,
        })
    }

    pub(crate) fn publish(&self, recipe: &str) -> Done<component::Outcome> {
        Ok(component::run(
            &self.component(recipe)?,
            day(1),
            &Unwatched,
        )?)
    }

    pub(crate) fn release(&self, recipe: &str, components: &[&str]) -> Done<release::Request> {
        Ok(release::Request {
            repository: self.path("repo"),
            keys: self.keys(),
            recipe: recipe.parse()?,
            components: components
                .iter()
                .map(|text| words::named(text))
                .collect::<Result<_, _>>()?,
            notes: None,
        })
    }

    pub(crate) fn recipe(&self, path: &str) -> Done<Recipe> {
        let path: RecipePath = path.parse()?;
        let state = self.state()?;
        let file = state.recipe(&path).ok_or("not published")?;
        let bytes = self
            .source()
            .target(&path, &file.hashes.sha256, file.length)?;
        let opened = Opened::open(bytes.as_slice())?;
        let recipe: Recipe = opened.decode()?;
        opened.into_memory(&recipe.members, 1_000_000)?;
        Ok(recipe)
    }
}

/// What a host has: the root that its site file names, and the floors of its last commit.
pub(crate) struct Host {
    root: Vec<u8>,
    pub(crate) floors: Vec<Floor>,
}

impl Host {
    /// A host whose site file has this root of the repository, and that has seen nothing yet.
    pub(crate) fn new(vendor: &Vendor) -> Done<Self> {
        let path = vendor.path("repo/metadata/1.root.json");
        Ok(Self {
            root: durable::read(&path, 100_000)?,
            floors: Vec::new(),
        })
    }

    /// Verifies what the repository says now, as a patch carries it; remembers nothing.
    pub(crate) fn sees(&self, vendor: &Vendor, now: Time) -> Done<VerifiedVendor> {
        let found = fetch(&vendor.source(), 1, Wanted::All)?;
        self.takes(&files(&found), now)
    }

    /// Verifies metadata, and remembers nothing.
    pub(crate) fn takes(&self, files: &VendorFiles, now: Time) -> Done<VerifiedVendor> {
        let named = site::Vendor {
            name: "stibo".parse()?,
            prefixes: Vec::new(),
            root: Sha256::of(&self.root),
            since: None,
        };
        let expiry = Expiry::Host {
            now,
            time_floor: Time::EPOCH,
            age_days: 90,
            accept_expired: false,
        };
        Ok(verify(&named, &self.root, files, &self.floors, &expiry)?)
    }

    /// Verifies what the repository says now, and commits to it.
    pub(crate) fn follows(&mut self, vendor: &Vendor, now: Time) -> Done {
        self.floors = self.sees(vendor, now)?.floors().to_vec();
        Ok(())
    }
}

/// Fetched metadata, sorted for whoever verifies it.
pub(crate) fn files(found: &FetchedVendor) -> VendorFiles {
    VendorFiles {
        roots: found.roots.clone(),
        timestamp: found.timestamp.clone(),
        snapshot: found.snapshot.clone(),
        targets: found.targets.clone(),
        delegated: found.delegated.clone(),
    }
}

/// Lays a copy of a folder at `to`, which must not be there.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Done {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            let bytes = durable::read(&entry.path(), 100_000_000)?;
            durable::write(&target, &bytes, entry.metadata()?.permissions().mode())?;
        }
    }
    Ok(())
}

/// Writes a file with mode 0644 in a folder with mode 0755, whatever the umask is.
pub(crate) fn lay(path: &Path, content: &str) -> Done {
    let folder = path.parent().ok_or("no folder")?;
    if !folder.is_dir() {
        durable::make_folders(folder, 0o755)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    durable::write(path, content.as_bytes(), 0o644)?;
    let mode = fs::Permissions::from_mode(0o644);
    Ok(fs::set_permissions(path, mode)?)
}

pub(crate) fn day(days: i64) -> Time {
    Time::from_unix(1_800_000_000).plus_days(days)
}

/// Every file below `folder` with its content, to see that nothing changed.
pub(crate) fn everything(folder: &Path) -> Done<Vec<(PathBuf, Sha256)>> {
    let mut all = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = durable::read(&path, 100_000_000)?;
                all.push((path, Sha256::of(&bytes)));
            }
        }
    }
    all.sort();
    Ok(all)
}

/// The refusal that `result` is.
pub(crate) fn refused<T>(result: Result<T, Refusal>) -> Done<Refusal> {
    match result {
        Ok(_) => Err("it was not refused".into()),
        Err(refusal) if refusal.next.is_empty() => Err("a refusal without a next step".into()),
        Err(refusal) => Ok(refusal),
    }
}

/// What was warned of.
#[derive(Default)]
pub(crate) struct Warned(std::sync::Mutex<Vec<String>>);

impl Warned {
    /// Line by line.
    pub(crate) fn said(&self) -> String {
        self.0
            .lock()
            .map_or_else(|_| String::new(), |lines| lines.join("\n"))
    }
}

impl Watch for Warned {
    fn say(&self, _: &str) {}
    fn warn(&self, line: &str) {
        if let Ok(mut lines) = self.0.lock() {
            lines.push(line.to_owned());
        }
    }
    fn progress(&self, _: &str, _: u64, _: u64) {}
}
