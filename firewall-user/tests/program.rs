//! The program as people and scripts meet it: exit codes, one clear sentence per mistake, and nothing lost.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use dashboard::{
    rpc::{Client, Request},
    view::{self, Fault, Wrong},
};
use edgeward::kernel::is_built_in;
use firewall_common::abi::SCHEMA;
use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

/// How long the daemon may take to load its programs on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two looks at what is waited for.
const POLL: Duration = Duration::from_millis(5);

fn edgeward(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edgeward")).args(arguments).output().unwrap()
}

/// What a failed command says, which is one line unless it lists mistakes.
fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_fails(arguments: &[&str], code: i32, says: &[&str]) {
    let output = edgeward(arguments);
    let complaint = complaint(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
    for part in says {
        assert!(complaint.contains(part), "{arguments:?} does not say {part:?}: {complaint}");
    }
}

#[test]
fn wrong_usage_is_2_and_a_bad_configuration_is_64() {
    assert_fails(&["approve"], 2, &["<EDGE>"]);
    assert_fails(&["approve", "17", "--once", "--always"], 2, &["--once"]);
    assert_fails(&["approve", "17", "--for", "13h"], 2, &["1m to 12h"]);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edgeward.toml");
    fs::write(&file, "[site]\nmode = \"off\"\n\n[interfaces]\nprotect = [\"a/b\"]\n").unwrap();
    let file = file.to_str().unwrap();
    let mistakes = [":2: site.mode", "monitor, enforce", ":5: interfaces.protect"];
    assert_fails(&["config", "check", "--config", file], 64, &mistakes);
    assert_fails(&["run", "--config", file], 64, &mistakes);
}

#[test]
fn without_a_daemon_a_command_says_how_to_start_it() {
    let folder = tempfile::tempdir().unwrap();
    assert_fails(&["status", "--runtime-dir", folder.path().to_str().unwrap()], 1, &["edgeward run"]);
}

#[test]
fn the_page_says_when_its_port_is_taken_or_open_to_others() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_fails(&["web", "--listen", &address], 1, &["another program uses", "--listen"]);
    assert_fails(&["web", "--listen", "0.0.0.0:8480"], 1, &["every address", "the LAN"]);
}

#[test]
fn what_cannot_be_protected_is_named() {
    if geteuid().is_root() {
        assert_fails(&["run", "--interface", "nope0"], 1, &["there is no interface nope0"]);
        assert_fails(&["run"], 1, &["--interface"]);
    } else {
        assert_fails(&["run", "--interface", "nope0"], 1, &["root"]);
    }
    assert_fails(&["run", "--interface", "lan0", "--uplink", "lan0"], 64, &["both protected and the uplink"]);
}

