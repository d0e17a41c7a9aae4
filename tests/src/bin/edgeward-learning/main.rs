//! What learning is worth, measured on captures of real devices: how few questions a model asks, which attacks it
//! notices, and how fast it is.
//!
//! ```text
//! iot-sentinel     ─▶ per device type: all set-ups but one are learned, the one is judged
//! derived, mqttset ─▶ the first half is learned, the second is judged; attacks raise the alarm of their kind
//! no capture       ─▶ 10,000 principals and 100,000 edges: a flow classified, an export, memory per edge
//! ```
//!
//! Prints one JSON object; with `--scale` only the last part, without captures. The folder of the captures is named by `EDGEWARD_CORPUS`; nothing of it is changed.

mod attacks;
mod corpus;
mod scale;
mod sentinel;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use self::corpus::Corpus;

fn main() -> ExitCode {
    match measure() {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("edgeward-learning: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Value> {
    if std::env::args().nth(1).as_deref() == Some("--scale") {
        return Ok(scale::measure());
    }
    let corpus = Corpus::open().context("the captures of real devices")?;
    let mut result = json!({});
    eprintln!("learning: set-ups of IoT Sentinel");
    result["sentinel"] = sentinel::measure(&corpus)?;
    eprintln!("learning: MQTTset");
    result["mqttset"] = attacks::mqttset(&corpus)?;
    eprintln!("learning: attacks, and captures without any");
    result["alarms"] = attacks::alarms(&corpus)?;
    result["replay_pps"] = json!(corpus.rate());
    eprintln!("learning: 10,000 principals, 100,000 edges");
    let scale = scale::measure();
    for (name, value) in scale.as_object().into_iter().flatten() {
        result[name] = value.clone();
    }
    Ok(result)
}
