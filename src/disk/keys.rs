//! Keys of people: private key files read with their passphrase, and keys that an SSH agent holds.
//!
//! | attack | defence |
//! |---|---|
//! | a private key that others can read, or that another user owns and can change | refused: owner and mode are those of the very file that was opened |
//! | a link that leads to another file after it was looked at | what was opened is looked at; a link is followed once |
//! | a pipe or a device in the place of a key | plain files alone |
//! | copies of a key left in memory | the file's text is read into one buffer of fixed size, which is wiped; the key wipes itself |
//! | a passphrase tried again and again | one try a command |
//! | an agent that signs with another key, or other bytes | what it made is checked before it is handed out |

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::agent::Agent;
use super::{DiskError, durable};
use crate::model::{Kind, PublicKey, Refusal, RefusalName, Sha256, Watch};
use crate::trust::{KeyFileError, SigningKey, sshsig};

/// Largest key file, in bytes.
const KEY_MAX: usize = 64 * 1024;
/// Bits of a mode that let others read or change a private key.
const OTHERS: u32 = 0o077;
/// How a private key file begins.
const PRIVATE: &[u8] = b"-----BEGIN ";

/// A key that signs, and the file that named it.
pub struct KeyFile {
    half: Half,
    public: PublicKey,
    comment: String,
    path: PathBuf,
}

/// Where the private half is.
enum Half {
    Here(Box<SigningKey>),
    Agent(Agent),
}

/// Loads a private key file; where it has a passphrase, `watch` is asked for it. The file of a public
/// key stands for its private half in the agent that `watch` knows of.
pub fn load(path: &Path, watch: &dyn Watch) -> Result<KeyFile, Refusal> {
    let file = durable::open_plain(path)?;
    let text = text(&file, path)?;
    if text.starts_with(PRIVATE) {
        check_private(&file, path)?;
        return open(path, &text, watch);
    }
    match public(path, &text) {
        Ok((key, comment)) => held(path, key, comment, watch),
        Err(_) => Err(refuse(path, &KeyFileError::Unreadable)),
    }
}

/// Loads a public key file.
pub fn load_public(path: &Path) -> Result<(PublicKey, String), Refusal> {
    let file = durable::open_plain(path)?;
    public(path, &text(&file, path)?)
}

