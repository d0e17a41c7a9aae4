//! A site with a broker, the attacks on it, and captures in which nobody attacks.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result};
use edgeward::replay::{files, site::Site};
use graph::command::Alarm;
use serde_json::{Value, json};

use crate::corpus::{self, Corpus};

/// A day of a site without attacks.
const QUIET_SITE: &str = "derived";

/// Captures of one kind of attack each.
const ATTACKS: [(&str, Alarm, &str); 5] = [
    ("bruteforce", Alarm::Bruteforce, "mqttset-reduced/bruteforce"),
    ("slowite", Alarm::Slowite, "mqttset-reduced/slowite"),
    ("flood", Alarm::Flood, "mqttset-reduced/flood"),
    ("malformed", Alarm::Malformed, "mqttset-reduced/malformed"),
    ("scan", Alarm::Scan, "ndpi/tests/cfgs/default/pcap/synscan.pcap"),
];

/// Captures in which nobody attacks: set-ups, a site, and messages as clients send them.
const BENIGN: [&str; 3] = [QUIET_SITE, "iot-sentinel", "suricata-verify"];
/// Of these, what was made to be wrong.
const WRONG: [&str; 4] = ["malformed", "invalid", "anomaly", "bruteforce"];

/// Learns the first half of the site, and judges the second.
pub(crate) fn mqttset(corpus: &Corpus) -> Result<Value> {
    let captures = corpus.captures(QUIET_SITE);
    let path = captures.first().context("no capture of a quiet site")?;
    let capture = files::check(path)?;
    let mut site = corpus::site(None);
    corpus.hear(&mut site, &capture, capture.packets / 2, Site::finish_learning)?;
    let sentences: Vec<String> = site.questions().into_iter().map(|question| question.sentence).collect();
    Ok(json!({ "questions": sentences.len(), "edges": site.tried().edges, "asked": sentences }))
}

/// Which attacks raise the alarm of their kind, and how many alarms there are where nobody attacks.
pub(crate) fn alarms(corpus: &Corpus) -> Result<Value> {
    let mut result = json!({});
    for (name, alarm, below) in ATTACKS {
        let captures = corpus.captures(below);
        result[name] = if captures.is_empty() {
            Value::Null
        } else {
            let mut all = true;
            for capture in &captures {
                all &= raised(corpus, capture)?.is_some_and(|raised| raised.contains(&alarm));
            }
            json!(all)
        };
    }
    let (mut benign, mut heard, mut where_raised) = (0, 0, Vec::new());
    for capture in BENIGN.iter().flat_map(|below| corpus.captures(below)) {
        let text = capture.to_string_lossy().into_owned();
        if WRONG.iter().any(|word| text.contains(word)) {
            continue;
        }
        let Some(raised) = raised(corpus, &capture)? else { continue };
        heard += 1;
        for alarm in raised.into_iter().filter(|alarm| is_attack(*alarm)) {
            benign += 1;
            let name = capture.strip_prefix(corpus.path("")).unwrap_or(&capture).display().to_string();
            where_raised.push(format!("{name}: {}", alarm.as_str()));
        }
    }
    result["benign"] = json!(benign);
    result["benign_captures"] = json!(heard);
    result["benign_raised"] = json!(where_raised);
    Ok(result)
}

/// The alarms that a capture raises while everyone learns; `None` if it cannot be read.
fn raised(corpus: &Corpus, path: &Path) -> Result<Option<BTreeSet<Alarm>>> {
    let Ok(capture) = files::check(path) else { return Ok(None) };
    let mut site = corpus::site(None);
    corpus.hear(&mut site, &capture, u64::MAX, |_| ())?;
    Ok(Some(site.alarms().into_iter().map(|(alarm, _)| alarm).collect()))
}

const fn is_attack(alarm: Alarm) -> bool {
    match alarm {
        Alarm::Bruteforce | Alarm::Slowite | Alarm::Flood | Alarm::Malformed | Alarm::Scan => true,
        Alarm::SpoofMac
        | Alarm::NameAlike
        | Alarm::ClientTaken
        | Alarm::Moved
        | Alarm::Overflow
        | Alarm::RulesTooComplex => false,
    }
}
