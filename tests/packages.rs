//! What the project is made of, read from `cargo metadata`: licences, exact pins, what the host
//! build may not contain, and a reason for every crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// What a test of packages may fail with.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Where the host build runs.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Licences that a crate in the program may have; `deny.toml` says the same.
const LICENCES: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that decide what is trusted: one version, changed by hand (`docs/decisions/`).
const PINNED: [&str; 5] = [
    "ed25519-dalek",
    "ssh-key",
    "sigstore-tuf",
    "sigstore-crypto",
    "sigstore-types",
];

/// What may not be in the host build: a network, an asynchronous runtime, a second crypto stack.
const FORBIDDEN: [(&str, &[&str]); 3] = [
    (
        "network code",
        &[
            "curl",
            "curl-sys",
            "h2",
            "hickory-resolver",
            "hyper",
            "hyper-util",
            "isahc",
            "mio",
            "quinn",
            "reqwest",
            "socket2",
            "tiny_http",
            "tungstenite",
            "ureq",
        ],
    ),
    (
        "an asynchronous runtime",
        &[
            "actix-rt",
            "async-executor",
            "async-global-executor",
            "async-io",
            "async-std",
            "embassy-executor",
            "futures-executor",
            "glommio",
            "monoio",
            "smol",
            "tokio",
        ],
    ),
    (
        "a second crypto stack",
        &[
            "aws-lc-rs",
            "aws-lc-sys",
            "boring",
            "boring-sys",
            "dsa",
            "k256",
            "libsodium-sys",
            "mbedtls",
            "md-5",
            "native-tls",
            "openssl",
            "openssl-sys",
            "orion",
            "p256",
            "p384",
            "p521",
            "ring",
            "rsa",
            "rustls",
            "rustls-webpki",
            "sha1",
            "wolfssl",
        ],
    ),
];

/// Crates of which the host build has one version: two would be two answers to one question.
const SINGLE: [&str; 4] = ["curve25519-dalek", "ed25519-dalek", "blake3", "sha2"];

fn metadata(features: &[CargoOpt]) -> Done<Metadata> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let read = |offline: bool| {
        let mut command = MetadataCommand::new();
        command.manifest_path(&manifest);
        for option in features {
            command.features(option.clone());
        }
        let mut options = vec!["--locked".to_owned(), format!("--filter-platform={TARGET}")];
        options.extend(offline.then(|| "--offline".to_owned()));
        command.other_options(options).exec()
    };
    Ok(read(true).or_else(|_| read(false))?)
}

/// The packages that go into the program: all that normal dependencies lead to, the root left out.
fn shipped(metadata: &Metadata) -> Done<Vec<&Package>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .ok_or("cargo metadata resolved nothing")?;
    let nodes: BTreeMap<&PackageId, _> =
        resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let root = resolve
        .root
        .as_ref()
        .ok_or("cargo metadata names no root")?;
    let mut seen = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let node = nodes
            .get(id)
            .ok_or_else(|| format!("{id} is not in the graph"))?;
        for dep in &node.deps {
            let normal = dep
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            if normal && seen.insert(&dep.pkg) {
                open.push(&dep.pkg);
            }
        }
    }
    seen.remove(root);
    Ok(metadata
        .packages
        .iter()
        .filter(|package| seen.contains(&package.id))
        .collect())
}

/// Whether an SPDX expression can be kept with [`LICENCES`] alone. The old form `A/B` is `A OR B`.
fn allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let (ok, rest) = either(&tokens);
    ok && rest.is_empty() && !tokens.is_empty()
}

/// `A OR B`, where each side is a chain of `AND`.
fn either<'a>(tokens: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut ok, mut rest) = both(tokens);
    while let ["OR", tail @ ..] = rest {
        let (other, after) = both(tail);
        (ok, rest) = (ok || other, after);
    }
    (ok, rest)
}

fn both<'a>(tokens: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut ok, mut rest) = term(tokens);
    while let ["AND", tail @ ..] = rest {
        let (other, after) = term(tail);
        (ok, rest) = (ok && other, after);
    }
    (ok, rest)
}

/// A licence, or a group in brackets. An exception (`WITH`) is not on the list, so not allowed.
fn term<'a>(tokens: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    match tokens {
        ["(", tail @ ..] => match either(tail) {
            (ok, [")", after @ ..]) => (ok, after),
            (_, rest) => (false, rest),
        },
        [_, "WITH", _, after @ ..] => (false, after),
        [name, after @ ..] => (LICENCES.contains(name), after),
        [] => (false, &[]),
    }
}

fn forbidden(name: &str) -> Option<&'static str> {
    let row = FORBIDDEN.iter().find(|(_, names)| names.contains(&name));
    row.map(|(what, _)| *what)
}

fn file(path: &str) -> Done<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::File::open(&path).and_then(std::io::read_to_string);
    text.map_err(|e| format!("{}: {e}", path.display()).into())
}

