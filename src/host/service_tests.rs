//! Tests of the service: its commands are small shell scripts.

use super::*;
use std::path::Path;

fn shell(line: &str, seconds: u64) -> ServiceCommand {
    ServiceCommand {
        command: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        seconds,
    }
}

/// A product that is a file: it runs while the file is there.
fn product(root: &Path) -> Service {
    Service {
        root: root.to_owned(),
        rules: Some(ServiceRules {
            stop: shell("rm run", 10),
            start: shell("touch run", 10),
            health: None,
            running: Some(shell("test -e run", 10)),
        }),
    }
}

fn with(service: &Service, change: impl FnOnce(&mut ServiceRules)) -> Service {
    let mut rules = service.rules.clone().unwrap();
    change(&mut rules);
    Service {
        root: service.root.clone(),
        rules: Some(rules),
    }
}

#[test]
fn stopped_and_started() {
    let folder = tempfile::tempdir().unwrap();
    let service = product(folder.path());
    assert!(!service.names_none() && !service.runs());
    service.start().unwrap();
    assert!(service.runs());
    service.stop().unwrap();
    assert!(!service.runs());
    let failure = service.stop().unwrap_err();
    assert_eq!(
        (failure.step, failure.ended.as_str()),
        (Step::Stop, "exit code 1")
    );
    assert!(failure.output.contains("run"), "{failure:?}");
    failure.check().unwrap();
}

#[test]
fn without_commands_nothing_is_done() {
    let service = Service {
        root: "/nowhere".into(),
        rules: None,
    };
    assert!(service.names_none() && !service.runs());
    service.stop().unwrap();
    service.start().unwrap();
}

#[test]
fn without_an_answer_it_is_taken_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let service = product(folder.path());
    for (running, runs) in [
        (None, true),
        (Some(shell("exit 0", 10)), true),
        (Some(shell("exit 3", 10)), false),
        (Some(shell("kill -9 $$", 10)), true),
        (Some(shell("sleep 60", 1)), true),
        (
            Some(ServiceCommand {
                command: vec!["/no/such/program".to_owned()],
                seconds: 1,
            }),
            true,
        ),
    ] {
        let words = format!("{running:?}");
        assert_eq!(
            with(&service, |rules| rules.running = running).runs(),
            runs,
            "{words}"
        );
    }
}

#[test]
fn a_start_is_done_once_the_product_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let service = product(folder.path());
    let ask = "echo x >> asked; test $(wc -l < asked) -ge 2";
    let slow = with(&service, |rules| rules.health = Some(shell(ask, 30)));
    let begun = Instant::now();
    slow.start().unwrap();
    assert!(begun.elapsed() >= ASK_AGAIN);
    // A start that failed is not asked about.
    let bad = with(&slow, |rules| rules.start = shell("echo no; exit 4", 10));
    let failure = bad.start().unwrap_err();
    assert_eq!(
        (
            failure.step,
            failure.ended.as_str(),
            failure.output.as_str()
        ),
        (Step::Start, "exit code 4", "no")
    );
    let asked = folder.path().join("asked").metadata().unwrap().len();
    assert_eq!(asked, 4);
}

#[test]
fn what_is_never_well_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let service = product(folder.path());
    let none = ServiceCommand {
        command: vec!["/no/such/program".to_owned()],
        seconds: 300,
    };
    let later = "test -e asked && sleep 60; touch asked; exit 1";
    for (health, ended) in [
        (
            shell("echo x >> ill; exit 7", 3),
            "exit code 7, asked ILL time(s) within 3 s",
        ),
        (shell("sleep 60", 1), "no end within 1 s"),
        (
            shell(later, 3),
            "no end when asked for the last of 2 times within 3 s",
        ),
        (
            none,
            "cannot be run: No such file or directory (os error 2)",
        ),
    ] {
        let ill = with(&service, |rules| rules.health = Some(health.clone()));
        let begun = Instant::now();
        let failure = ill.start().unwrap_err();
        // How often is the machine's affair, as long as it is told: two bytes each time.
        let bytes = folder.path().join("ill").metadata().unwrap().len();
        assert!(bytes >= 4, "asked once");
        let ended = ended.replace("ILL", &(bytes / 2).to_string());
        assert_eq!((failure.step, &failure.ended), (Step::Health, &ended));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn the_message_has_the_command_and_its_last_lines() {
    let folder = tempfile::tempdir().unwrap();
    let service = product(folder.path());
    let failure = Failure {
        ended: "exit code 1".to_owned(),
        output: (1..=20).fold(String::new(), |text, line| format!("{text}line\t{line}\n")),
        step: Step::Stop,
    };
    let refusal = Refusal::new(RefusalName::ServiceFailed, "x");
    let text = service.tell(refusal, &failure).to_string();
    assert!(
        text.contains("  stop       /bin/sh -c 'rm run'\n  ended      exit code 1\n"),
        "{text}"
    );
    assert!(
        text.contains("  printed    line    9\n             line    10\n"),
        "{text}"
    );
    assert!(
        text.contains("line    20\n") && !text.contains("line    8"),
        "{text}"
    );
}
