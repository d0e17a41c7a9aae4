//! Set-ups of real devices: all but one of a type are learned, the one that is left out is judged.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use edgeward::replay::{
    files::{self, Checked},
    site::Tried,
};
use graph::principal::parse_mac;
use serde_json::{Value, json};

use crate::corpus::{self, Corpus};

/// Where each folder is a type of device.
const FOLDER: &str = "iot-sentinel";
/// Holds the MAC of the device.
const MAC: &str = "_iotdevice-mac.txt";

/// What came of some set-ups.
#[derive(Clone, Copy, Default)]
struct Counts {
    setups: usize,
    silent: usize,
    edges: usize,
    asked: usize,
}

impl Counts {
    fn add(&mut self, tried: Tried) {
        self.setups += 1;
        self.silent += usize::from(tried.asked == 0);
        self.edges += tried.edges;
        self.asked += tried.asked;
    }

    fn json(self) -> Value {
        let Self { setups, silent, edges, asked } = self;
        json!({
            "edges_ask_pct": percent(asked, edges),
            "setups_silent_pct": percent(silent, setups),
            "n": setups,
            "edges": edges,
            "asked": asked,
        })
    }
}

pub(crate) fn measure(corpus: &Corpus) -> Result<Value> {
    let mut total = Counts::default();
    let mut types = serde_json::Map::new();
    let mut questions = serde_json::Map::new();
    for (folder, captures) in by_folder(corpus) {
        let Ok(mac) = fs::read_to_string(folder.join(MAC)) else { continue };
        let mac = parse_mac(mac.trim()).with_context(|| format!("{} holds no MAC", folder.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let checked: Vec<Checked> =
            captures.iter().map(|path| files::check(path)).collect::<Result<_, _>>()?;
        let mut counts = Counts::default();
        for (left_out, capture) in captures.iter().enumerate() {
            let (tried, asked) = judge(corpus, mac, &checked, left_out)?;
            counts.add(tried);
            total.add(tried);
            if !asked.is_empty() {
                let setup = capture.file_name().unwrap_or_default().to_string_lossy();
                questions.insert(format!("{name}/{setup}"), json!(asked));
            }
        }
        types.insert(name, counts.json());
    }
    let mut result = total.json();
    result["per_type"] = Value::Object(types);
    result["questions"] = Value::Object(questions);
    Ok(result)
}

/// Learns all set-ups but one, and judges that.
fn judge(corpus: &Corpus, mac: [u8; 6], setups: &[Checked], left_out: usize) -> Result<(Tried, Vec<String>)> {
    let mut site = corpus::site(Some(mac));
    for (at, setup) in setups.iter().enumerate() {
        if at != left_out {
            corpus.hear(&mut site, setup, u64::MAX, |_| ())?;
        }
    }
    site.finish_learning();
    corpus.hear(&mut site, &setups[left_out], u64::MAX, |_| ())?;
    let asked = site.questions().into_iter().map(|question| question.sentence).collect();
    Ok((site.tried(), asked))
}

fn by_folder(corpus: &Corpus) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for capture in corpus.captures(FOLDER) {
        if let Some(folder) = capture.parent() {
            folders.entry(folder.to_owned()).or_default().push(capture);
        }
    }
    folders
}

/// In percent, to two places; nothing of nothing is `null`.
fn percent(part: usize, whole: usize) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    let hundredths = u32::try_from((part * 20_000 / whole).div_ceil(2)).unwrap_or(u32::MAX);
    json!(f64::from(hundredths) / 100.0)
}
