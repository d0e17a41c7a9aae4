//! `cargo xtask lint`: format, clippy on everything of user space, and the kernel programs without a warning.

use anyhow::{Context, Result};

use crate::{
    shell,
    toolchain::{BPF_TARGET, Compiler, Pins},
};

pub(crate) fn main() -> Result<()> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    shell::run(shell::cargo().args(["clippy", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    let pins = Pins::read()?;
    let compiler = Compiler::installed(&pins)
        .context("no compiler for the kernel programs is installed; `cargo xtask setup` does it")?;
    // A folder of its own: other flags in the same one would make every build start again.
    shell::run(
        compiler
            .cargo("check", &pins)
            .args(["--config", &format!("target.{BPF_TARGET}.rustflags = ['-D', 'warnings']")])
            .env("CARGO_TARGET_DIR", shell::target().join("ebpf-lint")),
    )
}
