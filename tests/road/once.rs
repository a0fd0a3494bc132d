//! A patch applies once, whatever happened in between.

use crate::world::{MP5, Tested, World};

#[test]
fn a_patch_that_a_crash_cut_short_is_taken_again_and_then_no_more() -> Tested {
    let world = World::installed()?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/2.spr")?;
    let apply = "lockstep apply usb/2.spr --root PROD --receipt usb";
    // Killed at the second exchange of a path: one stands, the other does not.
    let ran = world.run(&format!(
        "strace -qq -f -o trace -e trace=renameat2 -e inject=renameat2:signal=KILL:when=3 {apply}"
    ))?;
    assert_ne!(ran.code, 0, "it was to be killed");
    let trace = std::fs::read_to_string(world.path("trace"))?;
    assert!(trace.contains("RENAME_EXCHANGE"), "{trace}");
    world.refused("PROD", &format!("{apply} --dry-run"), 41, &["recover"])?;
    let again = world.ok(apply)?;
    assert!(again.out.contains("applied"), "{}", again.out);
    world.refused("PROD", apply, 12, &[])?;
    world.ok("lockstep history --check --root PROD")?;
    Ok(())
}
