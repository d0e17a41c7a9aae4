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
