//! Keys of people: passphrases from a terminal, a descriptor or an agent, and files that others can
//! read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::agent::Agent;
use crate::terminal::{CTRL_C, Terminal};
use crate::world::{MP4, Outcome, Tested, World};

const APPROVE: &str = "lockstep approve usb/PROD.head.spr --key keys/locked";

/// A patch, and a key with the passphrase `secret`.
fn world() -> Outcome<World> {
    let world = World::new()?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    world.ok("ssh-keygen -q -t ed25519 -N secret -C locked -f keys/locked")?;
    Ok(world)
}

#[test]
fn a_passphrase_comes_from_a_descriptor() -> Tested {
    let world = world()?;
    world.write("right", "secret\nmore\n")?;
    world.write("wrong", "Secret\n")?;
    world.write("empty", "\nsecret\n")?;
    world.write("long", &"x".repeat(5_000))?;
    for line in [
        "--passphrase-fd 3 3< right",
        "--passphrase-fd 0 < right",
        "--passphrase-fd 5 5< right < /dev/null",
    ] {
        world.ok(&format!("{APPROVE} {line} && rm usb/*.sig"))?;
    }
    // A pipe, of which only the first line is read: the next command finds what follows.
    let piped =
        format!("printf 'secret\\nmore\\n' | ( {APPROVE} --passphrase-fd 0 > said && cat )");
    let ran = world.ok(&piped)?;
    assert_eq!(ran.out, "more\n");
    world.ok("rm usb/*.sig")?;
    for (line, says) in [
        ("--passphrase-fd 3 3< wrong", "does not open it"),
        ("--passphrase-fd 3 3< empty", "the first line is empty"),
        ("--passphrase-fd 3 3< /dev/null", "the first line is empty"),
        ("--passphrase-fd 3 3< long", "longer than"),
        ("--passphrase-fd 9", "not open"),
    ] {
        world.refused("usb", &format!("timeout 60 {APPROVE} {line}"), 2, &[says])?;
    }
    // Nobody can be asked, and none was given: said, and not waited for.
    let alone = format!("timeout 60 setsid {APPROVE} < /dev/null");
    world.refused("usb", &alone, 2, &["passphrase", "--passphrase-fd"])?;
    // Nor is anybody asked for what cannot be written, beside the patch or where it was to go.
    world.ok(&format!(
        "{APPROVE} --passphrase-fd 3 3< right && cp usb/*.sig taken.sig"
    ))?;
    for line in [APPROVE, &format!("{APPROVE} --output taken.sig")] {
        let alone = format!("timeout 60 setsid {line} < /dev/null");
        world.refused("usb", &alone, 2, &["there already"])?;
    }
    world.ok("rm usb/*.sig")?;
    // Not on the command line, and not from the environment.
    let typed = world.run(&format!("{APPROVE} --passphrase secret"))?;
    assert_eq!(typed.code, 2, "{}", typed.err);
    let env = format!("SSH_ASKPASS=/bin/echo LOCKSTEP_PASSPHRASE=secret setsid {APPROVE}");
    world.refused("usb", &env, 2, &["passphrase"])?;
    Ok(())
}

#[test]
fn a_folder_of_role_keys_has_one_passphrase() -> Tested {
    let world = World::new()?;
    world.ok("for role in root targets snapshot timestamp; do ssh-keygen -q -p -N secret -f keys/vendor/$role; done")?;
    world.write("right", "secret\n")?;
    let renew = "lockstep publish renew --repository repository --keys keys/vendor";
    world.refused("repository", &format!("setsid {renew}"), 2, &["passphrase"])?;
    world.ok(&format!("{renew} --passphrase-fd 3 3< right"))?;
    Ok(())
}

#[test]
fn a_passphrase_that_is_typed_is_not_shown() -> Tested {
    let world = world()?;
    let mut terminal = Terminal::run(&world, APPROVE)?;
    terminal.wait("question", |seen| {
        seen.contains("passphrase of keys/locked")
    })?;
    terminal.types("secret\n")?;
    let (code, seen) = terminal.ends()?;
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains("secret"), "{seen}");
    // Wrong: told once, and not asked for again.
    let mut terminal = Terminal::run(&world, &format!("rm usb/*.sig; {APPROVE}"))?;
    terminal.wait("question", |seen| seen.contains("passphrase of"))?;
    // What would stop or kill the program, and leave the terminal dark, is a letter like others.
    terminal.types("sec\u{1a}\u{1c}ret\n")?;
    let (code, seen) = terminal.ends()?;
    assert_eq!(code, 2, "{seen}");
    assert!(seen.contains("does not open it"), "{seen}");
    assert_eq!(seen.matches("passphrase of").count(), 1, "{seen}");
    // A terminal as the descriptor would show it.
    let line = format!("{APPROVE} --passphrase-fd 0");
    let (code, seen) = Terminal::run(&world, &line)?.ends()?;
    assert_eq!(code, 2, "{seen}");
    assert!(seen.contains("is a terminal"), "{seen}");
    Ok(())
}