/// The general TUF client knows none of the rules of a vendor's chain, so a host has no use for it.
#[test]
fn the_general_tuf_client_is_in_no_host_build() -> Done {
    let metadata = metadata(&[CargoOpt::NoDefaultFeatures])?;
    let root = metadata.root_package().ok_or("no root package")?;
    for name in ["tuf-client", "tuf_client"] {
        let target = root.targets.iter().find(|target| target.name == name);
        let target = target.ok_or_else(|| format!("no target {name}"))?;
        assert_eq!(target.required_features, ["tuf-client"], "{name}");
    }
    let room = include_str!("../src/trust/vendor/mod.rs");
    assert!(room.contains("#[cfg(feature = \"tuf-client\")]\npub mod client;"));
    Ok(())
}

#[test]
fn licences_are_on_the_list() -> Done {
    for (build, features) in [
        ("host", vec![CargoOpt::NoDefaultFeatures]),
        ("full", vec![CargoOpt::AllFeatures]),
    ] {
        let metadata = metadata(&features)?;
        let packages = shipped(&metadata)?;
        assert!(
            packages.len() > 20,
            "only {} packages in the {build} build",
            packages.len()
        );
        let bad: Vec<String> = packages
            .iter()
            .filter(|package| !package.license.as_deref().is_some_and(allowed))
            .map(|package| {
                format!(
                    "{} {}: {:?}",
                    package.name, package.version, package.license
                )
            })
            .collect();
        assert!(
            bad.is_empty(),
            "licences not on the list, {build} build:\n{}",
            bad.join("\n")
        );
    }
    Ok(())
}

#[test]
fn deny_toml_lists_the_same_licences() -> Done {
    let table: toml::Table = file("deny.toml")?.parse()?;
    let listed = table
        .get("licenses")
        .and_then(|licences| licences.get("allow"))
        .and_then(toml::Value::as_array)
        .ok_or("deny.toml has no licenses.allow")?;
    let listed: Vec<&str> = listed.iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(listed, LICENCES);
    Ok(())
}

#[test]
fn crates_of_trust_are_pinned_exactly() -> Done {
    let metadata = metadata(&[])?;
    let root = metadata.root_package().ok_or("no root package")?;
    for name in PINNED {
        let dependency = root
            .dependencies
            .iter()
            .find(|dependency| dependency.name == name && dependency.kind == DependencyKind::Normal)
            .ok_or_else(|| format!("{name} is no dependency"))?;
        let written = dependency.req.to_string();
        assert!(
            written.starts_with('='),
            "{name} is {written:?}, not an exact pin"
        );
        assert!(
            !written.contains(','),
            "{name} is {written:?}, not one version"
        );
    }
    Ok(())
}

#[test]
fn the_host_build_is_free_of_networks_runtimes_and_second_stacks() -> Done {
    let metadata = metadata(&[CargoOpt::NoDefaultFeatures])?;
    let packages = shipped(&metadata)?;
    let found: Vec<String> = packages
        .iter()
        .filter_map(|p| forbidden(&p.name).map(|what| format!("{} {}: {what}", p.name, p.version)))
        .collect();
    assert!(
        found.is_empty(),
        "the host build contains:\n{}",
        found.join("\n")
    );
    for name in SINGLE {
        let versions: Vec<String> = packages
            .iter()
            .filter(|p| p.name.as_str() == name)
            .map(|p| p.version.to_string())
            .collect();
        assert_eq!(versions.len(), 1, "{name} is there as {versions:?}");
    }
    Ok(())
}

#[test]
fn every_direct_dependency_has_its_reason() -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions");
    let mut pages = String::new();
    for entry in std::fs::read_dir(folder)? {
        pages += &std::fs::File::open(entry?.path()).and_then(std::io::read_to_string)?;
    }
    let metadata = metadata(&[])?;
    let root = metadata.root_package().ok_or("no root package")?;
    let missing: BTreeSet<&str> = root
        .dependencies
        .iter()
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !pages.contains(&format!("`{name}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/decisions/ does not name {missing:?}"
    );
    Ok(())
}

#[test]
fn the_graph_is_walked_along_normal_dependencies_alone() -> Done {
    let metadata = metadata(&[CargoOpt::NoDefaultFeatures])?;
    let names: BTreeSet<&str> = shipped(&metadata)?
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    for there in ["ed25519-dalek", "curve25519-dalek", "zstd-sys"] {
        assert!(names.contains(there), "{there} is in the program");
    }
    for absent in ["lockstep", "proptest", "cargo_metadata", "cc"] {
        assert!(!names.contains(absent), "{absent} is not in the program");
    }
    assert_eq!(forbidden("tokio"), Some("an asynchronous runtime"));
    assert_eq!(forbidden("ring"), Some("a second crypto stack"));
    assert_eq!(forbidden("serde"), None);
    Ok(())
}

#[test]
fn licence_expressions() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "BSD-3-Clause AND BSD-2-Clause",
    ] {
        assert!(allowed(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR GPL-3.0) AND MPL-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT MIT",
        "(MIT",
    ] {
        assert!(!allowed(bad), "{bad}");
    }
}
