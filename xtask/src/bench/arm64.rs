//! Instructions per frame on a 64-bit ARM processor, without having one.
//!
//! The emulator counts: with `-icount shift=0` an instruction takes one nanosecond of the guest's time, so what the
//! verdict tests measure there as nanoseconds are instructions, of the machine code that the kernel's compiler made for
//! this processor. The guest's clock ticks every 16 ns; the mean over many frames is finer. Caches and pipelines are not
//! modelled.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figures_in;
use crate::{
    build,
    kernels::{self, ARM, Archive, GUESTS},
    privilege::Privilege,
};

/// The processor of a Raspberry Pi 4.
const GUEST: &str = "6.1-arm64";
/// Fewer frames than on a real machine: they do not vary by chance.
const COMMAND: &str =
    "EDGEWARD_EXPECT_ALL=1 EDGEWARD_BENCH_FRAMES=100 /verdicts cost::figures --exact --ignored --nocapture";

pub(super) fn measure(privilege: Privilege) -> Result<Value> {
    let guest = GUESTS.iter().find(|guest| guest.name == GUEST).context("the guest is in the list")?;
    kernels::install_emulators(privilege, std::iter::once(guest))?;
    build::kernel()?;
    let _alone = kernels::lock()?;
    let archive = Archive::open()?;
    let tests = kernels::build_tests(&archive, &ARM)?;
    let busybox = archive.busybox(&ARM)?;
    eprintln!("bench: instructions on {GUEST}");
    let kernel = guest.kernel(&archive)?;
    let console = guest.boot(&kernel, &tests, &busybox, COMMAND, &["-icount", "shift=0,sleep=off"])?;
    let figures = figures_in(&console).with_context(|| guest.tail(&console))?;
    let kernel = console.lines().find_map(|line| line.strip_prefix("kernel: "));
    Ok(json!({
        "variant": "qemu-system-aarch64 -cpu cortex-a72 -icount shift=0: one instruction is 1 ns",
        "kernel": kernel,
        "instructions": figures,
    }))
}
