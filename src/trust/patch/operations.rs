//! The operations of a patch: the list that its statement speaks of, read line by line.
//!
//! | attack | defence |
//! |---|---|
//! | a few bytes that decompress to gigabytes | the statement says how many there are, within a bound, and there is not one more |
//! | other operations than the preparer signed | the member's digest is in the statement |

use std::fmt::Display;
use std::io::{BufReader, Read as _};

use crate::model::operation::{OPERATIONS_MEMBER, Operation};
use crate::model::patch::Patch;
use crate::spr::lines::Lines;
use crate::trust::TrustError;
use crate::trust::unzstd::unzstd_list;

use super::members::Parts;

pub(super) fn read(patch: &Patch, parts: &mut Parts) -> Result<Vec<Operation>, TrustError> {
    let mut list = Vec::new();
    if let Some(stated) = patch.operations {
        let corrupt =
            |why: &dyn Display| TrustError::corrupt(format!("{OPERATIONS_MEMBER}: {why}"));
        let packed = parts.need(OPERATIONS_MEMBER)?;
        let mut plain = unzstd_list(&packed).map_err(|e| corrupt(&e))?;
        let mut bounded = plain.by_ref().take(stated.size);
        let mut lines = Lines::new(BufReader::new(&mut bounded));
        while let Some(operation) = lines.take().map_err(|e| corrupt(&e))? {
            list.push(operation);
        }
        let left = bounded.limit();
        let more = plain.read(&mut [0]).map_err(|e| corrupt(&e))?;
        if left > 0 || more > 0 {
            let size = stated.size;
            return Err(corrupt(&format!(
                "it does not decompress to the {size} bytes that the statement says"
            )));
        }
    }
    list.shrink_to_fit();
    patch
        .check_operations(&list)
        .map_err(|e| TrustError::corrupt(e.to_string()))?;
    Ok(list)
}
