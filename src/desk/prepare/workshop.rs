//! Where a patch is made: packs lie in a folder beside the file until they are in it.

use std::path::{Path, PathBuf};

use super::nodes::Nodes;
use crate::disk::{DiskError, handout};
use crate::model::Refusal;

/// Where the file is made: packs lie in a folder beside it until they are in it.
pub(super) struct Workshop {
    pub(super) output: PathBuf,
    folder: PathBuf,
}

impl Workshop {
    pub(super) fn open(output: Option<&Path>, nodes: &Nodes) -> Result<Self, Refusal> {
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
        let folder = output.with_file_name(format!(".lockstep-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).map_err(DiskError::io("create the folder", &folder))?;
        Ok(Self { output, folder })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the folder is this value's own, made by it"
        )]
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// `PROD-EU-0007.patch.spr` has its head in `PROD-EU-0007.head.spr`.
pub(super) fn head_name(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".spr").unwrap_or(&name);
    let stem = stem.strip_suffix(".patch").unwrap_or(stem);
    output.with_file_name(format!("{stem}.head.spr"))
}
