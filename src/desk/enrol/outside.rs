//! The enrolment file: the outside memory of a node, signed by a preparer, for the day on which its
//! host is restored.

use std::path::{Path, PathBuf};

use super::{Request, later};
use crate::desk::Desk;
use crate::desk::statements::Word;
use crate::disk::handout;
use crate::disk::keys::{self, KeyFile};
use crate::model::enrolment::Enrolment;
use crate::model::statement::FORMAT;
use crate::model::{Kind, Refusal, RefusalName, Time, Watch};
use crate::spr::{RawSignature, canonical, encode_small};

/// A key to sign with, and where the file goes.
pub(super) struct Writer {
    output: PathBuf,
    key: KeyFile,
}

/// What an enrolment file is to say, a place for it that is free, and the key.
pub(super) struct Ready {
    word: Word,
    output: PathBuf,
    key: KeyFile,
}

impl Writer {
    /// Made ready before the desk learns anything; nothing where no enrolment file is wanted.
    pub(super) fn open(
        desk: &Desk,
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
        // Of which word it is, and so its name, is known for sure only once this one is learned.
        let record = desk.environment(&word.snapshot.get().environment)?;
        let known = record.is_some_and(|record| later(&record, word).is_some());
        if !known || !output.is_dir() {
            handout::check_free(&place(output, word))?;
        }
        let key = keys::load(key_file, watch)?;
        let output = output.clone();
        Ok(Some(Self { output, key }))
    }

    /// Of that word, by whose number the file is named where a folder was.
    pub(super) fn of(self, word: Word) -> Result<Ready, Refusal> {
        let Self { output, key } = self;
        let output = place(&output, &word);
        handout::check_free(&output)?;
        Ok(Ready { word, output, key })
    }
}

fn place(output: &Path, word: &Word) -> PathBuf {
    if !output.is_dir() {
        return output.to_owned();
    }
    let snapshot = word.snapshot.get();
    let (name, sequence) = (&snapshot.environment.name, snapshot.sequence);
    output.join(format!("{name}-{sequence:04}.enrolment.spr"))
}

impl Ready {
    /// Writes what the node's word says, and where.
    pub(super) fn write(self, now: Time) -> Result<PathBuf, Refusal> {
        let Self { word, output, key } = self;
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
