//! `cargo xtask kernels`: do the kernel programs load, and say the same, on older kernels and other machines?
//!
//! The distribution's kernels are fetched as packages, never installed. Each boots in QEMU, which needs no KVM, from an
//! initial file system of three files: a static busybox, a script, and the verdict tests of `firewall-user` as a static
//! program. What they print on the console is the result: the exit code of QEMU says nothing about its guest.
//!
//! ```text
//! package ─▶ vmlinuz ─┐
//! busybox, tests ─▶ cpio ─▶ qemu-system-… ─▶ console ─▶ passed, failed
//! ```

use std::{
    collections::VecDeque,
    fs,
    io::Write,
    num::NonZero,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;

use crate::{build, host, privilege::Privilege, setup, shell, toolchain};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not ask for a password or anything else
    #[arg(long)]
    pub(crate) yes: bool,
    /// Run only kernels whose name contains this
    pub(crate) filter: Option<String>,
}

/// A processor, by the names that everyone has for it.
pub(crate) struct Arch {
    /// Rust's target.
    pub(crate) target: &'static str,
    debian: &'static str,
    /// C compiler for this target, and the packages that bring it where it is another than the host's.
    cc: &'static str,
    cc_packages: [&'static str; 2],
    qemu: &'static str,
    qemu_package: &'static str,
    console: &'static str,
}

pub(crate) const X86: Arch = Arch {
    target: "x86_64-unknown-linux-gnu",
    debian: "amd64",
    cc: "x86_64-linux-gnu-gcc",
    cc_packages: ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
    qemu: "qemu-system-x86_64",
    qemu_package: "qemu-system-x86",
    console: "ttyS0",
};

pub(crate) const ARM: Arch = Arch {
    target: "aarch64-unknown-linux-gnu",
    debian: "arm64",
    cc: "aarch64-linux-gnu-gcc",
    cc_packages: ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    qemu: "qemu-system-aarch64",
    qemu_package: "qemu-system-arm",
    console: "ttyAMA0",
};

/// A kernel on a machine.
pub(crate) struct Guest {
    pub(crate) name: &'static str,
    pub(crate) arch: &'static Arch,
    /// What the release must begin with.
    release: &'static str,
    /// Packages that depend on the kernel's current package; the first one that has this release counts.
    metas: &'static [&'static str],
    machine: &'static [&'static str],
    page_kib: u32,
}

pub(crate) const GUESTS: &[Guest] = &[
    Guest {
        name: "6.1-x86_64",
        arch: &X86,
        release: "6.1.",
        metas: &["linux-image-amd64"],
        machine: &["-M", "q35", "-cpu", "max"],
        page_kib: 4,
    },
    Guest {
        name: "6.12-x86_64",
        arch: &X86,
        release: "6.12.",
        metas: &["linux-image-6.12-amd64", "linux-image-amd64"],
        machine: &["-M", "q35", "-cpu", "max"],
        page_kib: 4,
    },
    Guest {
        name: "6.1-arm64",
        arch: &ARM,
        release: "6.1.",
        metas: &["linux-image-arm64"],
        machine: &["-M", "virt", "-cpu", "cortex-a72"],
        page_kib: 4,
    },
    Guest {
        name: "6.12-arm64",
        arch: &ARM,
        release: "6.12.",
        metas: &["linux-image-6.12-arm64", "linux-image-arm64"],
        machine: &["-M", "virt", "-cpu", "cortex-a76"],
        page_kib: 4,
    },
    // The page size of a Raspberry Pi 5.
    Guest {
        name: "6.12-arm64-16k",
        arch: &ARM,
        release: "6.12.",
        metas: &["linux-image-6.12-arm64-16k", "linux-image-arm64-16k"],
        machine: &["-M", "virt", "-cpu", "cortex-a76"],
        page_kib: 16,
    },
];

/// Longest time for a guest to boot, test and power off.
const LIMIT: Duration = Duration::from_mins(25);
/// Package lists older than this name kernels that the archive no longer has.
const LISTS_HOLD: Duration = Duration::from_hours(12);

/// How the first program of a guest begins. `/sys/kernel/btf` is hidden: kernels of small boards have no types, and no
/// program may need them.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
if [ -d /sys/kernel/btf ]; then mount -t tmpfs tmpfs /sys/kernel/btf; fi
echo 1 > /proc/sys/net/core/bpf_jit_enable
echo \"kernel: $(uname -r)\"
echo \"pages: $(grep -m 1 KernelPageSize /proc/self/smaps | tr -s ' ' | cut -d ' ' -f 2) KiB\"
echo \"types: $(ls /sys/kernel/btf 2>/dev/null | wc -l)\"
";

