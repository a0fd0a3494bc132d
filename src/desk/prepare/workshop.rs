//! Where a patch is made: packs lie in a folder beside the file until they are in it.

use std::path::{Path, PathBuf};

use super::nodes::Nodes;
use crate::disk::{DiskError, durable, handout};
use crate::model::{Refusal, RefusalName, volume};

/// Where the file is made: packs lie in a folder beside it until they are in it, contents that are compared
/// in one of the desk's cache, because the medium may be small and slow.
pub(super) struct Workshop {
    pub(super) output: PathBuf,
    packs: Folder,
    pairs: Folder,
}

/// A folder that is gone once this is.
struct Folder(PathBuf);

impl Workshop {
    pub(super) fn open(
        output: Option<&Path>,
        cache: &Path,
        nodes: &Nodes,
    ) -> Result<Self, Refusal> {
        let name = format!(
            "{}-{:04}.patch.spr",
            nodes.environment().name,
            nodes.sequence()
        );
        let output = match output {
            None => PathBuf::from(name),
            Some(path) if path.is_dir() => path.join(name),
            Some(path) => path.to_owned(),
        };
        handout::check_free(&output)?;
        handout::check_free(&head_name(&output))?;
        check_no_volumes(&output)?;
        let name = format!(".lockstep-{}", uuid::Uuid::new_v4().simple());
        durable::make_folders(cache, 0o700)?;
        Ok(Self {
            packs: Folder::create(output.with_file_name(&name))?,
            pairs: Folder::create(cache.join(&name))?,
            output,
        })
    }

    /// What the file, or each of `count` volumes, is called.
    pub(super) fn files(&self, count: usize) -> Vec<PathBuf> {
        let whole = self
            .output
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let path = |number| {
            self.output
                .with_file_name(volume::name(&whole, number, count))
        };
        match count {
            1 => vec![self.output.clone()],
            _ => (1..=count).map(path).collect(),
        }
    }

    /// A pack's place.
    pub(super) fn pack(&self, name: &str) -> PathBuf {
        self.packs.0.join(name)
    }

    /// The folder of contents that are compared.
    pub(super) fn pairs(&self) -> &Path {
        &self.pairs.0
    }

    /// The place of one of them.
    pub(super) fn pair(&self, name: &str) -> PathBuf {
        self.pairs.0.join(name)
    }
}

impl Folder {
    fn create(path: PathBuf) -> Result<Self, DiskError> {
        std::fs::create_dir(&path).map_err(DiskError::io("create the folder", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the folder is this value's own, made by it"
        )]
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Volumes that lie there under this name are of an earlier patch: beside new ones, people would carry
/// both. They may be out for approval, and are nobody's to remove but the operator's.
fn check_no_volumes(output: &Path) -> Result<(), Refusal> {
    let whole = output.file_name().unwrap_or_default().to_string_lossy();
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // What else is the matter with the folder shows when a file is made in it.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    let mut there: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| volume::whole(name).as_deref() == Some(&*whole))
        .collect();
    there.sort();
    let Some(first) = there.first() else {
        return Ok(());
    };
    Err(Refusal::new(
        RefusalName::Usage,
        "volumes of an earlier patch of that name are there already",
    )
    .value("file", folder.join(first).display())
    .value("and", format!("{} more", there.len().saturating_sub(1)))
    .next("name another one with --output, or move the old ones away"))
}

/// `PROD-EU-0007.patch.spr` has its head in `PROD-EU-0007.head.spr`.
pub(super) fn head_name(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".spr").unwrap_or(&name);
    let stem = stem.strip_suffix(".patch").unwrap_or(stem);
    output.with_file_name(format!("{stem}.head.spr"))
}
