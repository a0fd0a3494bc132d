//! The thin snapshot is thin: an environment of thirty components, each a family of its own as
//! STEP's are, states itself in 8 KB.

use std::fs;

use crate::world::{Tested, World};

/// Most bytes of a snapshot of a pristine environment of thirty components.
const THIN: u64 = 8 * 1024;
const COMPONENTS: usize = 30;

#[test]
fn thirty_pristine_components_in_eight_kilobytes() -> Tested {
    let world = World::new()?;
    let mut to = Vec::new();
    for index in 0..COMPONENTS {
        // A digit behind a hyphen would begin the version.
        let letter = char::from(b'a' + u8::try_from(index % 26)?);
        let name = format!("component-{letter}{index}");
        let recipe = format!("{name}/7.0/{name}-7.0.{index}");
        let file = format!("{name}/lib/{name}.jar");
        world.component(&recipe, &[(file.as_str(), name.as_str())], "")?;
        to.push(recipe);
    }
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", &to.join(","), "usb/PROD.patch.spr")?;
    world.apply("PROD", "usb/PROD.patch.spr", "usb/PROD.receipt.spr")?;
    world.ok("lockstep snapshot --root PROD --output usb/thin.spr")?;
    let size = fs::metadata(world.path("usb/thin.spr"))?.len();
    println!("{COMPONENTS} components: {size} bytes");
    assert!(size <= THIN, "{size} bytes");
    let lines = world.ok("tar -xOf usb/thin.spr snapshot.json | jq -r '.components[]' | wc -l")?;
    assert_eq!(lines.out.trim(), COMPONENTS.to_string());
    Ok(())
}