/// What a guest runs to test.
const TESTS: &str = "EDGEWARD_EXPECT_ALL=1 /verdicts --test-threads=1";

pub(crate) fn main(args: &Args) -> Result<()> {
    host::check()?;
    let guests: Vec<&'static Guest> = GUESTS
        .iter()
        .filter(|guest| args.filter.as_ref().is_none_or(|filter| guest.name.contains(filter.as_str())))
        .collect();
    ensure!(!guests.is_empty(), "no kernel has such a name; there are {}", names());
    let privilege = Privilege::acquire(args.yes)?;
    setup::ensure(privilege)?;
    install_emulators(privilege, guests.iter().copied())?;
    build::kernel()?;

    let _alone = lock()?;
    let archive = Archive::open()?;
    let mut waiting = VecDeque::new();
    for arch in [&X86, &ARM] {
        let wanted: Vec<&Guest> =
            guests.iter().copied().filter(|guest| guest.arch.target == arch.target).collect();
        if wanted.is_empty() {
            continue;
        }
        let tests = build_tests(&archive, arch)?;
        let busybox = archive.busybox(arch)?;
        for guest in wanted {
            // One after another: packages share a folder while they are unpacked.
            let kernel = guest.kernel(&archive).map_err(|error| format!("{}: {error:#}", guest.name));
            waiting.push_back(Job { guest, kernel, tests: tests.clone(), busybox: busybox.clone() });
        }
    }
    let failed = run_all(waiting);
    println!("kernels: {} passed, {} failed", guests.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { bail!("the programs fail on {}", failed.join(", ")) }
}

/// A guest with everything that it boots from.
struct Job {
    guest: &'static Guest,
    kernel: Result<PathBuf, String>,
    tests: PathBuf,
    busybox: PathBuf,
}

/// Runs guests side by side, one for each processor, since each emulates a single one; returns those that failed.
fn run_all(waiting: VecDeque<Job>) -> Vec<&'static str> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(waiting.len());
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().expect("no worker panics while it takes a guest").pop_front();
    let work = || {
        let mut failed = Vec::new();
        while let Some(Job { guest, kernel, tests, busybox }) = next() {
            let result = kernel.and_then(|kernel| {
                guest.run(&kernel, &tests, &busybox).map_err(|error| format!("{}: {error:#}", guest.name))
            });
            match result {
                Ok(summary) => println!("test kernels::{} ... ok ({summary})", guest.name),
                Err(error) => {
                    println!("test kernels::{} ... FAILED\n{error}", guest.name);
                    failed.push(guest.name);
                }
            }
        }
        failed
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    })
}

fn names() -> String {
    GUESTS.iter().map(|guest| guest.name).collect::<Vec<_>>().join(", ")
}

pub(crate) fn install_emulators<'a>(
    privilege: Privilege,
    guests: impl Iterator<Item = &'a Guest>,
) -> Result<()> {
    let mut missing = Vec::new();
    for guest in guests {
        if shell::find(guest.arch.qemu).is_none() {
            missing.push(guest.arch.qemu_package);
        }
        missing.extend(guest.arch.missing_compiler());
    }
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { setup::install(privilege, &missing) }
}

impl Arch {
    /// The packages with a compiler for it, if there is none.
    pub(crate) fn missing_compiler(&self) -> Vec<&'static str> {
        if shell::find(self.cc).is_none() { self.cc_packages.to_vec() } else { Vec::new() }
    }
}

/// Where everything of this task lies.
fn home() -> PathBuf {
    shell::target().join("kernels")
}

