//! `site new` and `site renew`: the file through which trust enters an environment.
//!
//! The owner's key signs it and is kept offline. A renewal starts from the file before: what is not
//! named again stays, and the version counts up.

mod vendors;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk::{durable, handout, keys};
use crate::model::site::{Policy, Signer, Site};
use crate::model::statement::FORMAT;
use crate::model::text::{Shown, path_as_text};
use crate::model::{Kind, Member, Name, Refusal, RefusalName, Time, Watch};
use crate::spr::{MemberBytes, RawSignature, canonical, encode_small};
use crate::trust::site::{self, SITE_MAX, TrustedSite};

/// Largest TUF root, in bytes.
const ROOT_MAX: u64 = 1024 * 1024;

/// What `site new` and `site renew` are asked.
#[derive(Debug, Default)]
pub struct Request {
    /// The site file to renew; nothing makes a new one.
    pub from: Option<PathBuf>,
    /// The site's name, for a new one.
    pub name: Option<Name>,
    /// `NAME=ROOT.json`, the vendors.
    pub vendors: Vec<String>,
    /// Vendors whose root takes the place of one that it does not follow.
    pub replace_roots: Vec<Name>,
    /// `NAME=PREFIX`, which recipes a vendor may serve.
    pub prefixes: Vec<String>,
    /// `[PRINCIPAL=]PUB`, who may prepare.
    pub preparers: Vec<String>,
    /// `[PRINCIPAL=]PUB`, who may approve.
    pub approvers: Vec<String>,
    /// Principals that are trusted no longer.
    pub remove: Vec<String>,
    /// A policy file.
    pub policy: Option<PathBuf>,
    /// The owner's private key.
    pub key: PathBuf,
    /// Where the site file goes.
    pub output: PathBuf,
}

/// The site file that was written.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The file.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// The site's name.
    pub site: String,
    /// Its version.
    pub version: u64,
    /// The owner's fingerprint, to be read out where it is pinned.
    pub fingerprint: String,
    /// Who may prepare.
    pub preparers: Vec<String>,
    /// Who may approve.
    pub approvers: Vec<String>,
    /// Whose recipes may be installed.
    pub vendors: Vec<String>,
    /// The rules.
    pub policy: Policy,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "site {} version {} is in {}",
            self.site,
            self.version,
            Shown(&self.file)
        )?;
        writeln!(f, "  owner      {}", self.fingerprint)?;
        for (label, lines) in [
            ("preparer", &self.preparers),
            ("approver", &self.approvers),
            ("vendor", &self.vendors),
        ] {
            for line in lines {
                writeln!(f, "  {label:<9}  {line}")?;
            }
        }
        let rules = serde_json::to_string(&self.policy).unwrap_or_default();
        let rules = rules
            .trim_matches(['{', '}'])
            .replace('"', "")
            .replace(',', ", ");
        writeln!(f, "  policy     {rules}")?;
        if self.version == 1 {
            write!(
                f,
                "  next       on each host: lockstep init --root DIR --name NAME --site {} --fingerprint {}",
                Shown(&self.file),
                self.fingerprint
            )
        } else {
            write!(
                f,
                "  next       lockstep prepare ... --site {} carries it; or on a host: lockstep trust {}",
                Shown(&self.file),
                Shown(&self.file)
            )
        }
    }
}

/// Writes the site file.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let key = keys::load(&request.key, watch)?;
    let before = request.from.as_deref().map(read).transpose()?;
    let (mut site, mut roots) = match &before {
        Some((site, roots)) => renewed(site, roots.clone(), &key, now)?,
        None => (new(request, &key, now)?, Vec::new()),
    };
    vendors::set_roots(&mut site, &mut roots, request)?;
    vendors::set_prefixes(&mut site.vendors, &request.prefixes)?;
    for gone in &request.remove {
        remove(&mut site, &mut roots, gone)?;
    }
    add_signers(&mut site.preparers, &request.preparers)?;
    add_signers(&mut site.approvers, &request.approvers)?;
    if let Some(path) = &request.policy {
        site.policy = policy(path, &site.policy)?;
    }
    site.vendors.sort_by(|a, b| a.name.cmp(&b.name));
    roots.sort();
    site.members = roots
        .iter()
        .map(|(name, bytes)| Member::of(name.clone(), bytes))
        .collect();
    check(&site, &request.output)?;
    write(&site, &roots, &key, &request.output)?;
    Ok(outcome(&site, request))
}

fn new(request: &Request, key: &keys::KeyFile, now: Time) -> Result<Site, Refusal> {
    let name = match &request.name {
        Some(name) => name.clone(),
        None => "site"
            .parse()
            .map_err(|e: crate::model::name::NameError| usage(e.to_string()))?,
    };
    Ok(Site {
        approvers: Vec::new(),
        created: now,
        format: FORMAT,
        kind: Kind::Site,
        members: Vec::new(),
        name,
        owner: Signer {
            principal: principal(&key.comment(), key.path())?,
            key: key.public().clone(),
        },
        policy: Policy::default(),
        preparers: Vec::new(),
        vendors: Vec::new(),
        version: 1,
    })
}

fn renewed(
    before: &TrustedSite,
    roots: Vec<MemberBytes>,
    key: &keys::KeyFile,
    now: Time,
) -> Result<(Site, Vec<MemberBytes>), Refusal> {
    if &before.owner.key != key.public() {
        return Err(Refusal::new(
            RefusalName::UntrustedSigner,
            "only the owner of a site file can renew it",
        )
        .value("owner", before.owner.key.fingerprint())
        .value("your key", key.public().fingerprint())
        .next("use the owner's key: --key KEY"));
    }
    let site = Site {
        created: now,
        version: before.version.saturating_add(1),
        ..before.site().clone()
    };
    Ok((site, roots))
}

