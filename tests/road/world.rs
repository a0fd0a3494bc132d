//! A small world for the tests: a vendor, a site, a desk, and hosts in one temporary folder.
//!
//! Commands are typed as a person types them and run by the shell in that folder, against the
//! program that was just built.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use lockstep::model::Sha256;
use lockstep::trust::SigningKey;
use tempfile::TempDir;
use zeroize::Zeroizing;

pub(crate) type Tested = Result<(), Box<dyn Error>>;
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) const MP4: &str = "to:step/trailblazer/step-trailblazer-9.0-mp4-2026-10-01-12-00-00.spr";
pub(crate) const MP5: &str = "to:step/trailblazer/step-trailblazer-9.0-mp5-2026-11-01-12-00-00.spr";

pub(crate) struct World {
    folder: TempDir,
}

/// What a command printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Every path under a folder with its mode and content: equal before and after, nothing changed.
pub(crate) type Tree = BTreeMap<PathBuf, (u32, String)>;

impl World {
    /// A vendor with two releases, a site with one preparer, and nothing installed.
    pub(crate) fn new() -> Outcome<Self> {
        Self::with_policy("")
    }

    /// The same, with a policy.
    pub(crate) fn with_policy(policy: &str) -> Outcome<Self> {
        let world = Self {
            folder: TempDir::new()?,
        };
        for folder in ["bin", "keys", "usb"] {
            fs::create_dir(world.path(folder))?;
        }
        for name in ["lockstep", "spot"] {
            symlink(env!("CARGO_BIN_EXE_lockstep"), world.path("bin").join(name))?;
        }
        for (seed, name) in [
            (1, "owner"),
            (2, "desk"),
            (3, "anna"),
            (4, "ben"),
            (5, "stranger"),
        ] {
            world.key(seed, name)?;
        }
        world.component(
            "core/9.0/core-9.0.0",
            &[
                ("lib/core.jar", "core 9.0"),
                ("conf/a.properties", "a=1"),
                ("lib/old.txt", "old"),
            ],
            "--config 'conf/*'",
        )?;
        world.component(
            "core/9.1/core-9.1.0",
            &[
                ("lib/core.jar", "core 9.1"),
                ("conf/a.properties", "a=2"),
                ("lib/new.txt", "new"),
            ],
            "--config 'conf/*'",
        )?;
        world.component(
            "restapi/7.0/restapi-7.0.39",
            &[("api/restapi.jar", "restapi 39")],
            "--requires 'core >=9.0, <10'",
        )?;
        world.component(
            "restapi/7.0/restapi-7.0.40",
            &[("api/restapi.jar", "restapi 40")],
            "--requires 'core >=9.0, <10' --hot",
        )?;
        world.component(
            "restapi/7.0/restapi-7.0.41",
            &[("api/restapi.jar", "restapi 41")],
            "--requires 'core >=9.2'",
        )?;
        world.component(
            "customer/acme/portal/1.0/portal-1.0.0",
            &[("portal/portal.jar", "portal")],
            "--requires restapi",
        )?;
        world.publish(
            "release",
            &format!("--recipe {MP4} --component core=9.0.0 --component restapi=7.0.39"),
        )?;
        world.publish(
            "release",
            &format!("--recipe {MP5} --component core=9.1.0 --component restapi=7.0.40"),
        )?;
        fs::write(world.path("policy.toml"), policy)?;
        world.ok("lockstep site new --name acme --vendor stibo=repository/metadata/1.root.json --preparer keys/desk.pub --approver anna=keys/anna.pub --approver ben=keys/ben.pub --policy policy.toml --key keys/owner --output site.spr")?;
        Ok(world)
    }

    /// A world in which the environment PROD runs the first release.
    pub(crate) fn installed() -> Outcome<Self> {
        let world = Self::new()?;
        world.install("PROD")?;
        Ok(world)
    }

    /// Makes an environment, enrols it and applies the first release; its receipt is received.
    pub(crate) fn install(&self, name: &str) -> Tested {
        self.init(name)?;
        self.prepare(
            &format!("usb/{name}.snapshot.spr"),
            MP4,
            &format!("usb/{name}.patch.spr"),
        )?;
        self.apply(
            name,
            &format!("usb/{name}.patch.spr"),
            &format!("usb/{name}.receipt.spr"),
        )?;
        self.ok(&format!(
            "lockstep receive usb/{name}.receipt.spr --desk desk"
        ))?;
        Ok(())
    }

    /// Makes an empty environment and enrols it.
    pub(crate) fn init(&self, name: &str) -> Tested {
        fs::create_dir(self.path(name))?;
        self.ok(&format!("lockstep init --root {name} --name {name} --site site.spr --service none --output usb/{name}.snapshot.spr"))?;
        self.ok(&format!(
            "lockstep enrol usb/{name}.snapshot.spr --desk desk"
        ))?;
        Ok(())
    }

    pub(crate) fn prepare(&self, snapshot: &str, to: &str, output: &str) -> Outcome<Ran> {
        self.ok(&format!("lockstep prepare {snapshot} --to {to} --desk desk --site site.spr --key keys/desk --source repository --output {output}"))
    }

    pub(crate) fn apply(&self, root: &str, patch: &str, receipt: &str) -> Outcome<Ran> {
        self.ok(&format!(
            "lockstep apply {patch} --root {root} --receipt {receipt}"
        ))
    }

