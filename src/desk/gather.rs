//! From the files and folders named on a command line to the nodes whose word lies in them.
//!
//! What a file claims only sorts it; whatever takes it in reads it again and verifies it whole.

use std::path::{Path, PathBuf};

use super::many::Many;
use crate::disk::DiskError;
use crate::disk::medium::{Lying, Medium, PassedOver};
use crate::model::receipt::Receipt;
use crate::model::snapshot::{EnvironmentId, NodeId, Snapshot};
use crate::model::{Kind, Refusal};
use crate::spr::{Opened, SprError};

/// What a node's file claims, from its statement alone.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) path: PathBuf,
    pub(super) environment: EnvironmentId,
    pub(super) node: NodeId,
    pub(super) sequence: u64,
}

/// Reads what lies at `places`. Claims come back rising by environment, node and sequence number;
/// what cannot be read, or was named and is of another kind, stands among the refused.
pub(super) fn claims<T>(
    places: &[PathBuf],
    takes: &[Kind],
    wanted: &'static str,
) -> Result<(Vec<Claim>, Many<T>), Refusal> {
    let mut medium = Medium::look(places)?;
    let mut passed_over = PassedOver::default();
    let mut claims = Vec::new();
    let mut refused = Vec::new();
    for Lying { path, named, kind } in std::mem::take(&mut medium.files) {
        let error = match kind {
            Ok(found) if takes.contains(&found) => match claim(&path) {
                Ok(claim) => {
                    claims.push(claim);
                    continue;
                }
                Err(refusal) => {
                    refused.push((path, refusal));
                    continue;
                }
            },
            Ok(found) if !named => {
                passed_over.count(Some(found));
                continue;
            }
            Ok(found) => SprError::Kind {
                wanted: takes.first().copied().unwrap_or(found),
                found,
            },
            Err(SprError::Foreign(_)) if !named => {
                passed_over.count(None);
                continue;
            }
            Err(error) => error,
        };
        let refusal = error.refuse(&path);
        refused.push((path, refusal));
    }
    if claims.is_empty() && refused.is_empty() {
        return Err(medium.nothing(wanted, &passed_over));
    }
    claims.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut many = Many::new(passed_over);
    for (path, refusal) in refused {
        many.refuse(path.display(), refusal);
    }
    Ok((claims, many))
}

fn key(claim: &Claim) -> (&str, uuid::Uuid, &str, u64, &Path) {
    (
        claim.environment.name.as_str(),
        claim.environment.id,
        claim.node.name.as_str(),
        claim.sequence,
        &claim.path,
    )
}

fn claim(path: &Path) -> Result<Claim, Refusal> {
    let file = std::fs::File::open(path).map_err(DiskError::io("open", path))?;
    let opened = Opened::open(std::io::BufReader::new(file)).map_err(|e| e.refuse(path))?;
    let claimed = if opened.raw().kind == Kind::Receipt {
        opened
            .decode()
            .map(|r: Receipt| (r.environment, r.node, r.sequence))
    } else {
        opened
            .decode()
            .map(|s: Snapshot| (s.environment, s.node, s.sequence))
    };
    let (environment, node, sequence) = claimed.map_err(|e| e.refuse(path))?;
    Ok(Claim {
        path: path.to_owned(),
        environment,
        node,
        sequence,
    })
}
