//! The vendors of a site file: their roots, and which recipes each may serve.
//!
//! | attack | defence |
//! |---|---|
//! | a root of somebody else, handed to the site owner as the vendor's newest | it must follow the one in force, signed by that one's keys |
//! | a vendor that lost its root keys, or started anew, and is refused by every host for its floors | `--replace-root` says so: the vendor's floors fall where that site file is taken, once |

use std::collections::BTreeMap;
use std::path::Path;

use super::{ROOT_MAX, Request, usage};
use crate::disk::durable;
use crate::model::site::{Site, Vendor};
use crate::model::{Name, Refusal, RefusalName, Sha256};
use crate::spr::MemberBytes;
use crate::trust::vendor::{check_root, check_roots_follow, file_name};

/// Most roots between the one in force and the one given.
const ROOTS_MAX: u64 = 256;

/// Enters the roots that were given.
pub(super) fn set_roots(
    site: &mut Site,
    roots: &mut Vec<MemberBytes>,
    request: &Request,
) -> Result<(), Refusal> {
    let mut given = Vec::new();
    for line in &request.vendors {
        let (name, path) = split(line)?;
        let root = durable::read(path, ROOT_MAX)?;
        let version = check_root(&name, &root)?;
        let member = Site::root_member(&name);
        let before = roots.iter().find(|(known, _)| *known == member);
        let replaced = request.replace_roots.contains(&name);
        if let Some((_, before)) = before.filter(|(_, before)| *before != root && !replaced) {
            check_follows(&name, before, path, (&root, version))?;
        }
        enter(site, &name, &root, replaced);
        roots.retain(|(known, _)| *known != member);
        roots.push((member, root));
        given.push(name);
    }
    match request
        .replace_roots
        .iter()
        .find(|name| !given.contains(name))
    {
        None => Ok(()),
        Some(name) => Err(usage("no new root is given for this vendor".to_owned())
            .value("vendor", name)
            .next(format!(
                "--vendor {name}=REPOSITORY/metadata/1.root.json --replace-root {name}"
            ))),
    }
}

fn enter(site: &mut Site, name: &Name, root: &[u8], replaced: bool) {
    let digest = Sha256::of(root);
    let since = replaced.then_some(site.version);
    match site.vendors.iter_mut().find(|vendor| &vendor.name == name) {
        Some(vendor) => {
            vendor.root = digest;
            vendor.since = since.or(vendor.since);
        }
        None => site.vendors.push(Vendor {
            name: name.clone(),
            prefixes: Vec::new(),
            root: digest,
            since,
        }),
    }
}

fn split(line: &str) -> Result<(Name, &Path), Refusal> {
    let Some((name, path)) = line.split_once('=') else {
        return Err(usage(format!("{line:?} is not NAME=ROOT.json"))
            .next("--vendor NAME=REPOSITORY/metadata/1.root.json"));
    };
    let name: Name = name
        .parse()
        .map_err(|e: crate::model::name::NameError| usage(e.to_string()))?;
    Ok((name, Path::new(path)))
}

/// The root given follows the one in force. Those between them are looked for beside it.
fn check_follows(
    name: &Name,
    before: &[u8],
    path: &Path,
    (root, version): (&[u8], u64),
) -> Result<(), Refusal> {
    let known = check_root(name, before)?;
    let refuse = |why: String| {
        Refusal::new(
            RefusalName::VendorUntrusted,
            "the root given does not follow the one in force",
        )
        .value("vendor", name)
        .value("in force", format!("root {known}, {}", Sha256::of(before).short()))
        .value("given", format!("root {version}, {}", Sha256::of(root).short()))
        .value("because", why)
        .next(format!(
            "give its newest root, beside those before it; only where the vendor itself says that it started anew: --replace-root {name}"
        ))
    };
    let steps = version.saturating_sub(known);
    if steps == 0 || steps > ROOTS_MAX {
        return Err(refuse(format!(
            "it would be root {}",
            known.saturating_add(1)
        )));
    }
    let mut chain = Vec::new();
    for between in known.saturating_add(1)..version {
        let file = file_name("root", between);
        let found = durable::read_if_there(&path.with_file_name(&file), ROOT_MAX)?;
        chain.push(found.ok_or_else(|| refuse(format!("{file} does not lie beside it")))?);
    }
    chain.push(root.to_vec());
    match check_roots_follow(name, before, &chain) {
        Ok(_) => Ok(()),
        Err(e) => Err(refuse(e.to_string())),
    }
}

/// The recipes that vendors may serve; those named now take the place of those before.
pub(super) fn set_prefixes(vendors: &mut [Vendor], lines: &[String]) -> Result<(), Refusal> {
    let mut named: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in lines {
        let Some((vendor, prefix)) = line.split_once('=') else {
            return Err(
                usage(format!("{line:?} is not VENDOR=PREFIX")).next("--prefix NAME=customer/acme")
            );
        };
        named
            .entry(vendor)
            .or_default()
            .push(prefix.trim_end_matches('/').to_owned());
    }
    for (name, mut prefixes) in named {
        let Some(vendor) = vendors
            .iter_mut()
            .find(|vendor| vendor.name.as_str() == name)
        else {
            return Err(
                usage(format!("the site has no vendor {name}")).next("--vendor NAME=ROOT.json")
            );
        };
        prefixes.sort();
        prefixes.dedup();
        vendor.prefixes = prefixes;
    }
    Ok(())
}
