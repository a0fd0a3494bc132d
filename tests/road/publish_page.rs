//! `docs/publish.md`: every command of the page, in its order.

use std::fs;
use std::path::Path;

use crate::world::{Tested, World};

#[test]
fn the_commands_of_the_page_run_as_they_stand_there() -> Tested {
    let world = World::new()?;
    for (file, text) in [("build/api/restapi.jar", "x"), ("tool/webapps/tool/a", "x")] {
        let path = world.path(&format!("page/{file}"));
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(path, text)?;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/publish.md");
    let page = fs::read_to_string(page)?;
    let mut ran = 0;
    for block in page.split("```\n").skip(1).step_by(2) {
        for line in block.lines() {
            world.ok(&format!("cd page && {line}"))?;
            ran += 1;
        }
    }
    assert!(ran > 20, "{ran} commands were found");
    // What the page says of them, at its end.
    let commands = [
        "publish init",
        "publish rotate",
        "publish sign",
        "publish delegate",
        "publish revoke",
        "--take",
    ];
    for command in commands {
        assert!(page.contains(command), "{command}");
    }
    let left = fs::read_dir(world.path("page/repo/.pending"))?.count();
    assert_eq!(left, 0, "drafts are left over");
    Ok(())
}