/// A key file's text, in a buffer that never moves.
fn text(file: &File, path: &Path) -> Result<Zeroizing<Vec<u8>>, DiskError> {
    let limit = u64::try_from(KEY_MAX).unwrap_or(u64::MAX);
    let mut text = Zeroizing::new(vec![0; KEY_MAX.saturating_add(1)]);
    let mut length = 0_usize;
    let mut file = file;
    while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(DiskError::io("read", path))? {
            0 => break,
            read => length = length.saturating_add(read),
        }
    }
    if length > KEY_MAX {
        return Err(DiskError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    text.truncate(length);
    Ok(text)
}

fn refuse(path: &Path, error: &KeyFileError) -> Refusal {
    let next = match error {
        KeyFileError::NeedsPassphrase => {
            "run it on a terminal, or give it: --passphrase-fd 3 3< FILE; or add the key to an agent and name its .pub file"
        }
        KeyFileError::WrongPassphrase => "run the same command again with the right one",
        KeyFileError::Algorithm(_) => {
            "a security key's signature comes from an agent (name its .pub file), or from ssh-keygen -Y sign"
        }
        _ => "name an OpenSSH ed25519 private key: --key FILE",
    };
    Refusal::new(
        RefusalName::Usage,
        format!("the key file cannot be used: {error}"),
    )
    .value("key file", path.display())
    .next(next)
}

/// Refuses a private key that is not its owner's alone.
fn check_private(file: &File, path: &Path) -> Result<(), Refusal> {
    let found = file.metadata().map_err(DiskError::io("read", path))?;
    let (mode, owner) = (found.mode(), found.uid());
    let refused = |what: &str| {
        Refusal::new(RefusalName::NotPermitted, what).value("key file", path.display())
    };
    if mode & OTHERS != 0 {
        return Err(refused("others can read this private key")
            .value(
                "mode",
                format!("{:04o}, at most 0600 is taken", mode & 0o7777),
            )
            .next(format!("chmod 600 {}", path.display())));
    }
    let us = geteuid().as_raw();
    if owner != us && owner != 0 {
        return Err(refused("this private key belongs to another user")
            .value("owner", format!("uid {owner}"))
            .value("you are", format!("uid {us}"))
            .next("run it as the key's owner, or have the key given to you: chown"));
    }
    Ok(())
}

fn open(path: &Path, text: &[u8], watch: &dyn Watch) -> Result<KeyFile, Refusal> {
    let key = match SigningKey::from_openssh(text, None) {
        Err(KeyFileError::NeedsPassphrase) => {
            let passphrase = watch.passphrase(&path.display().to_string());
            let passphrase =
                passphrase.ok_or_else(|| refuse(path, &KeyFileError::NeedsPassphrase))?;
            SigningKey::from_openssh(text, Some(passphrase.as_bytes()))
        }
        other => other,
    }
    .map_err(|e| refuse(path, &e))?;
    Ok(KeyFile {
        public: key.public().map_err(|e| refuse(path, &e))?,
        comment: key.comment(),
        half: Half::Here(Box::new(key)),
        path: path.to_owned(),
    })
}

/// A key of the agent; that it is there is asked before any work is done.
fn held(
    path: &Path,
    public: PublicKey,
    comment: String,
    watch: &dyn Watch,
) -> Result<KeyFile, Refusal> {
    let Some(socket) = watch.agent() else {
        return Err(Refusal::new(
            RefusalName::Usage,
            "this is a public key, and no agent is there that could hold its private half",
        )
        .value("key file", path.display())
        .value("SSH_AUTH_SOCK", "not set")
        .next("name the private key file, or: eval $(ssh-agent) && ssh-add KEY"));
    };
    let agent = Agent::at(socket);
    agent
        .check_holds(&public)
        .map_err(|e| e.refuse(&agent, &public).value("key file", path.display()))?;
    Ok(KeyFile {
        half: Half::Agent(agent),
        public,
        comment,
        path: path.to_owned(),
    })
}

/// One line: an algorithm, a key and a comment. More lines would be somebody else's key.
fn public(path: &Path, text: &[u8]) -> Result<(PublicKey, String), Refusal> {
    let refuse = |what: String| {
        Refusal::new(RefusalName::Usage, what)
            .value("file", path.display())
            .next("name the .pub file that ssh-keygen wrote")
    };
    let text = String::from_utf8_lossy(text);
    let line = text.trim();
    if line.lines().count() > 1 {
        return Err(refuse("a public key file has one line".to_owned())
            .value("lines", line.lines().count()));
    }
    let key: PublicKey = line
        .parse()
        .map_err(|e: crate::model::key::KeyError| refuse(e.to_string()))?;
    let comment = line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
    Ok((key, comment))
}

/// The public half of a private key file, whose passphrase is not asked for.
pub fn public_half(path: &Path) -> Result<PublicKey, Refusal> {
    let file = durable::open_plain(path)?;
    let text = text(&file, path)?;
    check_private(&file, path)?;
    SigningKey::public_half(&text).map_err(|e| {
        Refusal::new(
            RefusalName::Usage,
            format!("the key file cannot be used: {e}"),
        )
        .value("key file", path.display())
        .next("take it out of the key folder, or put an OpenSSH ed25519 private key in its place")
    })
}

/// The public half that a key file of either kind states, where that needs no passphrase. Nothing makes
/// sure of it but [`load`].
#[must_use]
pub fn stated(path: &Path) -> Option<PublicKey> {
    let file = durable::open_plain(path).ok()?;
    let text = text(&file, path).ok()?;
    if text.starts_with(PRIVATE) {
        return SigningKey::public_half(&text).ok();
    }
    public(path, &text).ok().map(|(key, _)| key)
}

impl KeyFile {
    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// SHA-256 of the public key's blob, which names its signatures.
    #[must_use]
    pub fn id(&self) -> Sha256 {
        self.public.id()
    }

    /// The key itself, for those who sign other things than statements.
    pub fn into_key(self) -> Result<SigningKey, Refusal> {
        match self.half {
            Half::Here(key) => Ok(*key),
            Half::Agent(_) => Err(Refusal::new(
                RefusalName::Usage,
                "an agent signs statements, and not a repository's metadata",
            )
            .value("key file", self.path.display())
            .next("name the private key file")),
        }
    }

    /// The comment that the key file carries.
    #[must_use]
    pub fn comment(&self) -> String {
        self.comment.clone()
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Signs a statement of a kind that has signatures.
    pub fn sign(&self, kind: Kind, statement: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.sign_in(kind.namespace().unwrap_or_default(), statement)
    }

    /// Signs bytes in a namespace.
    pub fn sign_in(&self, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let failed = |why: String| {
            Refusal::new(
                RefusalName::Internal,
                format!("signing did not work: {why}"),
            )
            .value("key file", self.path.display())
            .next("run the same command again")
        };
        match &self.half {
            Half::Here(key) => key
                .sign(namespace, bytes)
                .map_err(|e| failed(e.to_string())),
            Half::Agent(agent) => {
                let refuse = |e: sshsig::SignatureError| {
                    failed(format!("what the agent signed is no good: {e}"))
                };
                let wanted = sshsig::to_sign(namespace, bytes).map_err(refuse)?;
                let signature = agent
                    .sign(&self.public, &wanted)
                    .map_err(|e| e.refuse(agent, &self.public))?;
                sshsig::assemble(&self.public, namespace, bytes, &signature).map_err(refuse)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Unwatched;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    /// A key file in a folder of its own.
    fn key_file(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = SigningKey::from_seed(&Zeroizing::new([1; 32])).unwrap();
        durable::write(&path, key.to_openssh().unwrap().as_bytes(), 0o600).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn refused(path: &Path) -> Refusal {
        load(path, &Unwatched).err().unwrap()
    }

    #[test]
    fn a_key_file_is_its_owners_alone() {
        for (mode, taken) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o620, false),
            (0o601, false),
        ] {
            let (_folder, path) = key_file(mode);
            assert_eq!(load(&path, &Unwatched).is_ok(), taken, "{mode:o}");
            if !taken {
                assert_eq!(refused(&path).name, RefusalName::NotPermitted);
            }
        }
        let (_folder, path) = key_file(0o600);
        if chown(&path, Some(12_345), None).is_err() {
            // Only root can give a file away; the tests are run as root as well.
            return;
        }
        let refusal = refused(&path);
        assert_eq!(refusal.name, RefusalName::NotPermitted);
        assert!(refusal.to_string().contains("uid 12345"), "{refusal}");
    }

    #[test]
    fn a_link_is_judged_by_what_it_leads_to() {
        let (folder, path) = key_file(0o600);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(load(&link, &Unwatched).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(refused(&link).name, RefusalName::NotPermitted);
    }

    #[test]
    fn what_is_no_plain_file_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, 0o600.into(), 0).unwrap();
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            assert_eq!(refused(path).name, RefusalName::Usage, "{}", path.display());
        }
        let large = folder.path().join("large");
        durable::write(&large, &vec![b'a'; KEY_MAX + 1], 0o600).unwrap();
        assert!(refused(&large).what.contains("larger than"));
    }

    #[test]
    fn a_public_key_file_has_one_key_of_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pub");
        let key = SigningKey::from_seed(&Zeroizing::new([1; 32])).unwrap();
        let line = key.public().unwrap().to_string();
        let cert = "ssh-ed25519-cert-v01@openssh.com AAAA anna";
        let table = [
            (format!("{line} anna\n"), true),
            (line.clone(), true),
            (format!("{line} anna\n{line} ben\n"), false),
            (format!("cert-authority {line}\n"), false),
            (format!("namespaces=\"lockstep-patch\" {line}\n"), false),
            (format!("* {line}\n"), false),
            (cert.to_owned(), false),
            (String::new(), false),
        ];
        for (text, taken) in table {
            durable::write(&path, text.as_bytes(), 0o644).unwrap();
            assert_eq!(load_public(&path).is_ok(), taken, "{text}");
        }
    }
}
