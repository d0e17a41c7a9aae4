//! What Suricata's own tests expect of MQTT captures: the fields that we report as well.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::ours;

/// Some messages of a capture: how many, and what is in them.
#[derive(Debug, Default)]
struct Expectation {
    count: usize,
    fields: Vec<(String, String)>,
}

/// Checks every expectation about MQTT below a folder of tests and says how many there were.
pub(crate) fn check(tests: &Path) -> usize {
    let mut folders: Vec<PathBuf> = fs::read_dir(tests)
        .unwrap_or_else(|error| panic!("{}: {error}", tests.display()))
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    folders.sort();
    folders.iter().map(|folder| check_test(folder)).sum()
}

fn check_test(folder: &Path) -> usize {
    let Ok(text) = fs::read_to_string(folder.join("test.yaml")) else { return 0 };
    let expectations = read(&text);
    if expectations.is_empty() {
        return 0;
    }
    let messages = messages(&capture_of(folder, &text));
    for expectation in &expectations {
        let found = messages.iter().filter(|message| expectation.fits(message)).count();
        // A field that we do not report may tell some of them apart.
        let fits =
            if expectation.is_exact() { found == expectation.count } else { found >= expectation.count };
        assert!(fits, "{}: found {found} of {expectation:?}", folder.display());
    }
    expectations.len()
}

/// The capture that a test names, or the one that lies beside it.
fn capture_of(folder: &Path, text: &str) -> PathBuf {
    if let Some(name) = text.lines().find_map(|line| line.strip_prefix("pcap:")) {
        return folder.join(name.trim());
    }
    let captures = fs::read_dir(folder).expect("the folder was just there");
    let mut captures = captures.map(|entry| entry.expect("a folder can be listed").path());
    captures
        .find(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .unwrap_or_else(|| panic!("{}: no capture", folder.display()))
}

/// The filters of a test that are about MQTT: of YAML only lines of `key: value`.
fn read(text: &str) -> Vec<Expectation> {
    let blocks = text.split("- filter:").skip(1);
    blocks
        .filter(|block| block.contains("event_type: mqtt"))
        .map(|block| {
            let mut expectation = Expectation::default();
            for (key, value) in block.lines().filter_map(|line| line.trim().split_once(": ")) {
                let value = value.trim().trim_matches('"');
                match key.strip_prefix("mqtt.") {
                    Some(field) => expectation.fields.push((field.to_owned(), value.to_owned())),
                    None if key == "count" => expectation.count = value.parse().expect("a count is a number"),
                    None => {}
                }
            }
            expectation
        })
        .filter(|expectation| expectation.count > 0 && !expectation.fields.is_empty())
        .collect()
}

/// Each message, as the records of its operations.
fn messages(capture: &Path) -> Vec<Vec<Value>> {
    let mut messages: Vec<Vec<Value>> = Vec::new();
    for record in ours::records(capture) {
        if record["protocol"] != "mqtt" || record["type"] != "message" {
            continue;
        }
        match messages.last_mut() {
            Some(message) if record["part"] != 0 => message.push(record),
            _ => messages.push(vec![record]),
        }
    }
    messages
}

impl Expectation {
    /// The type of message of the first field: one event of Suricata may join a message and its answer.
    fn kind(&self) -> &str {
        self.fields.first().map_or("", |(field, _)| field.split('.').next().unwrap_or(field))
    }

    fn fields_of_kind(&self) -> impl Iterator<Item = (&str, &str)> {
        let kind = self.kind();
        self.fields.iter().filter_map(move |(field, value)| {
            Some((field.strip_prefix(kind)?.strip_prefix('.')?, value.as_str()))
        })
    }

    fn fits(&self, message: &[Value]) -> bool {
        let Some(first) = message.first() else { return false };
        let is_kind = first["message"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(self.kind()));
        is_kind && self.fields_of_kind().all(|(field, value)| meets(message, field, value) != Some(false))
    }

    /// Whether we report every field that is asked for, or a field that tells no messages of a type apart.
    fn is_exact(&self) -> bool {
        const ALIKE: [&str; 9] = [
            "dup",
            "password",
            "protocol_string",
            "flags.username",
            "flags.password",
            "flags.will",
            "flags.will_retain",
            "flags.clean_session",
            "retain",
        ];
        self.fields_of_kind().all(|(field, _)| {
            ALIKE.contains(&field)
                || matches!(
                    field,
                    "qos" | "client_id" | "username" | "protocol_version" | "will.topic" | "topic" | "topics"
                )
        })
    }
}

/// Whether a message has this value in this field; `None` for a field that is not compared.
fn meets(message: &[Value], field: &str, value: &str) -> Option<bool> {
    let first = message.first()?;
    let publishes = first["message"] == "PUBLISH";
    let fields = &first["fields"];
    match field {
        "client_id" | "topic" => Some(first["object"] == value),
        "username" => Some(fields["user"] == value),
        "protocol_version" => Some(is(&fields["version"], value)),
        "will.topic" => Some(message.get(1).is_some_and(|will| will["object"] == value)),
        "qos" if publishes => Some(is(&fields["qos"], value)),
        "retain" if publishes => Some(is(&fields["retain"], value)),
        // A test about limits has only the beginning of a filter.
        "topics" if first["message"] == "SUBSCRIBE" && !value.contains("[truncated") => {
            let filters = message.iter().filter_map(|record| record["object"].as_str());
            Some(filters.into_iter().all(|filter| value.contains(filter)))
        }
        _ => None,
    }
}

/// Whether a number or a truth is what a test writes.
fn is(field: &Value, wanted: &str) -> bool {
    let written = field.to_string();
    written == wanted
}

#[test]
fn a_test_is_read() {
    let text = "pcap: a.pcap\nchecks:\n- filter:\n    count: 2\n    match:\n      event_type: mqtt\n      mqtt.publish.topic: \"t/1\"\n- filter:\n    count: 1\n    match:\n      event_type: alert\n";
    let expectations = read(text);
    assert_eq!(expectations.len(), 1);
    assert_eq!((expectations[0].count, expectations[0].kind()), (2, "publish"));
    assert_eq!(expectations[0].fields_of_kind().collect::<Vec<_>>(), [("topic", "t/1")]);
    let publish = |topic: &str| vec![serde_json::json!({ "message": "PUBLISH", "object": topic })];
    assert!(expectations[0].fits(&publish("t/1")) && !expectations[0].fits(&publish("t/2")));
}
