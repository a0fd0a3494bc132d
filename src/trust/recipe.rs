//! A recipe file, opened in one way by everybody who did not make it: host, desk, and whoever takes
//! in what a delegate published.
//!
//! | attack | defence |
//! |---|---|
//! | another file than the vendor's metadata names | digest, and size where the metadata says it, before a byte is parsed |
//! | a signature inside, as if the recipe were its own authority | refused: the metadata is its signature |
//! | members that the recipe does not list, or bytes behind the last | read to the end of the file |
//! | a recipe of another component or version than its path says | refused |

use crate::model::recipe::Recipe;
use crate::model::{RecipePath, Sha256};
use crate::spr::Opened;

use super::TrustError;

/// Largest recipe file, in bytes: a statement as large as may be, and an SBOM.
pub const RECIPE_MAX: u64 = 160 * 1024 * 1024;

/// The very bytes that are named for a recipe path; nothing in them is read yet.
pub struct RecipeFile<'a> {
    path: &'a RecipePath,
    bytes: Vec<u8>,
}

impl<'a> RecipeFile<'a> {
    /// Takes the bytes if they have this digest, and this size where it is known.
    pub fn named(
        path: &'a RecipePath,
        (sha256, size): (&Sha256, Option<u64>),
        bytes: Vec<u8>,
    ) -> Result<Self, TrustError> {
        let found = Sha256::of(&bytes);
        if found != *sha256 {
            return Err(TrustError::corrupt(format!(
                "the file of {path} holds another file: SHA-256 {found}, not {sha256}"
            )));
        }
        match size {
            Some(size) if !u64::try_from(bytes.len()).is_ok_and(|found| found == size) => {
                Err(TrustError::corrupt(format!(
                    "the file of {path} has {} bytes, the metadata that names it says {size}",
                    bytes.len()
                )))
            }
            _ => Ok(Self { path, bytes }),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the recipe, and the file to its end.
    pub fn open(self) -> Result<Recipe, TrustError> {
        let opened = Opened::of_file(self.bytes)?;
        let mut recipe: Recipe = opened.decode()?;
        // A list that grew while it was read has room for up to twice as much.
        recipe.files.shrink_to_fit();
        let (raw, _) = opened.into_memory(&recipe.members, RECIPE_MAX)?;
        let path = self.path;
        if !raw.signatures.is_empty() {
            return Err(TrustError::corrupt(format!(
                "the recipe {path} is signed; the vendor's metadata is its signature"
            )));
        }
        recipe
            .check_path(path)
            .map_err(|e| TrustError::corrupt(e.to_string()))?;
        Ok(recipe)
    }
}
