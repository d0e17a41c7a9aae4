//! What the kernel knows about programs, maps and processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use lab::process::Process;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Effort, ours::Ours, pairs::thousandth, traffic::Mqtt};

/// Lets the kernel count how long programs run, for as long as the value lives.
struct Counting;

const COUNTING: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl Counting {
    fn start() -> Result<Self> {
        fs::write(COUNTING, "1").context("the kernel does not count how long programs run")?;
        Ok(Self)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Err(error) = stop_counting() {
            eprintln!("{error:#}");
        }
    }
}

pub(crate) fn stop_counting() -> Result<()> {
    fs::write(COUNTING, "0").context("the kernel goes on counting how long programs run")
}

#[derive(Clone, Debug, Deserialize)]
struct Program {
    id: u32,
    #[serde(default)]
    name: String,
    #[serde(default)]
    run_time_ns: u64,
    #[serde(default)]
    run_cnt: u64,
}

/// A map as `bpftool` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Map {
    id: u32,
    #[serde(default)]
    name: String,
    pub(crate) max_entries: u32,
    pub(crate) bytes_memlock: u64,
}

/// Time of the attached programs per frame, under messages and their confirmations over the lane.
pub(crate) fn live(ours: &Ours, effort: &Effort, client: &mut Mqtt) -> Result<Value> {
    let counting = Counting::start()?;
    let before = programs_of(ours.daemon())?;
    let began = Instant::now();
    let round_trip = client.burst(effort.burst * 30)?;
    let seconds = began.elapsed().as_secs_f64();
    let after = programs_of(ours.daemon())?;
    drop(counting);
    let mut live = json!({
        "variant": "MQTT PUBLISH QoS 1 of 32 + 40 bytes and PUBACK, with TCP acknowledgements; the time of the counting itself is in it",
        "round_trip_us": thousandth(round_trip * 1e6),
        "seconds": thousandth(seconds),
    });
    for (key, name) in [("lan_ingress", "edgeward_lan_in"), ("lan_egress", "edgeward_lan_eg")] {
        let count = |programs: &[Program]| {
            let of_hook = programs.iter().filter(|program| program.name.starts_with(name));
            of_hook.fold((0, 0), |(ns, runs), program| (ns + program.run_time_ns, runs + program.run_cnt))
        };
        let (before, after) = (count(&before), count(&after));
        let runs = after.1 - before.1;
        ensure!(runs > 0, "the program {name} did not run");
        live[key] = json!({ "ns": ((after.0 - before.0) as f64 / runs as f64).round(), "frames": runs });
    }
    Ok(live)
}

fn programs_of(process: Process) -> Result<Vec<Program>> {
    let held = held(process, "prog_id")?;
    let all: Vec<Program> = bpftool(&["prog", "show"])?;
    Ok(all.into_iter().filter(|program| held.contains(&program.id)).collect())
}

/// The maps that a process holds, by name.
pub(crate) fn maps_of(process: Process) -> Result<BTreeMap<String, Map>> {
    let held = held(process, "map_id")?;
    let all: Vec<Map> = bpftool(&["map", "show"])?;
    let maps = all.into_iter().filter(|map| held.contains(&map.id));
    Ok(maps.map(|map| (map.name.clone(), map)).collect())
}

/// The numbers of kernel objects that the descriptors of a process stand for.
fn held(process: Process, field: &str) -> Result<BTreeSet<u32>> {
    let folder = format!("/proc/{}/fdinfo", process.pid());
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
        // A descriptor may be closed while others are read.
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        if let Some(id) = value.and_then(|id| id.trim().parse().ok()) {
            ids.insert(id);
        }
    }
    ensure!(!ids.is_empty(), "the firewall holds nothing with a {field}");
    Ok(ids)
}

fn bpftool<T: DeserializeOwned>(arguments: &[&str]) -> Result<T> {
    let mut command = Command::new("bpftool");
    command.arg("--json").args(arguments);
    let output = command.output().context("cannot start bpftool")?;
    ensure!(output.status.success(), "bpftool: {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).context("bpftool said something unexpected")
}

/// Memory of a process that is in use, in bytes.
pub(crate) fn resident(process: Process) -> Result<u64> {
    let path = format!("/proc/{}/status", process.pid());
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("its memory is a number")?;
    Ok(kib * 1024)
}

/// Whether the work of a virtual cable, which is done in interrupts, is in no process's time.
pub(crate) fn counts_interrupts_apart() -> Result<bool> {
    let name = nix::sys::utsname::uname().context("cannot read the kernel's name")?;
    let boot = format!("/boot/config-{}", name.release().to_string_lossy());
    let mut grep = Command::new("zgrep");
    grep.args(["-qs", "^CONFIG_IRQ_TIME_ACCOUNTING=y", "/proc/config.gz", &boot]);
    grep.stderr(Stdio::null());
    Ok(grep.status().context("cannot look into the kernel's configuration")?.success())
}

/// Seconds that all CPUs have spent in interrupts (proc(5), `/proc/stat`).
pub(crate) fn interrupt_time() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read the time of the CPUs")?;
    let all = stat.lines().next().context("the first line is that of all CPUs")?;
    // cpu user nice system idle iowait irq softirq …
    let ticks = all.split_whitespace().skip(6).take(2).map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>().context("times are numbers")?;
    let per_second =
        nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("ticks have a length")?;
    Ok(f64::from(ticks) / per_second as f64)
}

/// Where this was measured.
pub(crate) fn machine() -> Result<Value> {
    let cpus = fs::read_to_string("/proc/cpuinfo").context("cannot read which CPUs there are")?;
    let model = cpus.lines().find_map(|line| {
        line.strip_prefix("model name").or_else(|| line.strip_prefix("Model"))?.split_once(": ")
    });
    let load = fs::read_to_string("/proc/loadavg").context("cannot read the load")?;
    let name = nix::sys::utsname::uname().context("cannot read the kernel's name")?;
    Ok(json!({
        "kernel": name.release().to_string_lossy(),
        "arch": name.machine().to_string_lossy(),
        "cpu": model.map(|(_, model)| model),
        "cpus": cpus.lines().filter(|line| line.starts_with("processor")).count(),
        "load_1_min": load.split(' ').next(),
    }))
}
