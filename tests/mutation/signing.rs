//! Signatures made anew over a statement that was changed: by the key that may, by one that nobody
//! trusts, by one that is trusted for something else, or for another purpose.

use std::path::Path;

use lockstep::model::snapshot::Installed;
use lockstep::model::state::state_digest;
use lockstep::model::{Kind, Member};
use lockstep::trust::SigningKey;

use super::archive::{Archive, Entry};
use super::dice::Dice;
use super::json::Json;
use super::world::Outcome;

/// Who signs a changed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    /// Nobody: the signatures stay as they are.
    Nobody,
    /// The key that may.
    Right,
    /// A key that nobody trusts.
    Stranger,
    /// A key that is trusted for something else.
    OtherRole,
    /// The key that may, for another purpose.
    OtherPurpose,
}

/// The keys of one kind of file.
pub(crate) struct Keys {
    /// The key that may sign it.
    pub(crate) right: SigningKey,
    /// Keys that are trusted for something else.
    pub(crate) others: Vec<SigningKey>,
    /// A key that nobody trusts.
    pub(crate) stranger: SigningKey,
}

/// Reads a key file without a passphrase.
pub(crate) fn key(path: &Path) -> Outcome<SigningKey> {
    Ok(SigningKey::from_openssh(&std::fs::read(path)?, None)?)
}

impl By {
    /// Whether no file that it signed may ever be taken, whatever it says.
    pub(crate) fn is_forbidden(self) -> bool {
        matches!(self, Self::Stranger | Self::OtherRole | Self::OtherPurpose)
    }

    /// Who signs next.
    pub(crate) fn choose(dice: &mut impl Dice) -> Self {
        match dice.below(20) {
            0..=5 => Self::Nobody,
            6..=12 => Self::Right,
            13..=15 => Self::Stranger,
            16 | 17 => Self::OtherRole,
            _ => Self::OtherPurpose,
        }
    }
}

/// The statement's list of members as the members stand; where there is no pack, those that were listed
/// stay so: a head has none.
pub(crate) fn relist(archive: &mut Archive) {
    let Some(mut statement) = Json::parse(archive.statement()) else {
        return;
    };
    let list: Vec<Member> = (1..archive.entries.len())
        .filter(|at| !archive.is_signature(*at))
        .map(|at| Member::of(archive.entries[at].name(), &archive.entries[at].content))
        .collect();
    let mut list = Json::of(serde_json::to_value(list).unwrap_or_default());
    let is_pack = |name: &str| name.starts_with("packs/");
    if let (Json::List(list), Some(Json::List(old))) = (&mut list, statement.get("members"))
        && !archive.entries.iter().any(|entry| is_pack(&entry.name()))
    {
        let packs = old.iter().filter(|member| {
            let name = member.get("name");
            matches!(name, Some(Json::Text(name)) if is_pack(name))
        });
        list.extend(packs.cloned());
    }
    statement.set("members", &list);
    archive.entries[0].fill(statement.bytes());
}

/// What the nodes will be after the patch, worked out anew from its target as a preparer can: else any
/// other target would be refused for its digest alone.
pub(crate) fn predict(statement: &mut Json) {
    let Some(Json::List(target)) = statement.get("target") else {
        return;
    };
    let installed: Vec<Installed> = target
        .iter()
        .filter_map(|line| match line {
            Json::Text(line) => line.parse().ok(),
            _ => None,
        })
        .collect();
    let after = state_digest(&installed, &[]).to_string();
    if let Some(Json::List(nodes)) = statement.get("nodes") {
        let mut nodes = nodes.clone();
        for node in &mut nodes {
            node.set("after", &Json::Text(after.clone()));
        }
        statement.set("nodes", &Json::List(nodes));
    }
}

/// Signs the statement as it stands; the signatures that were there go. Says what is special about it.
pub(crate) fn sign(
    archive: &mut Archive,
    kind: Kind,
    keys: &Keys,
    by: By,
    dice: &mut impl Dice,
) -> Outcome<Option<&'static str>> {
    let key = match by {
        By::Nobody => return Ok(None),
        By::Right | By::OtherPurpose => &keys.right,
        By::Stranger => &keys.stranger,
        By::OtherRole => dice.pick(&keys.others).unwrap_or(&keys.stranger),
    };
    let own = kind.namespace().unwrap_or("lockstep-recipe");
    let purposes = [
        "lockstep-approval",
        "lockstep-enrolment",
        "lockstep-patch",
        "file",
    ];
    let namespace = match dice.pick(&purposes) {
        Some(other) if by == By::OtherPurpose && *other != own => *other,
        _ if by == By::OtherPurpose => "lockstep-other",
        _ => own,
    };
    // The other hash that a signature may be made with: another signature of the same bytes.
    let other_hash = dice.once_in(4);
    let armoured = if other_hash {
        with_sha256(key, namespace, archive.statement())?
    } else {
        key.sign(namespace, archive.statement())?
    };
    let name = format!("{}.{}.sig", archive.statement_name(), key.public()?.id());
    let Some(template) = archive.entries.first().cloned() else {
        return Ok(None);
    };
    let kept: Vec<Entry> = (0..archive.entries.len())
        .filter(|at| !archive.is_signature(*at))
        .map(|at| archive.entries[at].clone())
        .collect();
    archive.entries = kept;
    archive
        .entries
        .insert(1, Entry::new(&template, &name, armoured));
    Ok(other_hash.then_some("signed with SHA-256"))
}

fn with_sha256(key: &SigningKey, namespace: &str, message: &[u8]) -> Outcome<Vec<u8>> {
    let key = ssh_key::PrivateKey::from_openssh(key.to_openssh()?.as_bytes())?;
    let signature = ssh_key::SshSig::sign(&key, namespace, ssh_key::HashAlg::Sha256, message)?;
    Ok(signature.to_pem(ssh_key::LineEnding::LF)?.into_bytes())
}
