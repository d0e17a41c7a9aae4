//! What was measured beside what was wanted.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Which side of the limit is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    AtMost,
    AtLeast,
}

/// A figure with a limit.
struct Goal {
    name: &'static str,
    value: Option<f64>,
    wanted: Wanted,
    limit: f64,
}

/// Frames are compared with 1,000 rules in the tables; xdp-filter runs as its `load` leaves it.
fn goals(result: &Value) -> Vec<Goal> {
    let number = |place: &str| result.pointer(place).and_then(Value::as_f64);
    let net = |name: &str| number(&format!("/prog_ns/{name}/net"));
    let beside = |name: &str, other: &str| Some(net(name)? / net(other)?);
    let filter = |name: &str| beside(name, "xdp_filter");
    let suricata =
        || Some(number("/mqtt_rtt/ours_1000/added_us")? / number("/mqtt_rtt/suricata_1000/added_us")?);
    let at_most = |name, value, limit| Goal { name, value, wanted: Wanted::AtMost, limit };
    let at_least = |name, value, limit| Goal { name, value, wanted: Wanted::AtLeast, limit };
    vec![
        at_most("opaque frame / xdp-filter", filter("opaque"), 1.0),
        at_most("new edge / xdp-filter", filter("edge/1000"), 1.5),
        at_most("PUBLISH with 40 B / xdp-filter", filter("publish_40/1000"), 6.0),
        at_most("PUBLISH with 1,400 B / xdp-filter", filter("publish_1400/1000"), 10.0),
        at_most("new edge, 10,000 edges / 20", beside("edge/10000", "edge/20"), 1.3),
        at_most("PUBLISH, 10,000 rules / 20", beside("publish_40/10000", "publish_40/20"), 1.3),
        at_most("MQTT round trip, 1,000 topic rules", number("/mqtt_rtt/ours_1000/ratio"), 1.05),
        at_most("its added time / Suricata's", suricata(), 0.25),
        at_least("connections per second", number("/connect/ours/ratio"), 0.85),
        at_most("CPU per gigabyte, opaque", number("/cpu_per_gb/opaque/ratio"), 1.15),
        at_most("bytes per edge", number("/bytes/edge"), 150.0),
        at_most("bytes per topic rule", number("/bytes/topic_rule"), 250.0),
        at_most("bytes for 20 services, inspected", number("/bytes/services_20_inspected"), 34_000.0),
    ]
}

impl Goal {
    fn reached(&self) -> Option<bool> {
        let value = self.value?;
        Some(match self.wanted {
            Wanted::AtMost => value <= self.limit,
            Wanted::AtLeast => value >= self.limit,
        })
    }
}

/// The goals for the JSON object.
pub(super) fn judged(result: &Value) -> Value {
    let judged = goals(result).into_iter().map(|goal| {
        let limit = match goal.wanted {
            Wanted::AtMost => "at_most",
            Wanted::AtLeast => "at_least",
        };
        json!({ "goal": goal.name, "value": goal.value, limit: goal.limit, "reached": goal.reached() })
    });
    judged.collect()
}

/// Everything that a person wants to see at a glance.
pub(super) fn table(result: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, rest: &str| {
        let _ = writeln!(text, "{name:<36} {rest}");
    };
    line("a frame through the programs", "net ns (best round), beside the empty program");
    if let Some(figures) = result["prog_ns"].as_object() {
        for (name, figure) in figures {
            if figure.get("net").is_some() {
                line(&format!("  {name}"), &in_words(figure));
            } else if let Some(stages) = figure.as_object().filter(|_| name != "flags") {
                let mut stages: Vec<_> = stages.iter().collect();
                stages.sort_by_key(|(stage, _)| stage.parse::<u32>().unwrap_or(u32::MAX));
                for (stage, figure) in stages {
                    line(&format!("  {name}, {stage}"), &in_words(figure));
                }
            }
        }
    }
    for part in
        ["live_ns", "mqtt_rtt", "connect", "forward_added_ns", "forward", "cpu_per_gb", "bytes", "machine"]
    {
        match &result[part] {
            Value::Object(entries) => {
                line(part, "");
                for (name, value) in entries {
                    line(&format!("  {name}"), &value.to_string());
                }
            }
            value => line(part, &value.to_string()),
        }
    }
    if let Some(reasons) = result["missing"].as_object() {
        for (name, reason) in reasons {
            line(&format!("not measured: {name}"), reason.as_str().unwrap_or_default());
        }
    }
    line("goal", "measured  wanted");
    for goal in goals(result) {
        let (sign, verdict) = match (goal.wanted, goal.reached()) {
            (Wanted::AtMost, Some(true)) => ("<=", "reached"),
            (Wanted::AtLeast, Some(true)) => (">=", "reached"),
            (Wanted::AtMost, Some(false)) => ("<=", "MISSED"),
            (Wanted::AtLeast, Some(false)) => (">=", "MISSED"),
            (_, None) => ("", "not measured"),
        };
        let value = goal.value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        line(&format!("  {}", goal.name), &format!("{value:>8}  {sign} {}  {verdict}", goal.limit));
    }
    text
}

fn in_words(figure: &Value) -> String {
    match (figure["net"].as_f64(), figure["best"].as_f64()) {
        (Some(net), Some(best)) => format!("{net:>8.0} ({best:.0})"),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_missed_or_open() {
        let result = json!({
            "prog_ns": { "xdp_filter": { "net": 50.0 }, "opaque": { "net": 60.0, "best": 55.0 } },
            "connect": { "ours": { "ratio": 0.9 } },
            "mqtt_rtt": { "suricata_1000": null },
        });
        let judged = judged(&result);
        let verdict = |name: &str| {
            let goals = judged.as_array().expect("a list");
            goals.iter().find(|goal| goal["goal"] == name).expect("the goal is listed")["reached"].clone()
        };
        assert_eq!(verdict("opaque frame / xdp-filter"), false);
        assert_eq!(verdict("connections per second"), true);
        assert_eq!(verdict("its added time / Suricata's"), Value::Null);
        let table = table(&result);
        assert!(table.contains("60 (55)") && table.contains("1.20  <= 1  MISSED"), "{table}");
    }
}
