//! Others on the same work.

use std::{env, fmt::Write as _, fs, time::Duration};

use anyhow::{Context, Result, bail};
use lab::process::{self, Process};

use crate::{
    course::{self, BROKER, Course, Lane},
    traffic,
};

/// Suricata reads its rules and sets up its engines before it takes the first packet.
const START: Duration = Duration::from_mins(1);

/// Sets up whoever filters on a lane; Edgeward is started before.
pub(crate) fn start(course: &Course, lane: Lane) -> Result<()> {
    match lane {
        Lane::Bare | Lane::Twin | Lane::Ours => Ok(()),
        Lane::Nft => lane.router().nft(&nftables(course)),
        Lane::Haproxy => start_haproxy(),
        Lane::Suricata => start_suricata(course),
    }
}

pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}

/// Connection tracking, one rule per edge, and the topics as a set over the bytes where a PUBLISH alone in its segment has
/// them. It is fast and can be slipped past: a message behind another one in the same segment is not seen.
fn nftables(course: &Course) -> String {
    let mut elements = String::new();
    for number in 0..course.topics {
        let hex: String = traffic::topic(number).bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let (low, high) = hex.split_at(32);
        let _ = write!(elements, "0x{low} . 0x{high}, ");
    }
    format!(
        "table inet bench {{\n \
         set topics {{\n  typeof @ih,32,128 . @ih,160,128\n  elements = {{ {elements} }}\n }}\n \
         set edges {{\n  type ipv4_addr . ipv4_addr . inet_proto . inet_service\n  elements = {{ {} }}\n }}\n \
         chain forward {{\n  type filter hook forward priority filter; policy drop;\n  \
         ct state invalid drop\n  \
         tcp dport {BROKER} @ih,0,4 3 @ih,32,128 . @ih,160,128 @topics accept\n  \
         tcp dport {BROKER} @ih,0,4 3 drop\n  \
         ct state established,related accept\n  \
         ip saddr . ip daddr . ip protocol . th dport @edges accept\n }}\n}}\n",
        edges(),
    )
}

fn edges() -> String {
    let lane = Lane::Nft;
    let [a, b, c, _] = lane.gateway().octets();
    let mut edges = String::new();
    for (proto, port) in [
        ("tcp", BROKER),
        ("tcp", crate::bulk::ACCEPT),
        ("udp", crate::bulk::DATAGRAMS),
        ("tcp", crate::bulk::OPAQUE),
    ] {
        let _ = write!(edges, "{a}.{b}.{c}.2 . {} . {proto} . {port}, ", lane.server(port).ip());
    }
    edges
}

fn start_haproxy() -> Result<()> {
    let lane = Lane::Haproxy;
    let config = course::file("haproxy.cfg");
    fs::write(
        &config,
        format!(
            "global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n\
             frontend clients\n bind {}:{BROKER}\n tcp-request inspect-delay 5s\n \
             tcp-request content reject unless {{ req.payload(0,0),mqtt_is_valid }}\n default_backend broker\n\
             backend broker\n server broker {}\n",
            lane.gateway(),
            lane.server(BROKER),
        ),
    )
    .context("cannot write the configuration of haproxy")?;
    Process::start(
        lane.router().command("haproxy").arg("-db").arg("-f").arg(&config),
        "haproxy",
        course::folder(),
    )?;
    Ok(())
}

/// Suricata between two queues of nftables, with its list of topics as a set, no limit to how deep it looks into a
/// stream, and the threads of its fastest mode.
fn start_suricata(course: &Course) -> Result<()> {
    let router = Lane::Suricata.router();
    // Suricata keeps strings in base64.
    let topics: String =
        (0..course.topics).map(|number| base64(traffic::topic(number).as_bytes()) + "\n").collect();
    let (list, rules, logs) =
        (course::file("topics.lst"), course::file("suricata.rules"), course::file("suricata"));
    fs::write(&list, topics).context("cannot write the list of topics")?;
    fs::write(
        &rules,
        format!(
            "drop mqtt any any -> any {BROKER} (msg:\"topic\"; mqtt.publish.topic; \
             dataset:isnotset,topics,type string,load {}; sid:1; rev:1;)\n",
            list.display()
        ),
    )
    .context("cannot write the rules of Suricata")?;
    fs::create_dir_all(&logs).context("cannot make a folder for Suricata")?;
    router.nft(
        "table inet bench {\n chain forward {\n  type filter hook forward priority filter; policy accept;\n  \
         queue num 0\n }\n}\n",
    )?;
    let mut command = router.command("suricata");
    command.args(["-c", "/etc/suricata/suricata.yaml", "-q", "0", "-S"]).arg(&rules).arg("-l").arg(&logs);
    for setting in [
        "app-layer.protocols.mqtt.enabled=yes",
        "runmode=workers",
        "stream.inline=yes",
        "stream.reassembly.depth=0",
    ] {
        command.args(["--set", setting]);
    }
    let suricata = Process::start(&mut command, "suricata", course::folder())?;
    process::wait_until(START, "Suricata to start", || {
        let log = fs::read_to_string(logs.join("suricata.log")).unwrap_or_default();
        if !suricata.is_alive() {
            bail!("Suricata ended: {}", log.lines().last().unwrap_or("without a word"));
        }
        Ok(log.contains("Engine started"))
    })
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for letter in 0..4 {
            if letter <= group.len() {
                text.push(char::from(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_become_base64() {
        // The test vectors of RFC 4648, section 10.
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
