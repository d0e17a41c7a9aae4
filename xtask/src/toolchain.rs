//! Which compiler builds the kernel programs, and does the linker fit it?
//!
//! `xtask/toolchain.toml` pins a nightly, the linker and its LLVM together. What is installed already is taken first; then
//! rustup is asked for the nightly, then the distribution for its compiler packages; `EDGEWARD_EBPF_OBJECT` names an
//! object that was built elsewhere and needs none of them.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell;

/// The target of the kernel programs.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";
/// The environment variable that names a prebuilt object.
pub(crate) const PREBUILT: &str = "EDGEWARD_EBPF_OBJECT";

/// `xtask/toolchain.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Pins {
    pub(crate) nightly: String,
    pub(crate) bpf_linker: String,
    pub(crate) llvm: u32,
    pub(crate) node: u32,
}

impl Pins {
    pub(crate) fn read() -> Result<Self> {
        let path = shell::root().join("xtask/toolchain.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
    }

    /// Where the distribution's LLVM of the pinned major lies.
    pub(crate) fn llvm_prefix(&self) -> PathBuf {
        PathBuf::from(format!("/usr/lib/llvm-{}", self.llvm))
    }

    /// The distribution's packages that hold a compiler with a core library for the BPF target.
    pub(crate) fn compiler_packages() -> [&'static str; 2] {
        ["rustc-web", "libstd-rust-web-dev-bpf"]
    }

    pub(crate) fn llvm_package(&self) -> String {
        format!("llvm-{}-dev", self.llvm)
    }
}

/// A compiler that can build the kernel programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// The pinned nightly of rustup, which builds `core` from source.
    Nightly(String),
    /// The distribution's compiler, which brings `core` for the target.
    Distribution(PathBuf),
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nightly(toolchain) => write!(f, "rustup's {toolchain}"),
            Self::Distribution(rustc) => write!(f, "the distribution's {}", rustc.display()),
        }
    }
}

impl Compiler {
    /// The first of the compilers in our order that is installed completely.
    pub(crate) fn installed(pins: &Pins) -> Option<Self> {
        Self::nightly(pins).or_else(Self::distribution)
    }

    fn nightly(pins: &Pins) -> Option<Self> {
        // Ask the list, not `rustc +nightly`: the proxy of rustup would start to download.
        let toolchains = shell::output(shell::command("rustup").args(["toolchain", "list"]))?;
        toolchains.lines().find(|line| line.starts_with(&pins.nightly))?;
        let sysroot = shell::output(
            shell::command("rustc").arg(format!("+{}", pins.nightly)).args(["--print", "sysroot"]),
        )?;
        let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
        source.is_dir().then(|| Self::Nightly(pins.nightly.clone()))
    }

    fn distribution() -> Option<Self> {
        let rustc = PathBuf::from("/usr/bin/rustc");
        let sysroot = shell::output(shell::command(&rustc).args(["--print", "sysroot"]))?;
        let core = Path::new(sysroot.trim()).join("lib/rustlib").join(BPF_TARGET);
        core.is_dir().then_some(Self::Distribution(rustc))
    }

    /// `cargo VERB` for the kernel programs with this compiler.
    pub(crate) fn cargo(&self, verb: &str, pins: &Pins) -> Command {
        let mut cargo = shell::cargo();
        match self {
            Self::Nightly(toolchain) => {
                cargo.arg(format!("+{toolchain}")).arg(verb).args(["-Z", "build-std=core"]);
            }
            Self::Distribution(rustc) => {
                cargo.arg(verb).env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
            }
        }
        cargo.args(["--package", "firewall-ebpf", "--target", BPF_TARGET, "--profile", "bpf"]);
        cargo.env("PATH", shell::path_with(&[linker_home()])).env("LLVM_PREFIX", pins.llvm_prefix());
        cargo
    }

    fn llvm(&self) -> Result<Version> {
        let mut rustc = match self {
            Self::Nightly(toolchain) => {
                let mut rustc = shell::command("rustc");
                rustc.arg(format!("+{toolchain}"));
                rustc
            }
            Self::Distribution(rustc) => shell::command(rustc),
        };
        let about = shell::output(rustc.arg("-vV")).with_context(|| format!("{self} does not run"))?;
        about
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))
            .and_then(Version::parse)
            .with_context(|| format!("{self} does not say which LLVM it has"))
    }
}

/// Where the linker goes that was built for this checkout; a user's own in `PATH` stays untouched.
pub(crate) fn linker_home() -> PathBuf {
    shell::tools().join("bin")
}

/// The pinned linker, if it is installed: the checkout's own, else the one in `PATH`.
pub(crate) fn linker(pins: &Pins) -> Option<PathBuf> {
    let own = linker_home().join("bpf-linker");
    [Some(own), shell::find("bpf-linker")].into_iter().flatten().find(|linker| {
        shell::output(shell::command(linker).arg("--version"))
            .is_some_and(|version| version.split_whitespace().nth(1) == Some(pins.bpf_linker.as_str()))
            && linker_llvm(linker).is_some_and(|llvm| llvm.0 == pins.llvm)
    })
}

/// Refuses a pair of compiler and linker of which the linker could not read what the compiler writes.
pub(crate) fn check_fit(compiler: &Compiler, pins: &Pins) -> Result<()> {
    let linker = linker(pins).with_context(|| {
        format!(
            "bpf-linker {} with LLVM {} is not installed; `cargo xtask setup` does it",
            pins.bpf_linker, pins.llvm
        )
    })?;
    let reads = linker_llvm(&linker)
        .with_context(|| format!("cannot find out which LLVM {} uses", linker.display()))?;
    let writes = compiler.llvm()?;
    if reads < writes {
        bail!(
            "{compiler} writes LLVM {writes}, but {} reads up to LLVM {reads}; \
             change xtask/toolchain.toml so that the linker's LLVM is the newer one",
            linker.display()
        );
    }
    Ok(())
}

/// The version of the LLVM library that a linker is bound to.
fn linker_llvm(linker: &Path) -> Option<Version> {
    let libraries = shell::output(shell::command("ldd").arg(linker))?;
    let library = libraries.lines().find(|line| line.contains("libLLVM"))?.split("=>").nth(1)?;
    let library = Path::new(library.split_whitespace().next()?);
    // The library's own name holds major and minor only; `llvm-config` beside it knows the patch level. Where the loader
    // took the library from the common folder, the package's own folder has it.
    let major = library.file_name()?.to_str()?.split(['.', '-']).find_map(|part| part.parse::<u32>().ok())?;
    [library.parent()?.parent()?.to_owned(), PathBuf::from(format!("/usr/lib/llvm-{major}"))]
        .iter()
        .find_map(|prefix| shell::output(shell::command(prefix.join("bin/llvm-config")).arg("--version")))
        .as_deref()
        .and_then(Version::parse)
}

/// A version of LLVM: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
            digits.parse().ok()
        });
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The prebuilt object that the environment names.
pub(crate) fn prebuilt() -> Option<PathBuf> {
    env::var_os(PREBUILT).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let older = Version::parse("22.1.4").expect("a version");
        let newer = Version::parse("22.1.10\n").expect("a version");
        assert!(older < newer);
        assert_eq!(Version::parse("22.1.0-rust-1.97.0-nightly"), Some(Version(22, 1, 0)));
        assert_eq!(Version::parse("22"), None);
    }

    #[test]
    fn pins_are_readable() {
        let pins = Pins::read().expect("the committed file parses");
        assert!(pins.nightly.starts_with("nightly-"));
    }
}
