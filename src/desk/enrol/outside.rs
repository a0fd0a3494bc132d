//! The enrolment file: the outside memory of a node, signed by a preparer, for the day on which its
//! host is restored.

use std::path::PathBuf;

use super::Request;
use crate::desk::statements::Word;
use crate::disk::handout;
use crate::disk::keys::{self, KeyFile};
use crate::model::enrolment::Enrolment;
use crate::model::statement::FORMAT;
use crate::model::{Kind, Refusal, RefusalName, Time, Watch};
use crate::spr::{RawSignature, canonical, encode_small};

/// A place that is free, and a key to sign with.
pub(super) struct Writer {
    output: PathBuf,
    key: KeyFile,
}

impl Writer {
    /// Made ready before the desk learns anything; nothing where no enrolment file is wanted.
    pub(super) fn open(
        request: &Request,
        word: &Word,
        watch: &dyn Watch,
    ) -> Result<Option<Self>, Refusal> {
        let Some(output) = &request.output else {
            return Ok(None);
        };
        let Some(key_file) = &request.key else {
            return Err(Refusal::new(
                RefusalName::Usage,
                "an enrolment file is signed, and no key was named",
            )
            .next("add --key KEY"));
        };
        let snapshot = word.snapshot.get();
        let output = if output.is_dir() {
            let environment = &snapshot.environment.name;
            output.join(format!(
                "{environment}-{:04}.enrolment.spr",
                snapshot.sequence
            ))
        } else {
            output.clone()
        };
        handout::check_free(&output)?;
        let key = keys::load(key_file, watch)?;
        Ok(Some(Self { output, key }))
    }

    /// Writes what the node's word says, and where.
    pub(super) fn write(self, word: &Word, now: Time) -> Result<PathBuf, Refusal> {
        let Self { output, key } = self;
        let snapshot = word.snapshot.get();
        let enrolment = Enrolment {
            created: now,
            environment: snapshot.environment.clone(),
            floors: snapshot.floors.clone(),
            format: FORMAT,
            kind: Kind::Enrolment,
            members: Vec::new(),
            node: snapshot.node.clone(),
            receipt: word
                .receipt
                .as_ref()
                .map_or(snapshot.receipt, |receipt| Some(receipt.sha256())),
            sequence: snapshot.sequence,
            site: snapshot.site.clone(),
        };
        let bytes = canonical::encode(&enrolment).map_err(|e| e.refuse(&output))?;
        let signature = RawSignature {
            key: key.id(),
            armoured: key.sign(Kind::Enrolment, &bytes)?,
        };
        let file = encode_small(Kind::Enrolment, &bytes, &[signature], &[])
            .map_err(|e| e.refuse(&output))?;
        handout::write(&output, &file)?;
        Ok(output)
    }
}
