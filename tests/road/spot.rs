//! SPOT's spelling: the command lines of the section "Patch STEP using the Offline method", names
//! filled in.

use crate::world::{MP4, MP5, Tested, World};

/// The lines as the manual prints them.
const MANUAL: [&str; 3] = [
    "./spot --snapshot=<THIN_SNAPSHOT_FILENAME>.spr",
    "./spot --accessmode=offline --apply= to:step/trailblazer/step-trailblazer-<STEP_VERSION>-[mp<LEVEL>-]<RELEASE_TIMESTAMP>.spr --target=<THIN_SNAPSHOT_FILENAME>.spr --output=<PATCH_FILENAME>.spr",
    "./spot --apply=<PATCH_FILENAME>.spr",
];

fn filled(line: &str, release: &str) -> String {
    line.replace(
        "to:step/trailblazer/step-trailblazer-<STEP_VERSION>-[mp<LEVEL>-]<RELEASE_TIMESTAMP>.spr",
        release,
    )
    .replace("<THIN_SNAPSHOT_FILENAME>", "../usb/thin")
    .replace("<PATCH_FILENAME>", "../usb/patch")
    .replace("./spot", "spot")
}

#[test]
fn the_offline_method() -> Tested {
    let world = World::new()?;
    world.init("step")?;
    // What a desk is told once; afterwards the manual's own lines suffice.
    world.prepare("usb/step.snapshot.spr", MP4, "usb/first.patch.spr")?;
    world.apply("step", "usb/first.patch.spr", "usb/first.receipt.spr")?;
    let home = world.path("desk");
    let environment = format!(
        "export XDG_STATE_HOME={0} XDG_CACHE_HOME={0}; mkdir -p {0}; ln -sfn state {0}/lockstep",
        home.display()
    );
    world.ok(&environment)?;
    let [snapshot, prepare, apply] = MANUAL.map(|line| filled(line, MP5));
    world.ok(&format!("cd step && {snapshot}"))?;
    let prepared = world.ok(&format!("{environment}; cd step && {prepare}"))?;
    assert!(
        prepared
            .err
            .contains("a stray space after --apply= was passed over"),
        "{}",
        prepared.err
    );
    world.ok(&format!("cd step && {apply}"))?;
    assert_eq!(
        std::fs::read_to_string(world.path("step/lib/core.jar"))?,
        "core 9.1"
    );
    Ok(())
}

/// The manual's lines are the manual's: where the document is at hand, they stand in it.
#[test]
fn the_lines_are_those_of_the_manual() {
    let manual = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/seed/patching-step.txt"
    );
    let Ok(text) = std::fs::read_to_string(manual) else {
        println!("skipped: the manual is not at hand");
        return;
    };
    for line in MANUAL {
        assert!(text.contains(line), "{line}");
    }
}