#[test]
fn a_damaged_state_is_kept_and_what_protects_outlives_the_daemon() {
    if !can_run() {
        return;
    }
    // This thread's namespace: interfaces and guard are nobody else's.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    run("ip", "link add lan0 type veth peer name dev0");
    let site = Site::new();
    let damaged = b"half a state file, cut by a power failure".to_vec();
    fs::create_dir_all(site.path("state")).unwrap();
    fs::write(site.path("state/edgeward.redb"), &damaged).unwrap();

    let mut daemon = site.start();
    let status = site.status();
    assert_eq!(status.health, "fault");
    assert!(
        status.faults.iter().any(|fault| matches!(fault.what, Wrong::StateDamaged { .. })),
        "{:?}",
        status.faults
    );
    let aside = fs::read_dir(site.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("damaged"))
        .expect("it is still there");
    assert_eq!(fs::read(aside).unwrap(), damaged);

    let second = Site::new();
    assert_fails(&second.arguments(), 1, &["another instance", "lan0"]);

    // The next one is there before the kernel has buried the first.
    daemon.0.kill().unwrap();
    let next = site.start();
    assert_eq!(site.status().faults, [], "the new state file is in order");

    assert!(next.end().success(), "an orderly end");
    let pins = site.path("bpffs").join(SCHEMA.to_string());
    assert!(pins.join("links/lan0-lan_ingress").exists(), "the programs stay attached");
    run("nft", "list table inet edgeward");

    let unload = edgeward(&["unload", "--bpffs", site.text("bpffs"), "--runtime-dir", site.text("runtime")]);
    assert!(unload.status.success(), "{}", complaint(&unload));
    assert!(!pins.exists());
    let left = Command::new("nft").args(["list", "tables"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

#[test]
fn an_interface_that_goes_and_comes_is_told_at_once() {
    if !can_run() {
        return;
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    run("ip", "link add lan0 type veth peer name dev0");
    let site = Site::new();
    let daemon = site.start();
    let told = site.watch(async |client| {
        run("ip", "link del dev0");
        let gone = next_status(client).await;
        run("ip", "link add lan0 type veth peer name dev0");
        [gone, next_status(client).await]
    });
    let [Fault { what, since }] = &told[0].faults[..] else { panic!("{:?}", told[0].faults) };
    assert_eq!(*what, Wrong::InterfaceGone { interface: "lan0".to_owned() });
    assert!(*since > 0 && told[0].health == "fault");
    assert_eq!((told[1].health.as_str(), &told[1].faults[..]), ("ok", &[][..]));
    assert!(daemon.end().success());
}

async fn next_status(client: &mut Client) -> view::Status {
    loop {
        let event = tokio::time::timeout(PATIENCE, client.next_event()).await.expect("it is told").unwrap();
        if let view::Event::Status(status) = event {
            return *status;
        }
    }
}

/// The folders of a daemon.
struct Site {
    folder: tempfile::TempDir,
    paths: Vec<(&'static str, PathBuf)>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().file_name().unwrap().to_string_lossy().replace('.', "");
        let mut paths: Vec<_> = ["state", "runtime"].map(|name| (name, folder.path().join(name))).to_vec();
        paths.push(("bpffs", Path::new("/sys/fs/bpf").join(format!("edgeward-program-{name}"))));
        Self { folder, paths }
    }

    fn path(&self, name: &str) -> PathBuf {
        let known = self.paths.iter().find(|(known, _)| *known == name);
        known.map_or_else(|| self.folder.path().join(name), |(_, path)| path.clone())
    }

    fn text(&self, name: &str) -> &str {
        let known = self.paths.iter().find(|(known, _)| *known == name);
        known.and_then(|(_, path)| path.to_str()).expect("one of the folders")
    }

    fn arguments(&self) -> [&str; 9] {
        [
            "run",
            "--interface",
            "lan0",
            "--state-dir",
            self.text("state"),
            "--runtime-dir",
            self.text("runtime"),
            "--bpffs",
            self.text("bpffs"),
        ]
    }

    /// Starts the daemon and waits until it answers.
    fn start(&self) -> Daemon {
        // One that was killed a moment ago may still accept.
        let _there = fs::remove_file(self.path("runtime").join("edgeward.sock"));
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_edgeward"))
            .args(self.arguments())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut daemon = Daemon(child);
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(self.path("runtime").join("edgeward.sock")).is_err() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert_eq!(daemon.0.try_wait().unwrap(), None, "the daemon ended: {}", log());
            assert!(Instant::now() < deadline, "the daemon does not answer: {}", log());
            std::thread::sleep(POLL);
        }
        daemon
    }

    fn status(&self) -> view::Status {
        self.ask(async |client| client.call(Request::Status).await.unwrap())
    }

    /// Watches the daemon.
    fn watch<T>(&self, act: impl AsyncFnOnce(&mut Client) -> T) -> T {
        self.ask(async |client| {
            client.call::<()>(Request::Watch).await.unwrap();
            act(client).await
        })
    }

    fn ask<T>(&self, ask: impl AsyncFnOnce(&mut Client) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut client = Client::connect(&self.path("runtime")).await.unwrap();
            ask(&mut client).await
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A test that fails leaves no pins behind; after one that succeeds there are none.
        let _unloaded =
            edgeward(&["unload", "--bpffs", self.text("bpffs"), "--runtime-dir", self.text("runtime")]);
    }
}

/// A daemon that does not outlive its test.
struct Daemon(Child);

impl Daemon {
    /// Asks it to end, and waits for that.
    fn end(mut self) -> ExitStatus {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended is not killed again.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn run(program: &str, arguments: &str) {
    let output = Command::new(program).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", complaint(&output));
}

/// Says loudly what is missing, and fails where every test is expected to run.
fn can_run() -> bool {
    let missing = if !geteuid().is_root() {
        "it needs root; `cargo xtask test` runs it so"
    } else if !is_built_in() {
        "it was built without kernel programs; `cargo xtask build` makes them"
    } else {
        return true;
    };
    println!("not run, because {missing}");
    let expected = ["CI", "EDGEWARD_EXPECT_ALL"]
        .iter()
        .any(|name| env::var(name).is_ok_and(|value| value == "true" || value == "1"));
    assert!(!expected, "everything is expected to run here");
    false
}
