//! Tests of ACLs: the stored form against itself, and what a folder hands on against the kernel.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::disk::founding::samples;
use crate::disk::inherit::folder_at_rest;
use crate::disk::root::Root;
use crate::disk::stage::Stage;
use crate::model::ContentId;
use crate::model::recipe::Mode;

fn acls() -> impl Strategy<Value = Acl> {
    let named = || proptest::collection::btree_map(0..u32::MAX, 0..=RIGHTS, 0..4);
    (
        [0..=RIGHTS, 0..=RIGHTS, 0..=RIGHTS, 0..=RIGHTS],
        named(),
        named(),
        any::<bool>(),
    )
        .prop_map(|([owner, group, other, mask], users, groups, masked)| {
            let masked = masked || !users.is_empty() || !groups.is_empty();
            let mut entries = vec![(Who::Owner, owner)];
            entries.extend(users.into_iter().map(|(id, r)| (Who::User(id), r)));
            entries.push((Who::Group, group));
            entries.extend(groups.into_iter().map(|(id, r)| (Who::NamedGroup(id), r)));
            entries.extend(masked.then_some((Who::Mask, mask)));
            entries.push((Who::Other, other));
            Acl(entries)
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(acl in acls()) {
        prop_assert_eq!(Acl::parse(&acl.encode()), Some(acl));
    }

    #[test]
    fn what_is_read_is_written(bytes in proptest::collection::vec(any::<u8>(), 0..80), whole in acls(), cut in 0_usize..80) {
        if let Some(acl) = Acl::parse(&bytes) {
            prop_assert_eq!(acl.encode(), bytes);
        }
        // Nothing but the whole is taken.
        let bytes = whole.encode();
        if let Some(part) = bytes.get(..cut).filter(|part| part.len() < bytes.len()) {
            prop_assert!(Acl::parse(part).is_none_or(|acl| acl.encode() == part));
        }
    }

    #[test]
    fn nobody_gets_more_than_mode_and_default_give(acl in acls(), mode in 0_u32..0o10000) {
        let (made, bits) = acl.create(mode);
        prop_assert_eq!(bits & !mode, 0, "{:o} of {:o}", bits, mode);
        for (who, rights) in &made.0 {
            prop_assert_eq!(rights & !acl.rights(*who).unwrap_or(0), 0);
        }
        prop_assert_eq!(made.create(mode), (made.clone(), bits));
    }
}

#[test]
fn another_form_is_none() {
    let entry = |tag: u16, rights: u16, id: u32| {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
        bytes
    };
    let acl = |version: u32, entries: &[(u16, u16, u32)]| {
        let mut bytes = version.to_le_bytes().to_vec();
        bytes.extend(entries.iter().flat_map(|(t, r, i)| entry(*t, *r, *i)));
        Acl::parse(&bytes)
    };
    let base = [(1, 6, NOBODY), (4, 4, NOBODY), (32, 0, NOBODY)];
    assert!(acl(2, &base).is_some_and(|acl| !acl.is_extended()));
    assert_eq!(acl(1, &base), None, "another version");
    assert_eq!(acl(2, &base[..2]), None, "without other");
    let twice = [base[0], base[0], base[1], base[2]];
    assert_eq!(acl(2, &twice), None, "the owner twice");
    let unmasked = [base[0], (2, 7, 5), base[1], base[2]];
    assert_eq!(acl(2, &unmasked), None, "a name without a mask");
    assert_eq!(
        acl(2, &[(1, 8, NOBODY), base[1], base[2]]),
        None,
        "more rights than there are"
    );
    assert_eq!(
        acl(2, &[base[0], (3, 0, 0), base[1], base[2]]),
        None,
        "an unknown tag"
    );
}

/// What `getfacl` says of a path; nothing where the tool is missing.
fn getfacl(path: &Path) -> Option<String> {
    let said = Command::new("getfacl")
        .args(["-cnpE"])
        .arg(path)
        .output()
        .ok()?;
    said.status
        .success()
        .then(|| String::from_utf8_lossy(&said.stdout).into_owned())
}

fn setfacl(acl: &str, path: &Path) -> bool {
    let done = Command::new("setfacl")
        .args(["-d", "-m", acl])
        .arg(path)
        .output();
    done.is_ok_and(|done| done.status.success())
}

fn staged_file(stage: &Stage, root: &Root, slot: u64, mode: u32) -> Option<String> {
    let bits = Mode::from_bits(mode);
    let file = stage.file(slot, bits).unwrap();
    file.finish(&ContentId::of(b"")).unwrap();
    let path = format!("lib/f{mode}").parse().unwrap();
    stage.adopt(slot, root, &path, bits).unwrap();
    getfacl(&stage.path().join(slot.to_string()))
}

/// As it is once the exchange has closed it.
fn staged_folder(stage: &Stage, root: &Root, slot: u64, mode: u32) -> Option<String> {
    let bits = Mode::from_bits(mode);
    stage.folder(slot, bits).unwrap();
    let path = format!("lib/d{mode}").parse().unwrap();
    stage.adopt(slot, root, &path, bits).unwrap();
    let at_rest = folder_at_rest(root, &path, bits).unwrap();
    let made = stage.path().join(slot.to_string());
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(at_rest)).unwrap();
    getfacl(&made)
}

/// A file and a folder that the stage makes for a folder with a default ACL have what a file and a
/// folder made there by the kernel have, for every mode.
#[test]
fn a_folder_hands_its_default_on_as_the_kernel_does() {
    let mut compared = 0;
    for default in [
        "u:4242:rwx,g:4243:r-x",
        "u:4242:r,m:r",
        "g::-,o::-",
        "u::r-x,m:rwx",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let lib = folder.path().join("lib");
        std::fs::create_dir(&lib).unwrap();
        std::fs::set_permissions(&lib, std::fs::Permissions::from_mode(0o755)).unwrap();
        if !setfacl(default, &lib) {
            let why = b"skipped: setfacl is missing (package acl), or has no ACLs to set here\n";
            std::io::stderr().write_all(why).unwrap();
            return;
        }
        // A default ACL on the root as well: the stage lies in it, and hands nothing of it on.
        assert!(setfacl("u:5555:rwx", folder.path()));
        let stage = Stage::create(&root, 2).unwrap();
        for (slot, mode) in (0_u64..).zip([0o644, 0o600, 0o755, 0o750, 0o777]) {
            let file = staged_file(&stage, &root, 2 * slot, mode);
            let kernel = lib.join("file");
            let open = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&kernel);
            drop(open.unwrap());
            assert!(file.is_some());
            assert_eq!(file, getfacl(&kernel), "file {mode:o} under {default}");
            std::fs::remove_file(&kernel).unwrap();
            let folder = staged_folder(&stage, &root, 2 * slot + 1, mode);
            let kernel = lib.join("folder");
            std::fs::DirBuilder::new()
                .mode(mode)
                .create(&kernel)
                .unwrap();
            assert_eq!(folder, getfacl(&kernel), "folder {mode:o} under {default}");
            std::fs::remove_dir(&kernel).unwrap();
            compared += 2;
        }
    }
    assert_eq!(compared, 40);
}
