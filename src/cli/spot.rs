//! SPOT's spelling: called as `spot`, the program takes the command lines of the tool that its
//! users know, and says what it understood.
//!
//! Only the grammar is translated; what happens is what the `lockstep` command does.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::model::{Refusal, RefusalName};

/// A command line in this program's own words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) arguments: Vec<OsString>,
    pub(super) hints: Vec<String>,
}

/// Whether the program was called as `spot`.
pub(super) fn is_spot(arguments: &[OsString]) -> bool {
    arguments
        .first()
        .and_then(|program| Path::new(program).file_name())
        .is_some_and(|name| name == OsStr::new("spot"))
}

/// What SPOT's options were given.
#[derive(Debug, Default)]
struct Said {
    snapshot: Option<String>,
    apply: Option<String>,
    prepare: Option<String>,
    target: Option<String>,
    output: Option<String>,
    offline: bool,
    components: bool,
    hot: bool,
    passed_on: Vec<String>,
}

/// Translates SPOT's options.
pub(super) fn translate(arguments: &[OsString]) -> Result<Spoken, Refusal> {
    let mut hints = Vec::new();
    let words = joined(arguments, &mut hints)?;
    if words.is_empty()
        || words
            .iter()
            .any(|word| matches!(word.as_str(), "--help" | "-h"))
    {
        return Err(usage("as spot, this program takes SPOT's offline method").value("snapshot", "spot --snapshot=FILE.spr").value("prepare", "spot --accessmode=offline --apply=to:RECIPE.spr --target=SNAPSHOT.spr --output=PATCH.spr").value("apply", "spot --apply=PATCH.spr").value("list", "spot --components"));
    }
    let said = listen(&words)?;
    let mut spoken: Vec<String> = vec!["lockstep".to_owned()];
    spoken.extend(said.action(&words)?);
    spoken.extend(said.passed_on);
    hints.push(format!("spot: this is {}", spoken.join(" ")));
    Ok(Spoken {
        arguments: spoken.into_iter().map(OsString::from).collect(),
        hints,
    })
}

impl Said {
    /// The one thing that was asked for; options that do not belong to it are refused, not ignored.
    fn action(&self, words: &[String]) -> Result<Vec<String>, Refusal> {
        let given = [
            self.snapshot.is_some(),
            self.apply.is_some(),
            self.prepare.is_some(),
            self.components,
        ];
        let strays = || usage("these options do not go together").value("given", words.join(" "));
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(strays());
        }
        let loose = self.target.is_some() || self.output.is_some() || self.offline;
        if let Some(file) = &self.snapshot {
            let stray = loose || self.hot;
            return if stray {
                Err(strays())
            } else {
                Ok(line(&["snapshot", "--output", file]))
            };
        }
        if self.components {
            let stray = loose || self.hot;
            return if stray {
                Err(strays())
            } else {
                Ok(line(&["components"]))
            };
        }
        let what = self
            .apply
            .as_ref()
            .or(self.prepare.as_ref())
            .ok_or_else(strays)?;
        match (&self.target, what.starts_with("to:")) {
            (Some(snapshot), _) if !self.hot => {
                let mut words = line(&["prepare", snapshot, "--to", what]);
                words.extend(self.output.iter().flat_map(|file| line(&["--output", file])));
                Ok(words)
            }
            (None, true) => Err(usage("preparing offline needs the snapshot that it is for")
                .value("asked for", what)
                .next("spot --accessmode=offline --apply=to:RECIPE.spr --target=SNAPSHOT.spr --output=PATCH.spr")),
            // SPOT's --prepare asks whether a patch would go; so does a dry run.
            (None, false) if !loose => {
                let mut words = line(&["apply", what]);
                words.extend(self.prepare.iter().map(|_| "--dry-run".to_owned()));
                words.extend(self.hot.then(|| "--hot".to_owned()));
                Ok(words)
            }
            _ => Err(strays()),
        }
    }
}

fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Joins `--apply= to:X`, as the manual prints it, into `--apply=to:X`.
fn joined(arguments: &[OsString], hints: &mut Vec<String>) -> Result<Vec<String>, Refusal> {
    let mut words: Vec<String> = Vec::new();
    for argument in arguments.iter().skip(1) {
        let Some(word) = argument.to_str() else {
            return Err(
                usage("an argument is not UTF-8").value("given", argument.to_string_lossy())
            );
        };
        match words.last_mut() {
            Some(last)
                if last.starts_with("--") && last.ends_with('=') && !word.starts_with("--") =>
            {
                hints.push(format!("spot: a stray space after {last} was passed over"));
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    Ok(words)
}

fn listen(words: &[String]) -> Result<Said, Refusal> {
    let mut said = Said::default();
    let mut left = words.iter();
    while let Some(word) = left.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let slot = match option {
            "--snapshot" => &mut said.snapshot,
            "--apply" => &mut said.apply,
            "--prepare" => &mut said.prepare,
            "--target" => &mut said.target,
            "--output" => &mut said.output,
            "--accessmode" if value.as_deref() == Some("offline") => {
                said.offline = true;
                continue;
            }
            "--components" => {
                said.components = true;
                continue;
            }
            "--hot" => {
                said.hot = true;
                continue;
            }
            // What SPOT does not know, and the road needs: whom to trust, where things lie.
            "--root" | "--desk" | "--source" | "--site" | "--key" | "--receipt"
            | "--environment" => {
                said.passed_on.push(option.to_owned());
                said.passed_on
                    .extend(value.or_else(|| left.next().cloned()));
                continue;
            }
            "--json" | "--quiet" | "--dry-run" => {
                said.passed_on.push(option.to_owned());
                continue;
            }
            _ => return Err(usage("this release does not know the option").value("given", word)),
        };
        match value.filter(|value| !value.is_empty()) {
            Some(value) if slot.is_none() => *slot = Some(value),
            Some(_) => return Err(usage("the option was given twice").value("given", word)),
            None => return Err(usage("the option needs a value").value("given", word)),
        }
    }
    Ok(said)
}

fn usage(what: &str) -> Refusal {
    Refusal::new(RefusalName::Usage, what)
        .next("lockstep --help lists every command in its own words")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(line: &str) -> String {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let words = translate(&arguments).unwrap().arguments;
        words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_offline_method() {
        for (spot, lockstep) in [
            (
                "./spot --snapshot=PROD.spr",
                "lockstep snapshot --output PROD.spr",
            ),
            (
                "./spot --accessmode=offline --apply= to:step/trailblazer/step-trailblazer-9.0.spr --target=PROD.spr --output=P.spr",
                "lockstep prepare PROD.spr --to to:step/trailblazer/step-trailblazer-9.0.spr --output P.spr",
            ),
            ("./spot --apply=P.spr", "lockstep apply P.spr"),
            (
                "./spot --accessmode=offline --apply=to:a.spr --target=/media/usb --output=/media/usb",
                "lockstep prepare /media/usb --to to:a.spr --output /media/usb",
            ),
            ("./spot --apply=/media/usb", "lockstep apply /media/usb"),
            ("./spot --components", "lockstep components"),
            ("./spot --prepare=P.spr", "lockstep apply P.spr --dry-run"),
        ] {
            assert_eq!(spoken(spot), lockstep);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "spot",
            "spot --apply",
            "spot --apply=",
            "spot --apply=to:a.spr",
            "spot --frobnicate",
            "spot --apply=a.spr --apply=b.spr",
            "spot --snapshot=a --apply=b",
            "spot --accessmode=online",
            "spot --snapshot=a --output=b",
            "spot --apply=a.spr --output=b",
            "spot --components --hot",
            "spot --prepare=to:a.spr",
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(
                translate(&arguments).unwrap_err().name,
                RefusalName::Usage,
                "{line}"
            );
        }
    }
}
