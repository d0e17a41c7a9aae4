//! What Home Assistant sees, by MQTT discovery (<https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>).
//!
//! How many questions wait, the newest of them in words, whether the firewall does its work, and one button: *Keep
//! blocked*. There is none that allows: who
//! may write to the broker could press it. The button carries the number of the question that it was shown beside, so that
//! a press that comes late is about nothing else.

use serde_json::{Value, json};

use crate::rpc::Waiting;

/// The box as a client of the broker.
pub const CLIENT_ID: &str = "edgeward";
/// Where a press of the button arrives.
pub const COMMAND_TOPIC: &str = "edgeward/keep_blocked";
/// What the box publishes.
pub const STATE_TOPICS: [&str; 2] = ["edgeward/#", "homeassistant/+/edgeward/#"];
/// Whether the box is there; its will says that it is not.
pub const AVAILABLE_TOPIC: &str = "edgeward/available";

const COUNT_TOPIC: &str = "edgeward/waiting";
const PROBLEM_TOPIC: &str = "edgeward/problem";
const QUESTION_TOPIC: &str = "edgeward/question";
/// Home Assistant takes no longer state.
const STATE_LIMIT: usize = 255;

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: &'static str,
    pub payload: String,
}

/// Everything that is told once a connection stands, and again when what waits has changed.
pub fn messages(waiting: &Waiting, is_outage: bool) -> Vec<Message> {
    let message = |topic, payload: &Value| Message { topic, payload: payload.to_string() };
    let text = |topic, payload: String| Message { topic, payload };
    let question = waiting.sentence.as_deref().unwrap_or("Nothing waits");
    vec![
        message(
            "homeassistant/sensor/edgeward/waiting/config",
            &entity("waiting", "Questions", &json!({"state_topic": COUNT_TOPIC, "icon": "mdi:shield-alert"})),
        ),
        message(
            "homeassistant/sensor/edgeward/question/config",
            &entity(
                "question",
                "Newest question",
                &json!({"state_topic": QUESTION_TOPIC, "icon": "mdi:help"}),
            ),
        ),
        message(
            "homeassistant/button/edgeward/keep_blocked/config",
            &entity(
                "keep_blocked",
                "Keep blocked",
                &json!({
                    "command_topic": COMMAND_TOPIC,
                    "payload_press": waiting.newest.map_or_else(|| "none".to_owned(), |edge| edge.to_string()),
                    "icon": "mdi:shield-lock",
                }),
            ),
        ),
        message(
            "homeassistant/binary_sensor/edgeward/problem/config",
            &entity(
                "problem",
                "Protection",
                &json!({"state_topic": PROBLEM_TOPIC, "device_class": "problem"}),
            ),
        ),
        text(PROBLEM_TOPIC, if is_outage { "ON" } else { "OFF" }.to_owned()),
        text(COUNT_TOPIC, waiting.count.to_string()),
        text(QUESTION_TOPIC, question.chars().take(STATE_LIMIT).collect()),
        text(AVAILABLE_TOPIC, "online".to_owned()),
    ]
}

/// The question whose button was pressed.
pub fn pressed(topic: &str, payload: &[u8]) -> Option<u32> {
    let payload = (topic == COMMAND_TOPIC).then_some(payload)?;
    std::str::from_utf8(payload).ok()?.parse().ok()
}

fn entity(id: &str, name: &str, more: &Value) -> Value {
    let mut entity = json!({
        "name": name,
        "unique_id": format!("edgeward_{id}"),
        "availability_topic": AVAILABLE_TOPIC,
        "device": {"identifiers": ["edgeward"], "name": "Edgeward", "sw_version": env!("CARGO_PKG_VERSION")},
    });
    if let (Value::Object(entity), Value::Object(more)) = (&mut entity, more) {
        entity.extend(more.clone());
    }
    entity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(waiting: &Waiting, topic: &str) -> String {
        let found = messages(waiting, false).into_iter().find(|message| message.topic == topic);
        found.expect("it is told").payload
    }

    #[test]
    fn the_newest_question_is_shown_with_a_button_that_is_about_it() {
        let sentence = Some("Washer wants to open the door.".to_owned());
        let waiting = Waiting { count: 2, newest: Some(24), sentence };
        assert_eq!(message(&waiting, COUNT_TOPIC), "2");
        assert_eq!(message(&waiting, QUESTION_TOPIC), "Washer wants to open the door.");
        let button: Value =
            serde_json::from_str(&message(&waiting, "homeassistant/button/edgeward/keep_blocked/config"))
                .unwrap();
        assert_eq!(pressed(COMMAND_TOPIC, button["payload_press"].as_str().unwrap().as_bytes()), Some(24));
        assert!(
            !messages(&waiting, false).iter().any(|message| message.payload.to_lowercase().contains("allow"))
        );
    }

    #[test]
    fn where_nothing_waits_a_press_does_nothing() {
        let button = message(&Waiting::default(), "homeassistant/button/edgeward/keep_blocked/config");
        let button: Value = serde_json::from_str(&button).unwrap();
        assert_eq!(pressed(COMMAND_TOPIC, button["payload_press"].as_str().unwrap().as_bytes()), None);
        for (topic, payload) in
            [("edgeward/other", &b"24"[..]), (COMMAND_TOPIC, b"\xff"), (COMMAND_TOPIC, b"-1")]
        {
            assert_eq!(pressed(topic, payload), None);
        }
        assert_eq!(message(&Waiting::default(), QUESTION_TOPIC), "Nothing waits");
    }

    #[test]
    fn an_outage_is_a_problem() {
        let problem = |is_outage| {
            let messages = messages(&Waiting::default(), is_outage);
            messages.into_iter().find(|message| message.topic == PROBLEM_TOPIC).map(|message| message.payload)
        };
        assert_eq!((problem(true).as_deref(), problem(false).as_deref()), (Some("ON"), Some("OFF")));
    }

    #[test]
    fn a_state_is_as_long_as_home_assistant_takes_it() {
        let waiting = Waiting { sentence: Some("ä".repeat(1_000)), ..Waiting::default() };
        assert_eq!(message(&waiting, QUESTION_TOPIC).chars().count(), STATE_LIMIT);
    }

    #[test]
    fn what_is_published_is_what_the_firewall_lets_pass() {
        for Message { topic, .. } in messages(&Waiting::default(), true) {
            let discovery =
                topic.starts_with("homeassistant/") && topic.split('/').nth(2) == Some("edgeward");
            assert!(topic.starts_with("edgeward/") || discovery, "{topic}");
        }
    }
}