    /// Puts an earlier trusted state of `root` back as a reverted virtual machine has it: `current` is a
    /// second name of the very file that was committed, by which the state knows itself.
    pub(crate) fn revert_state(&self, root: &str, states: &str, current: &str) -> Tested {
        self.ok(&format!("rm -r {root}/.lockstep/states && cp -a {states} {root}/.lockstep/states && ln -f {current} {root}/.lockstep/current"))?;
        Ok(())
    }

    /// Publishes a component with these files.
    pub(crate) fn component(&self, recipe: &str, files: &[(&str, &str)], more: &str) -> Tested {
        if !self.path("repository").exists() {
            self.ok("lockstep publish init --repository repository --keys keys/vendor")?;
        }
        let folder = format!("vendor/{recipe}");
        for (path, text) in files {
            let path = self.path(&folder).join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            fs::write(path, text)?;
        }
        self.publish(
            "component",
            &format!("--recipe {recipe} --files {folder} {more}"),
        )
    }

    /// Publishes a one-way version of core, and prepares `usb/3.patch.spr` to it for PROD.
    pub(crate) fn one_way(&self) -> Tested {
        self.component(
            "core/9.3/core-9.3.0",
            &[("lib/core.jar", "core 9.3")],
            "--one-way 'the database is migrated'",
        )?;
        self.ok("lockstep prepare --environment PROD --to to:core/9.3/core-9.3.0.spr --accept downgrade --reason test --desk desk --source repository --output usb/3.patch.spr")?;
        Ok(())
    }

    pub(crate) fn publish(&self, what: &str, more: &str) -> Tested {
        self.ok(&format!(
            "lockstep publish {what} --repository repository --keys keys/vendor {more}"
        ))?;
        Ok(())
    }

    fn key(&self, seed: u8, name: &str) -> Tested {
        let key = SigningKey::from_seed(&Zeroizing::new([seed; 32]))?;
        let private = self.path("keys").join(name);
        fs::write(&private, key.to_openssh()?.as_bytes())?;
        fs::set_permissions(&private, fs::Permissions::from_mode(0o600))?;
        fs::write(
            private.with_extension("pub"),
            format!("{} {name}\n", key.public()?),
        )?;
        Ok(())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Tested {
        Ok(fs::write(self.path(name), text)?)
    }

    /// A program as it is run in this world.
    pub(crate) fn command(&self, program: &str) -> Command {
        let path = format!(
            "{}:/usr/sbin:/usr/bin:/sbin:/bin",
            self.path("bin").display()
        );
        // Whoever runs the tests in the background has signals ignored, and that is handed on.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,HUP,TERM", program]);
        command.current_dir(self.folder.path()).env("PATH", path);
        command
    }

    /// Runs a command line.
    pub(crate) fn run(&self, line: &str) -> Outcome<Ran> {
        let output = self.command("/bin/sh").args(["-c", line]).output()?;
        Ok(Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command line that must succeed.
    pub(crate) fn ok(&self, line: &str) -> Outcome<Ran> {
        let ran = self.run(line)?;
        if ran.code == 0 {
            return Ok(ran);
        }
        Err(format!("{line}\nexit code {}\n{}{}", ran.code, ran.out, ran.err).into())
    }

    /// Runs a command line that must be refused with this exit code, must say every one of `words`
    /// and what to do next, and must change nothing under `folder`.
    pub(crate) fn refused(
        &self,
        folder: &str,
        line: &str,
        code: i32,
        words: &[&str],
    ) -> Outcome<Ran> {
        let before = self.tree(folder)?;
        let ran = self.run(line)?;
        if ran.code != code {
            return Err(format!(
                "{line}\nexit code {}, {code} was expected\n{}{}",
                ran.code, ran.out, ran.err
            )
            .into());
        }
        for word in words.iter().chain(&["unchanged", "next"]) {
            if !ran.err.contains(word) {
                return Err(
                    format!("{line}\nthe message does not say {word:?}:\n{}", ran.err).into(),
                );
            }
        }
        let after = self.tree(folder)?;
        for (path, was) in &before {
            if after.get(path) != Some(was) {
                return Err(format!("{line}\nchanged {}", path.display()).into());
            }
        }
        match after.keys().find(|path| !before.contains_key(*path)) {
            Some(path) => Err(format!("{line}\nleft {} behind", path.display()).into()),
            None => Ok(ran),
        }
    }

    /// Runs `verify`, which must end with this exit code and say this.
    pub(crate) fn refused_verify(&self, more: &str, code: i32, says: &str) -> Tested {
        let ran = self.run(&format!("lockstep verify {more}"))?;
        if ran.code == code && ran.out.contains("not verified") && ran.out.contains(says) {
            return Ok(());
        }
        Err(format!(
            "verify {more}\nexit code {}\n{}{}",
            ran.code, ran.out, ran.err
        )
        .into())
    }

    /// Everything under a folder.
    pub(crate) fn tree(&self, folder: &str) -> Outcome<Tree> {
        let mut tree = Tree::new();
        let root = self.path(folder);
        if root.exists() {
            walk(&root, &root, &mut tree)?;
        }
        Ok(tree)
    }
}

fn walk(root: &Path, at: &Path, tree: &mut Tree) -> Tested {
    for entry in fs::read_dir(at)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        let content = if metadata.is_dir() {
            walk(root, &path, tree)?;
            "folder".to_owned()
        } else if metadata.is_symlink() {
            format!("link {}", fs::read_link(&path)?.display())
        } else {
            Sha256::of(&fs::read(&path)?).to_string()
        };
        tree.insert(
            path.strip_prefix(root)?.to_owned(),
            (metadata.permissions().mode(), content),
        );
    }
    Ok(())
}