/// Waits until nobody else uses the folder.
pub(crate) fn lock() -> Result<Flock<fs::File>> {
    fs::create_dir_all(home()).context("cannot make a folder for the kernels")?;
    let folder = fs::File::open(home()).context("cannot open the folder of the kernels")?;
    Flock::lock(folder, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .context("cannot lock the folder of the kernels")
}

/// The distribution's packages, also those of other processors, without a trace on the system.
pub(crate) struct Archive {
    lists: PathBuf,
    cache: PathBuf,
}

impl Archive {
    pub(crate) fn open() -> Result<Self> {
        let archive = Self { lists: home().join("apt/lists"), cache: home().join("apt/cache") };
        for folder in [archive.lists.join("partial"), archive.cache.join("archives/partial")] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let stamp = home().join("apt/updated");
        let age = fs::metadata(&stamp).and_then(|metadata| metadata.modified()).ok();
        let age = age.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_none_or(|age| age > LISTS_HOLD) {
            eprintln!("kernels: lists of packages");
            shell::run(archive.apt("apt-get").args(["update", "--quiet=2"]))?;
            fs::write(&stamp, []).context("cannot note when the lists were fetched")?;
        }
        Ok(archive)
    }

    /// A tool of apt with lists, cache and processors of our own.
    fn apt(&self, tool: &str) -> Command {
        let mut apt = shell::command(tool);
        apt.arg("-o").arg(format!("Dir::State::Lists={}", self.lists.display()));
        apt.arg("-o").arg(format!("Dir::Cache={}", self.cache.display()));
        for arch in [&X86, &ARM] {
            apt.arg("-o").arg(format!("APT::Architectures::={}", arch.debian));
        }
        // Nobody else uses these folders, and the user who downloads may be an ordinary one.
        apt.args(["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3"]);
        apt
    }

    pub(crate) fn busybox(&self, arch: &Arch) -> Result<PathBuf> {
        Ok(self.unpack(&format!("busybox-static:{}", arch.debian))?.join("bin/busybox"))
    }

    /// The kernel's package that a package without content depends on.
    fn depends(&self, meta: &str) -> Option<String> {
        let depends = shell::output(self.apt("apt-cache").args(["depends", meta]))?;
        let image = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))?;
        Some(format!("linux-image-{image}"))
    }

    /// Downloads a package and unpacks it beside the others; returns the folder.
    fn unpack(&self, package: &str) -> Result<PathBuf> {
        let folder = home().join(package.replace([':', '='], "_"));
        if folder.is_dir() {
            return Ok(folder);
        }
        eprintln!("kernels: package {package}");
        let parts = home().join("parts");
        if parts.exists() {
            fs::remove_dir_all(&parts).context("cannot remove what an interrupted run left")?;
        }
        fs::create_dir_all(&parts).context("cannot make a folder for a package")?;
        shell::run(self.apt("apt-get").args(["download", "--quiet=2", package]).current_dir(&parts))?;
        let deb = fs::read_dir(&parts)?.next().context("apt-get downloaded nothing")??.path();
        let unpacked = parts.join("unpacked");
        shell::run(shell::command("dpkg").arg("-x").arg(&deb).arg(&unpacked))?;
        // Only what is complete gets its name.
        fs::rename(&unpacked, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::remove_dir_all(&parts).context("cannot remove a package")?;
        Ok(folder)
    }
}

/// What a program finds on the machine where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Libraries {
    /// None: it brings everything.
    Own,
    /// The C library, at least as new as ours: who asks for users and groups cannot bring it along.
    System,
}

/// Builds the verdict tests as a static program.
pub(crate) fn build_tests(archive: &Archive, arch: &Arch) -> Result<PathBuf> {
    let arguments = ["test", "--package", "edgeward", "--test", "verdicts", "--no-run"];
    build_program(archive, arch, Libraries::Own, &arguments, "verdicts")
}

/// Lets cargo build something for a processor, and returns where the program of this name is.
pub(crate) fn build_program(
    archive: &Archive,
    arch: &Arch,
    libraries: Libraries,
    arguments: &[&str],
    program: &str,
) -> Result<PathBuf> {
    /// The lines of `--message-format=json` that we need.
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }

    eprintln!("kernels: {program} for {}", arch.target);
    let mut flags = match libraries {
        Libraries::Own => "-C target-feature=+crt-static -C strip=symbols",
        Libraries::System => "-C strip=symbols",
    }
    .to_owned();
    let mut cargo = shell::cargo();
    if let Library::Sysroot(sysroot) = library(archive, arch)? {
        flags = format!("{flags} --sysroot={}", sysroot.display());
        cargo.env("RUSTC", DISTRIBUTION_RUSTC);
    }
    let variable = arch.target.to_uppercase().replace('-', "_");
    cargo
        .args(arguments)
        .args(["--target", arch.target, "--message-format=json-render-diagnostics"])
        .env("CARGO_TARGET_DIR", home().join("build"))
        .env(format!("CARGO_TARGET_{variable}_LINKER"), arch.cc)
        .env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), flags)
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env(toolchain::PREBUILT, build::object());
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "{program} does not build for {}", arch.target);
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Message = serde_json::from_slice(line).context("cargo said something unexpected")?;
        if let Message { executable: Some(executable), target: Some(Target { name }) } = message
            && name == program
        {
            return Ok(executable);
        }
    }
    bail!("cargo built no {program}")
}

const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";

