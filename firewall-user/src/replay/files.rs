//! Capture files for a [`Site`]: checked before anything of them is heard.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use firewall_common::wire::frame::{self, Frame};

use super::{
    capture::{Capture, CaptureError},
    link,
    site::{Gateway, Site},
};

/// Packets of several queues or interfaces may stand out of order by so much, in nanoseconds.
const SLACK_NS: u64 = 1_000_000_000;

/// A capture that can be heard: when it begins, and how many packets it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    path: PathBuf,
    first: u64,
    gateway: Gateway,
    pub packets: u64,
}

/// Why a capture is not heard.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{} could not be read to its end; nothing of it was used", path.display())]
    Damaged { path: PathBuf, source: CaptureError },
    #[error(
        "{} is out of time order: packet {packet} is {seconds} seconds older than one before it; nothing of it was used \
         (`reordercap` sorts a capture)",
        path.display()
    )]
    Order { path: PathBuf, packet: u64, seconds: u64 },
}

/// Reads a capture from beginning to end without using any of it.
pub fn check(path: &Path) -> Result<Checked, Refused> {
    let mut capture = open(path)?;
    let mut checked = Checked { path: path.to_owned(), first: 0, gateway: Gateway::default(), packets: 0 };
    let (mut latest, mut buffer) = (0, Vec::new());
    let damaged = |source| Refused::Damaged { path: path.to_owned(), source };
    while let Some((packet, bytes)) = capture.packet().map_err(damaged)? {
        if packet.time.saturating_add(SLACK_NS) < latest {
            let seconds = (latest - packet.time) / 1_000_000_000;
            return Err(Refused::Order { path: path.to_owned(), packet: packet.number, seconds });
        }
        if checked.packets == 0 {
            checked.first = packet.time;
        }
        latest = latest.max(packet.time);
        let mut headers = Frame::EMPTY;
        if link::to_ethernet(packet.link, bytes, &mut buffer)
            && frame::parse(&buffer.as_slice(), &mut headers).is_ok()
        {
            checked.gateway.see(&headers);
        }
        checked.packets += 1;
    }
    Ok(checked)
}

/// Lets a site hear a capture.
pub fn hear(site: &mut Site, checked: &Checked) -> Result<(), Refused> {
    hear_and(site, checked, u64::MAX, |_| ())
}

/// Lets a site hear a capture, and does something after so many packets of it.
pub fn hear_and(
    site: &mut Site,
    checked: &Checked,
    packets: u64,
    then: impl FnOnce(&mut Site),
) -> Result<(), Refused> {
    let mut then = Some(then);
    let mut capture = open(&checked.path)?;
    site.begin(checked.first, checked.gateway);
    let damaged = |source| Refused::Damaged { path: checked.path.clone(), source };
    while let Some((packet, bytes)) = capture.packet().map_err(damaged)? {
        if packet.number > packets
            && let Some(then) = then.take()
        {
            then(site);
        }
        site.packet(packet, bytes);
    }
    site.end();
    Ok(())
}

fn open(path: &Path) -> Result<Capture<BufReader<File>>, Refused> {
    let file = File::open(path).map_err(|source| Refused::Open { path: path.to_owned(), source })?;
    Capture::new(BufReader::new(file)).map_err(|source| Refused::Damaged { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A capture whose packets have these times in seconds, cut after so many bytes.
    fn capture(times: &[u32], cut: usize) -> tempfile::NamedTempFile {
        let mut bytes = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1].map(u32::to_be_bytes).concat();
        for time in times {
            bytes.extend([*time, 0, 14, 14].map(u32::to_be_bytes).concat());
            bytes.extend([2; 14]);
        }
        bytes.truncate(bytes.len() - cut);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }

    #[test]
    fn a_capture_out_of_time_order_is_refused() {
        let said = |times: &[u32], cut| match check(capture(times, cut).path()) {
            Ok(checked) => checked.packets.to_string(),
            Err(Refused::Order { packet, seconds, .. }) => format!("packet {packet}, {seconds} s"),
            Err(Refused::Damaged { .. }) => "damaged".to_owned(),
            Err(Refused::Open { .. }) => "cannot open".to_owned(),
        };
        assert_eq!(said(&[5, 5, 6], 0), "3");
        assert_eq!(said(&[5, 6, 5], 0), "3", "queues of one card");
        assert_eq!(said(&[5, 9, 6], 0), "packet 3, 3 s");
        assert_eq!(said(&[5, 6], 1), "damaged");
        assert_eq!(said(&[], 0), "0");
    }
}