#[test]
fn the_terminal_shows_again_what_is_typed_however_the_question_ends() -> Tested {
    let world = world()?;
    let table = [
        // What ends it, what is typed, and the exit code.
        ("", CTRL_C, 130),
        ("timeout --foreground -s TERM 2", "", 124),
        ("timeout --foreground -s HUP 2", "", 124),
        ("", "wrong\n", 2),
        ("", "\u{4}", 2),
        ("", "secret\n", 0),
    ];
    for (by, typed, expected) in table {
        let line =
            format!("stty -a > before; {by} {APPROVE}; code=$?; stty -a > after; (exit $code)");
        let mut terminal = Terminal::run(&world, &line)?;
        terminal.wait("question", |seen| seen.contains("passphrase of"))?;
        terminal.types(typed)?;
        let (code, seen) = terminal.ends()?;
        assert_eq!(code, expected, "{by} {typed:?}: {seen}");
        let (before, after) = (world.path("before"), world.path("after"));
        let before = fs::read_to_string(before)?;
        assert!(before.contains(" echo "), "{before}");
        assert_eq!(before, fs::read_to_string(after)?, "{by} {typed:?}");
    }
    Ok(())
}

#[test]
fn after_a_passphrase_ctrl_c_still_ends_the_command() -> Tested {
    let world = world()?;
    // What the command reads next never comes: it is ended while it waits.
    world.ok("mkfifo pipe && rm site.spr && ln -s pipe site.spr")?;
    let line = "lockstep site renew --from site.spr --key keys/locked --output new.spr";
    let mut terminal = Terminal::run(&world, line)?;
    terminal.wait("question", |seen| seen.contains("passphrase of"))?;
    terminal.types("secret\n")?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    terminal.types(CTRL_C)?;
    let (code, seen) = terminal.ends()?;
    assert_eq!(code, 130, "{seen}");
    Ok(())
}

#[test]
fn a_key_that_an_agent_holds_signs_every_statement() -> Tested {
    let world = World::new()?;
    let agent = Agent::start(&world, &[])?;
    let env = agent.env();
    world.ok(&format!(
        "{env} ssh-add -q keys/owner keys/desk && mkdir away && mv keys/owner keys/desk away"
    ))?;
    world.ok(&format!("{env} lockstep site renew --from site.spr --approver carl=keys/stranger.pub --key keys/owner.pub --output site2.spr && mv site2.spr site.spr"))?;
    world.init("PROD")?;
    world.ok(&format!(
        "{env} lockstep enrol usb/PROD.snapshot.spr --desk desk --key keys/desk.pub --output e.spr"
    ))?;
    world.ok(&format!("{env} lockstep prepare usb/PROD.snapshot.spr --to {MP4} --desk desk --site site.spr --key keys/desk.pub --source repository --output usb/PROD.patch.spr"))?;
    world.apply("PROD", "usb/PROD.patch.spr", "usb/r.spr")?;
    // Another key, no agent, one that does not listen, and one that is locked.
    let approve = "lockstep approve usb/PROD.head.spr --key keys/anna.pub";
    for (line, says) in [
        (format!("{env} {approve}"), "does not hold this key"),
        (format!("SSH_AUTH_SOCK= {approve}"), "no agent"),
        (
            format!(
                "SSH_AUTH_SOCK={}/none {approve}",
                world.path("usb").display()
            ),
            "does not answer",
        ),
    ] {
        world.refused("usb", &line, 2, &[says, "ssh-add"])?;
    }
    let role = format!(
        "{env} cp keys/desk.pub keys/vendor/timestamp && {env} lockstep publish renew --repository repository --keys keys/vendor"
    );
    world.refused("repository", &role, 2, &["an agent signs statements"])?;
    Ok(())
}

#[test]
fn a_key_that_others_can_read_signs_nothing() -> Tested {
    let world = world()?;
    for key in ["owner", "desk", "anna", "vendor/timestamp"] {
        let path = world.path("keys").join(key);
        fs::set_permissions(path, Permissions::from_mode(0o640))?;
    }
    for line in [
        "lockstep site renew --from site.spr --key keys/owner --output new.spr".to_owned(),
        "lockstep enrol usb/PROD.snapshot.spr --desk desk --key keys/desk --output usb/e.spr"
            .to_owned(),
        format!(
            "lockstep prepare usb/PROD.snapshot.spr --to {MP4} --desk desk --site site.spr --key keys/desk --source repository --output usb/n.spr"
        ),
        "lockstep approve usb/PROD.head.spr --key keys/anna".to_owned(),
        "lockstep publish renew --repository repository --keys keys/vendor".to_owned(),
    ] {
        world.refused("usb", &line, 36, &["others can read", "0640", "chmod 600"])?;
    }
    Ok(())
}