/// Where the standard library of a target is.
enum Library {
    /// The compiler has it.
    Installed,
    /// In a folder that was made for it, for the distribution's compiler.
    Sysroot(PathBuf),
}

fn library(archive: &Archive, arch: &Arch) -> Result<Library> {
    let has = |sysroot: Option<PathBuf>| {
        sysroot.is_some_and(|sysroot| sysroot.join("lib/rustlib").join(arch.target).is_dir())
    };
    if has(shell::sysroot()) {
        return Ok(Library::Installed);
    }
    // Where rustup cannot download this ends soon, and the distribution is asked.
    let mut rustup = shell::command("timeout");
    rustup.args(["300", "rustup", "target", "add", arch.target]);
    if shell::succeeds(&mut rustup) && has(shell::sysroot()) {
        return Ok(Library::Installed);
    }
    let sysroot = shell::output(shell::command(DISTRIBUTION_RUSTC).args(["--print", "sysroot"]))
        .with_context(|| format!("neither rustup nor the distribution has a compiler for {}", arch.target))?;
    let own = Path::new(sysroot.trim()).join("lib/rustlib");
    // Compiler and library must be of one build.
    let package = "libstd-rust-web-dev";
    let version = shell::output(shell::command("dpkg-query").args(["-W", "-f", "${Version}", package]))
        .with_context(|| format!("{package} is not installed"))?;
    let unpacked = archive.unpack(&format!("{package}:{}={version}", arch.debian))?;
    let private = home().join("sysroot").join(arch.target);
    let rustlib = private.join("lib/rustlib");
    if private.exists() {
        fs::remove_dir_all(&private).context("cannot remove an older folder of the library")?;
    }
    fs::create_dir_all(&rustlib).context("cannot make a folder for the library")?;
    for entry in fs::read_dir(&own).with_context(|| format!("cannot list {}", own.display()))? {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path(), rustlib.join(entry.file_name()))?;
    }
    std::os::unix::fs::symlink(unpacked.join("usr/lib/rustlib").join(arch.target), rustlib.join(arch.target))
        .context("cannot link the library")?;
    Ok(Library::Sysroot(private))
}

impl Guest {
    /// Boots the kernel, lets it run the tests and reads the console; returns what there is to say.
    fn run(&self, kernel: &Path, tests: &Path, busybox: &Path) -> Result<String> {
        let started = Instant::now();
        let text = self.boot(kernel, tests, busybox, TESTS, &[])?;
        match self.judge(&text) {
            Ok(summary) => Ok(format!("{summary}, {} s", started.elapsed().as_secs())),
            Err(error) => Err(error.context(self.tail(&text))),
        }
    }

    /// The last that a console said.
    pub(crate) fn tail(&self, console: &str) -> String {
        let lines: Vec<&str> = console.lines().collect();
        let tail = lines[lines.len().saturating_sub(80)..].join("\n");
        format!("the console ({}) ends with\n{tail}\n", self.console().display())
    }

    fn console(&self) -> PathBuf {
        home().join(format!("{}.log", self.name))
    }

    /// Boots the kernel with the verdict tests in its file system, runs a command there and returns the console's text.
    pub(crate) fn boot(
        &self,
        kernel: &Path,
        tests: &Path,
        busybox: &Path,
        command: &str,
        emulator: &[&str],
    ) -> Result<String> {
        let initrd = home().join(format!("{}.cpio", self.name));
        let init = format!("{INIT}{command}\necho \"verdicts: exit $?\"\npoweroff -f\n");
        Cpio::new()
            .folder("bin")
            .file("bin/busybox", &read(busybox)?)
            .file("init", init.as_bytes())
            .file("verdicts", &read(tests)?)
            .write(&initrd)?;
        let console = self.console();
        let log = fs::File::create(&console).context("cannot make the console's log")?;
        // The emulator ends when the guest powers off or panics, or when its time is over; which it was, the log says.
        shell::command("timeout")
            .arg(LIMIT.as_secs().to_string())
            .arg(self.arch.qemu)
            .args(self.machine)
            .args(emulator)
            .args(["-accel", "tcg", "-m", "1G", "-nographic", "-no-reboot", "-nic", "none"])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(&initrd)
            .arg("-append")
            // On a busy host the emulated timer is late, and x86 kernels that test it at start would give up.
            .arg(format!("console={} quiet panic=-1 no_timer_check", self.arch.console))
            .stdin(Stdio::null())
            .stderr(log.try_clone().context("cannot share the console's log")?)
            .stdout(log)
            .status()
            .with_context(|| format!("cannot start {}", self.arch.qemu))?;
        Ok(String::from_utf8_lossy(&read(&console)?).replace('\r', ""))
    }

