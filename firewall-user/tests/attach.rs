//! Programs at real interfaces: they outlive the daemon, are replaced in place, and come back with an interface.
//!
//! Both ways in which a kernel holds a program are tried, whatever the kernel at hand would choose.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use edgeward::{
    kernel::{Holder, Hook, Kernel, Maps, Pins, detach_clsact, is_built_in},
    net::InterfaceName,
};
use firewall_common::abi::{Port, Role, counter};
use nix::sched::{CloneFlags, unshare};

/// How long a frame may take from one end of a cable to the other.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at what is waited for.
const POLL: Duration = Duration::from_millis(1);

#[test]
fn tcx_links_outlive_the_daemon_and_follow_the_interface() {
    outlives_and_follows(Holder::Tcx);
}

#[test]
fn clsact_filters_outlive_the_daemon_and_follow_the_interface() {
    outlives_and_follows(Holder::Clsact);
}

fn outlives_and_follows(holder: Holder) {
    if !can_run() {
        return;
    }
    // This thread's namespace: the interfaces are nobody else's.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let site = Site {
        folder: format!("/sys/fs/bpf/edgeward-attach-{}-{holder:?}", std::process::id()).into(),
        holder,
    };
    Site::plug_in();

    let (mut kernel, mut maps) = site.load();
    Site::attach(&mut kernel, &mut maps);
    site.assert_judges(&maps, "when attached");

    // The process goes, its links and filters stay.
    drop((kernel, maps));
    let (_, maps) = site.load();
    site.assert_judges(&maps, "without a daemon");
    drop(maps);

    let (mut kernel, mut maps) = site.load();
    Site::attach(&mut kernel, &mut maps);
    site.assert_judges(&maps, "after a restart");
    assert_eq!(Site::judged_by(&maps), 1, "one frame is judged once, not by old and new");

    ip("link del lan0");
    Site::plug_in();
    Site::attach(&mut kernel, &mut maps);
    site.assert_judges(&maps, "when the interface came back");

    match holder {
        Holder::Tcx => kernel.keep_only(&[]).unwrap(),
        Holder::Clsact => detach_clsact(&lan()),
    }
    // The kernel lets go of a link a moment after its pin.
    let deadline = Instant::now() + PATIENCE;
    while Site::judged_by(&maps) > 0 {
        assert!(Instant::now() < deadline, "{holder:?}: still judged after it was detached");
    }
}

/// One protected interface with a device at the other end of its cable.
struct Site {
    folder: PathBuf,
    holder: Holder,
}

impl Site {
    fn plug_in() {
        ip("link add lan0 type veth peer name dev0");
        // The test's own frames only: no neighbour discovery of the stack.
        for interface in ["lan0", "dev0"] {
            let switch = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
            let _no_ipv6 = fs::write(switch, "1");
        }
        ip("link set lan0 up");
        ip("link set dev0 up");
        ip("addr add 10.9.0.2/24 dev dev0");
        ip("neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev dev0");
    }

    fn load(&self) -> (Kernel, Maps) {
        Kernel::load_for(Pins::open(&self.folder).unwrap(), self.holder).unwrap()
    }

    fn attach(kernel: &mut Kernel, maps: &mut Maps) {
        let ifindex = nix::net::if_::if_nametoindex("lan0").unwrap();
        let port = Port { link: ifindex, role: Role::Lan as u8, dhcp_server: 0, _pad: [0; 2] };
        maps.ports.put(&ifindex, &port).unwrap();
        kernel.attach(&lan(), Hook::LanIngress).unwrap();
        kernel.attach(&lan(), Hook::LanEgress).unwrap();
    }

    /// Sends a frame from the device and waits until the interface has received it.
    fn send() {
        let before = received();
        let socket = std::net::UdpSocket::bind("10.9.0.2:0").unwrap();
        socket.send_to(b"frame", "10.9.0.1:9").unwrap();
        let deadline = Instant::now() + PATIENCE;
        while received() == before {
            assert!(Instant::now() < deadline, "the frame did not arrive at lan0");
            std::thread::sleep(POLL);
        }
    }

    fn assert_judges(&self, maps: &Maps, when: &str) {
        assert!(Self::judged_by(maps) > 0, "{:?}: no frame is judged {when}", self.holder);
    }

    /// How many programs have seen one frame.
    fn judged_by(maps: &Maps) -> u64 {
        let before = seen(maps);
        Self::send();
        seen(maps) - before
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

fn seen(maps: &Maps) -> u64 {
    maps.counters.balance(counter::HOOK_LAN_INGRESS).unwrap().seen
}

/// Frames that `lan0` has received.
fn received() -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lan0:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn lan() -> InterfaceName {
    "lan0".parse().unwrap()
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        } else {
            let _kept = fs::remove_file(entry.path());
        }
    }
    let _kept = fs::remove_dir(folder);
}

/// Says loudly what is missing, and fails where every test is expected to run.
fn can_run() -> bool {
    let missing = if !nix::unistd::geteuid().is_root() {
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
