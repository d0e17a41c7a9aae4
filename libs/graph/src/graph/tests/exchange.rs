use super::*;

fn home() -> Site {
    let mut site = Site::open();
    let (hub, washer) = (site.named(1, "Hub", "hub"), site.named(2, "Washer", "washer"));
    let light = site.device(3);
    site.connect(washer, hub);
    site.client(washer, hub, "+");
    site.publish(washer, hub, "washer/state");
    site.connect(light, hub);
    site.reach(washer, [192, 0, 2, 1], 443);
    site.write(["Washer", "Hub", "subscribe", "lock/#"], Answer::Deny).unwrap();
    let once = site.write(["Washer", "Hub", "connect", "tcp/22"], Answer::Deny).unwrap();
    site.say(once, Answer::Allow, Lifetime::Once);
    site
}

#[test]
fn what_is_written_can_be_read_and_changes_nothing() {
    let mut site = home();
    let text = site.graph.export();
    assert_eq!(site.graph.import(&text, false, &owner(), site.now).unwrap().changes, [""; 0]);
    assert_eq!(site.graph.export(), text);
    assert!(!text.contains("tcp/22"), "what ends after a use is not written");
    for part in ["from = \"Washer\"", "02:00:00:00:00:03", "192.0.2.1", "client:\\+", "state = \"denied\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn another_box_that_sees_the_same_devices_can_take_it_over() {
    let text = home().graph.export();
    let mut other = Site::open();
    for number in [3, 2, 1] {
        other.device(number);
    }
    let washer = other.graph.find("02:00:00:00:00:02").unwrap();
    other.reach(washer, [192, 0, 2, 1], 443);
    let planned = other.graph.import(&text, true, &owner(), other.now).unwrap();
    assert_eq!(other.graph.find("Washer").ok(), None, "a dry run changes nothing");
    let done = other.graph.import(&text, false, &owner(), other.now).unwrap();
    other.execute();
    assert_eq!(planned.changes.len(), done.changes.len());
    assert_eq!(other.graph.export(), text);
    other.finish(washer);
    let hub = other.graph.find("Hub").unwrap();
    assert!(other.connect(washer, hub));
    assert!(other.publish(washer, hub, "washer/state"));
    assert!(!other.subscribe(washer, hub, "lock/front"));
}

#[test]
fn all_mistakes_are_told_with_their_lines() {
    let mut site = home();
    let before = site.graph.export();
    let text = r#"version = 1

[[principal]]
mac = "02:00:00:00:00:77"
kind = "lock"

[[principal]]
mac = "02:00:00:00:00:01"
kind = "lokc"

[[edge]]
from = "Washer"
to = "Hub"
plane = "packet"
verb = "publish"
object = "a/#/b"
state = "allowed"

[[edge]]
from = "Washer"
to = "Nobody"
plane = "packet"
verb = "connect"
object = "tcp/80"
state = "allowed"
typo = 1

[[edge]]
from = "Washer"
to = "Hub"
plane = "packet"
verb = "connect"
object = "tcp/81"
state = "allowed"
"#;
    let mistakes = site.graph.import(text, false, &owner(), site.now).unwrap_err();
    assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [3, 7, 11, 19]);
    assert_eq!(site.graph.export(), before);
    assert_eq!(site.graph.import("version = ", true, &owner(), site.now).unwrap_err()[0].line, 1);
    assert_eq!(site.graph.import("version = 2", true, &owner(), site.now).unwrap_err().len(), 1);
}

#[test]
fn what_is_stored_otherwise_than_written_is_no_change_the_second_time() {
    let mut site = home();
    let text = r#"version = 1

[[principal]]
mac = "02:00:00:00:00:03"
name = " Lamp\t"
room = ""
description = "  under  the stairs "
"#;
    assert_eq!(site.graph.import(text, false, &owner(), site.now).unwrap().changes.len(), 1);
    assert_eq!(site.graph.import(text, false, &owner(), site.now).unwrap().changes, [""; 0]);
    let twice = format!("{text}\n[[principal]]\nmac = \"02:00:00:00:00:03\"\nroom = \"Hall\"\n");
    assert_eq!(site.graph.import(&twice, true, &owner(), site.now).unwrap_err()[0].line, 9);
}

/// A model with so many topics that one device may publish to another.
fn topics(count: usize, topic: impl Fn(usize) -> String) -> String {
    let edge = |number| {
        let object = topic(number);
        format!(
            "[[edge]]\nfrom = \"Washer\"\nto = \"Hub\"\nplane = \"packet\"\nverb = \"publish\"\n\
             object = \"{object}\"\nstate = \"allowed\"\n\n"
        )
    };
    "version = 1\n\n".to_owned() + &(0..count).map(edge).collect::<String>()
}

#[test]
fn a_thousand_rules_are_one_change() {
    let mut site = home();
    let [washer, hub] = ["Washer", "Hub"].map(|name| site.graph.find(name).unwrap());
    let text = topics(1_000, |number| format!("site/{number}"));
    let report = site.graph.import(&text, false, &owner(), site.now).unwrap();
    assert_eq!(report.changes.len(), 1_000);
    let mut draft = site.graph.clone();
    let commands: Vec<Command> = std::iter::from_fn(|| draft.next_command()).collect();
    let told = commands.iter().filter(|command| matches!(command, Command::PutTopics { .. }));
    assert_eq!(told.count(), 1, "not once for each");
    let stored = commands.iter().position(|command| matches!(command, Command::Save(_))).unwrap();
    let told = commands.iter().position(|command| matches!(command, Command::PutTopics { .. })).unwrap();
    assert!(stored < told, "what opens is stored first");
    site.execute();
    site.finish(washer);
    assert!(site.publish(washer, hub, "site/999"));
    assert!(!site.publish(washer, hub, "site/1000"));
}

#[test]
fn what_does_not_fit_is_refused_as_a_whole() {
    let mut site = home();
    let [washer, hub] = ["Washer", "Hub"].map(|name| site.graph.find(name).unwrap());
    site.write(["Washer", "Hub", "publish", "site/1"], Answer::Allow).unwrap();
    site.finish(washer);
    let (text, rules) = (site.graph.export(), site.kernel.rules.clone());
    let too_many = topics(1_100, |number| format!("site/{}", number + 2));
    for dry_run in [true, false] {
        let mistakes = site.graph.import(&too_many, dry_run, &owner(), site.now).unwrap_err();
        let message =
            "The message rules of this connection do not fit; use fewer wildcards; nothing was changed";
        assert_eq!((mistakes.len(), &mistakes[0].message[..]), (1, message));
        assert_eq!(mistakes[0].line, 2 + 1_099 * 8 + 1, "the last one that was too much");
        assert!(site.graph.next_command().is_none(), "the kernel is told nothing");
    }
    assert_eq!((site.graph.export(), &site.kernel.rules), (text, &rules));
    assert!(site.publish(washer, hub, "site/1"), "what was in force still is");
    assert!(!site.publish(washer, hub, "site/2"));
    site.check();
}