fn read(path: &Path) -> Result<(TrustedSite, Vec<MemberBytes>), Refusal> {
    let file = durable::read(path, SITE_MAX)?;
    let (raw, members) = site::open(&file)?;
    Ok((TrustedSite::pin(raw, members.clone(), None)?, members))
}

/// Takes a person, or a vendor, away; a name that nobody has is a slip of the pen.
fn remove(site: &mut Site, roots: &mut Vec<MemberBytes>, gone: &str) -> Result<(), Refusal> {
    let people = site
        .preparers
        .iter()
        .chain(&site.approvers)
        .map(|s| s.principal.to_string());
    let vendors = site.vendors.iter().map(|vendor| vendor.name.to_string());
    let known: Vec<String> = people.chain(vendors).collect();
    if !known.iter().any(|name| name == gone) {
        return Err(usage("nobody in the site file has this name".to_owned())
            .value("to remove", gone)
            .value("there are", known.join(", ")));
    }
    site.preparers
        .retain(|signer| signer.principal.as_str() != gone);
    site.approvers
        .retain(|signer| signer.principal.as_str() != gone);
    site.vendors.retain(|vendor| vendor.name.as_str() != gone);
    let left = &site.vendors;
    roots.retain(|(member, _)| left.iter().any(|v| *member == Site::root_member(&v.name)));
    Ok(())
}

fn add_signers(signers: &mut Vec<Signer>, lines: &[String]) -> Result<(), Refusal> {
    for line in lines {
        let (name, path) = match line.split_once('=') {
            Some((name, path)) => (Some(name), Path::new(path)),
            None => (None, Path::new(line.as_str())),
        };
        let (key, comment) = keys::load_public(path)?;
        let principal = match name {
            Some(name) => name
                .parse()
                .map_err(|e: crate::model::name::NameError| usage(e.to_string()))?,
            None => principal(&comment, path)?,
        };
        signers.retain(|signer| signer.key != key);
        signers.push(Signer { principal, key });
    }
    signers.sort_by_key(ToString::to_string);
    Ok(())
}

/// The person that a key file is of: its comment, else the name of the file.
fn principal(comment: &str, path: &Path) -> Result<crate::model::Principal, Refusal> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    comment
        .trim()
        .parse()
        .or_else(|_| stem.parse())
        .map_err(|e: crate::model::name::NameError| {
            usage(e.to_string()).next("say who it is: --preparer anna@acme.example=anna.pub")
        })
}

/// Reads a policy file: TOML that names the rules that change; the others stay as they are.
fn policy(path: &Path, before: &Policy) -> Result<Policy, Refusal> {
    let bytes = durable::read(path, ROOT_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let refuse = |why: String| {
        usage(format!("the policy file cannot be read: {why}"))
            .value("file", path.display())
            .next("docs/trust.md lists what a policy may say")
    };
    let given: serde_json::Map<String, serde_json::Value> =
        toml::from_str(&text).map_err(|e| refuse(e.message().to_owned()))?;
    let mut rules = serde_json::to_value(before).map_err(|e| refuse(e.to_string()))?;
    if let Some(rules) = rules.as_object_mut() {
        rules.extend(given);
    }
    serde_json::from_value(rules).map_err(|e| refuse(e.to_string()))
}

fn check(site: &Site, output: &Path) -> Result<(), Refusal> {
    use crate::model::Statement as _;
    site.check()
        .map_err(|e| usage(e.to_string()).value("file", output.display()))?;
    if site.preparers.is_empty() {
        return Err(
            usage("nobody may prepare under this site file".to_owned()).next("--preparer PUB")
        );
    }
    let approvers: std::collections::BTreeSet<_> =
        site.approvers.iter().map(|s| &s.principal).collect();
    let enough = u64::try_from(approvers.len()).unwrap_or(u64::MAX) >= site.policy.approvals;
    if enough {
        return Ok(());
    }
    Err(
        usage("policy asks for more approvals than there are approvers".to_owned())
            .value("policy asks", site.policy.approvals)
            .value("approvers", approvers.len())
            .next("--approver PUB, or a policy with fewer approvals"),
    )
}

fn write(
    site: &Site,
    roots: &[MemberBytes],
    key: &keys::KeyFile,
    output: &Path,
) -> Result<(), Refusal> {
    let refuse = |e: crate::spr::SprError| e.refuse(output);
    let bytes = canonical::encode(site).map_err(refuse)?;
    let signature = RawSignature {
        key: key.id(),
        armoured: key.sign(Kind::Site, &bytes)?,
    };
    let file = encode_small(Kind::Site, &bytes, &[signature], roots).map_err(refuse)?;
    handout::write(output, &file)
}

fn outcome(site: &Site, request: &Request) -> Outcome {
    let person = |signer: &Signer| format!("{} {}", signer.principal, signer.key.fingerprint());
    Outcome {
        policy: site.policy.clone(),
        file: request.output.clone(),
        site: site.name.to_string(),
        version: site.version,
        fingerprint: site.owner.key.fingerprint(),
        preparers: site.preparers.iter().map(person).collect(),
        approvers: site.approvers.iter().map(person).collect(),
        vendors: site
            .vendors
            .iter()
            .map(|vendor| {
                let replaced = vendor.since == Some(site.version);
                let word = if replaced {
                    ", in the place of another"
                } else {
                    ""
                };
                format!("{} (root {}{word})", vendor.name, vendor.root.short())
            })
            .collect(),
    }
}

fn usage(what: String) -> Refusal {
    Refusal::new(RefusalName::Usage, what).next("lockstep site --help")
}