    /// The kernel's image.
    pub(crate) fn kernel(&self, archive: &Archive) -> Result<PathBuf> {
        let wanted = format!("linux-image-{}", self.release);
        let package = self
            .metas
            .iter()
            .filter_map(|meta| archive.depends(&format!("{meta}:{}", self.arch.debian)))
            .find(|package| package.starts_with(&wanted))
            .with_context(|| format!("the distribution has no kernel {}* here", self.release))?;
        let name = package.split(':').next().context("a package has a name")?;
        let release = name.strip_prefix("linux-image-").context("a kernel's package names its release")?;
        let folder = archive.unpack(&format!("{name}:{}", self.arch.debian))?;
        Ok(folder.join("boot").join(format!("vmlinuz-{release}")))
    }

    /// What the console says: the kernel that was meant, and every test passed.
    fn judge(&self, console: &str) -> Result<String> {
        let after =
            |prefix: &str| console.lines().find_map(|line| line.split_once(prefix)).map(|(_, rest)| rest);
        let release = after("kernel: ").context("the guest did not start")?;
        ensure!(release.starts_with(self.release), "the guest runs {release}");
        let pages = after("pages: ").context("the guest does not know its page size")?;
        ensure!(pages == format!("{} KiB", self.page_kib), "the guest's pages are {pages}");
        ensure!(after("types: ") == Some("0"), "the guest sees the kernel's types");
        let result = after("test result: ").context("the tests did not come to their end")?;
        ensure!(result.starts_with("ok. "), "{result}");
        ensure!(!result.starts_with("ok. 0 passed"), "no test ran");
        ensure!(!console.contains("not run, because"), "a test did not run");
        ensure!(after("verdicts: exit ") == Some("0"), "the tests failed");
        let passed = result.trim_start_matches("ok. ").split(';').next().unwrap_or_default();
        Ok(format!("{release}, pages of {pages}: {passed}"))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// An archive in the format that a kernel unpacks (`newc`; Documentation/driver-api/early-userspace in Linux).
struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    fn new() -> Self {
        Self { bytes: Vec::new(), entries: 0 }
    }

    fn folder(self, name: &str) -> Self {
        self.entry(name, 0o040_755, &[])
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, 0o100_755, content)
    }

    fn entry(mut self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.entries += 1;
        let (size, name_size) = (content.len() as u32, name.len() as u32 + 1);
        // inode, mode, uid, gid, links, mtime, size, device ×2, device of a node ×2, length of the name, checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            write!(self.bytes, "{field:08x}").expect("a vector takes every byte");
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn write(self, path: &Path) -> Result<()> {
        let whole = self.entry("TRAILER!!!", 0, &[]);
        fs::write(path, whole.bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "SeaBIOS\nkernel: 6.1.0-56-amd64\npages: 4 KiB\ntypes: 0\nrunning 2 tests\n\
         test result: ok. 70 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.00s\n\
         verdicts: exit 0\nreboot: Power down\n";

    #[test]
    fn a_console_passes_only_if_everything_was_said() {
        let guest = &GUESTS[0];
        assert_eq!(guest.judge(CONSOLE).expect("it passes"), "6.1.0-56-amd64, pages of 4 KiB: 70 passed");
        for (there, instead) in [
            ("6.1.0-56", "6.18.1"),
            ("4 KiB", "16 KiB"),
            ("types: 0", "types: 3"),
            ("ok. 70", "FAILED. 70"),
            ("ok. 70", "ok. 0"),
            ("exit 0", "exit 101"),
            ("test result", "Kernel panic"),
            ("running 2 tests", "not run, because there is no object"),
        ] {
            assert!(guest.judge(&CONSOLE.replace(there, instead)).is_err(), "{instead}");
        }
        for length in 0..CONSOLE.find("exit 0").expect("it is there") {
            assert!(guest.judge(&CONSOLE[..length]).is_err());
        }
    }

    #[test]
    fn an_archive_is_aligned_and_ends() {
        let archive = Cpio::new().folder("bin").file("bin/tool", b"12345").entry("TRAILER!!!", 0, &[]);
        assert_eq!(archive.bytes.len() % 4, 0);
        assert!(archive.bytes.starts_with(b"070701"));
        let names = String::from_utf8_lossy(&archive.bytes);
        assert_eq!(names.matches("070701").count(), 3);
        assert!(names.contains("bin/tool\0"));
    }
}
