//! What is told of many files at once: each that was dealt with, each that was refused, and how
//! many of other kinds were passed over.
//!
//! A refusal of one hides none of the others. The command ends with the code of the first; that
//! there was nothing to do for one does not hide that another was refused.
//!
//! Attack: a file on the medium whose name has line breaks, and after them a line that says of
//! another environment what is not true. Defence: what stands in a line is escaped as it is put there.

use std::fmt;

use serde::Serialize;

use crate::disk::medium::PassedOver;
use crate::model::text::Escaped;
use crate::model::{Refusal, RefusalName};

/// What a command that takes one or many tells.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Told<T> {
    /// Of the one file that was named.
    One(T),
    /// Of all that was named or found.
    Many(Many<T>),
}

/// What became of many.
#[derive(Debug, Serialize)]
pub struct Many<T> {
    /// What was done, in order.
    pub done: Vec<T>,
    /// What was refused, in order.
    pub refused: Vec<Refused>,
    /// Files that were left out on purpose, each with the reason.
    pub left_out: Vec<LeftOut>,
    /// Files of other kinds in the folders.
    pub passed_over: PassedOver,
}

/// One that was refused.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// Which file or environment.
    pub subject: String,
    /// Why.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// One that was not needed.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// Which file.
    pub subject: String,
    /// Why.
    pub reason: String,
}

/// An outcome that can be told in one line among others.
pub trait OneLine {
    /// What to do when all are done.
    const NEXT: &'static str;

    /// What was done, to what.
    fn line(&self) -> String;

    /// What else is to be known of it, a line each.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<T> Many<T> {
    pub(super) fn new(passed_over: PassedOver) -> Self {
        Self {
            done: Vec::new(),
            refused: Vec::new(),
            left_out: Vec::new(),
            passed_over,
        }
    }

    pub(super) fn refuse(&mut self, subject: impl fmt::Display, refusal: Refusal) {
        self.refused.push(Refused {
            subject: subject.to_string(),
            refusal,
        });
    }

    pub(super) fn leave_out(&mut self, subject: impl fmt::Display, reason: impl Into<String>) {
        self.left_out.push(LeftOut {
            subject: subject.to_string(),
            reason: reason.into(),
        });
    }

    pub(super) fn take(&mut self, subject: impl fmt::Display, result: Result<T, Refusal>) {
        match result {
            Ok(done) => self.done.push(done),
            Err(refusal) => self.refuse(subject, refusal),
        }
    }
}

impl<T> Told<T> {
    /// What was refused, in order.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        match self {
            Self::One(_) => &[],
            Self::Many(many) => &many.refused,
        }
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> u8 {
        let names = || self.refused().iter().map(|one| one.refusal.name);
        names()
            .find(|name| *name != RefusalName::NothingToDo)
            .or_else(|| names().next())
            .map_or(0, RefusalName::code)
    }
}

impl<T: fmt::Display + OneLine> fmt::Display for Told<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(one) => one.fmt(f),
            Self::Many(many) => many.fmt(f),
        }
    }
}

impl<T: OneLine> fmt::Display for Many<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for done in &self.done {
            writeln!(f, "{}", Escaped(&done.line()))?;
            for line in done.details() {
                writeln!(f, "{}", Escaped(&line))?;
            }
        }
        for LeftOut { subject, reason } in &self.left_out {
            writeln!(f, "left out   {}: {}", Escaped(subject), Escaped(reason))?;
        }
        for Refused { subject, refusal } in &self.refused {
            let (name, code) = (refusal.name, refusal.name.code());
            let (subject, what) = (Escaped(subject), Escaped(&refusal.what));
            writeln!(f, "refused    {subject}: {name} ({code}), {what}")?;
        }
        if !self.passed_over.is_empty() {
            writeln!(f, "passed by  {}", self.passed_over)?;
        }
        let (done, refused) = (self.done.len(), self.refused.len());
        write!(f, "in all     {done} done, {refused} refused")?;
        if done > 0 {
            write!(f, "\n  next       {}", T::NEXT)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_the_first_that_counts() {
        use RefusalName::{Conflict, NothingToDo, Stale};
        for (names, code) in [
            (vec![], 0),
            (vec![Conflict, Stale], 30),
            (vec![NothingToDo, Stale, Conflict], 13),
            (vec![NothingToDo], 3),
        ] {
            let mut many: Many<()> = Many::new(PassedOver::default());
            for name in names {
                many.refuse("PROD", Refusal::new(name, "no"));
            }
            assert_eq!(Told::Many(many).exit(), code);
        }
    }
}
