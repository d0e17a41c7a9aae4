//! Who made a network card: the public list of IEEE, as the distribution has it (Debian: `ieee-data`).
//!
//! IEEE asserts no copyright in the list. It is read where it is installed and no part of Edgeward; without it nobody is
//! named as a maker.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader, Read},
};

use graph::{inventory::is_private, principal::harmless};

/// Where distributions keep the list.
const FILES: [&str; 2] = ["/usr/share/ieee-data/oui.txt", "/usr/share/hwdata/oui.txt"];
/// Longest list in bytes, and longest name in characters.
const FILE_CAP: u64 = 32 << 20;
const NAME_CAP: usize = 60;
/// What stands behind the prefix in the lines that count.
const MARK: &str = "(base 16)";

/// Makers by the first three bytes of a MAC.
#[derive(Debug, Default)]
pub struct Makers {
    by_prefix: HashMap<[u8; 3], u32>,
    names: Vec<Box<str>>,
}

impl Makers {
    /// Reads the list of this machine; an empty one if there is none.
    pub fn load() -> Self {
        let file = FILES.iter().find_map(|path| File::open(path).ok());
        file.map(Self::read).unwrap_or_default()
    }

    /// Reads a list; lines that are none of it are passed over.
    pub fn read(file: impl Read) -> Self {
        let mut makers = Self::default();
        let mut known: HashMap<Box<str>, u32> = HashMap::new();
        let mut lines = BufReader::new(file.take(FILE_CAP));
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
            if let Some((prefix, name)) = entry(&String::from_utf8_lossy(&line)) {
                let next = makers.names.len() as u32;
                let number = *known.entry(name.clone()).or_insert(next);
                if number == next {
                    makers.names.push(name);
                }
                makers.by_prefix.insert(prefix, number);
            }
            line.clear();
        }
        makers
    }

    /// Who made the card with this MAC, if it tells.
    pub fn of(&self, mac: [u8; 6]) -> Option<&str> {
        let [a, b, c, ..] = mac;
        let number = self.by_prefix.get(&[a, b, c]).filter(|_| !is_private(mac))?;
        self.names.get(*number as usize).map(AsRef::as_ref)
    }
}

/// `001788     (base 16)    Philips Lighting BV`.
fn entry(line: &str) -> Option<([u8; 3], Box<str>)> {
    let (prefix, name) = line.split_once(MARK)?;
    let prefix = prefix.trim();
    let is_hex = prefix.len() == 6 && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    let [_, a, b, c] = u32::from_str_radix(prefix, 16).ok().filter(|_| is_hex)?.to_be_bytes();
    let name = harmless(name, NAME_CAP);
    (!name.is_empty()).then(|| ([a, b, c], name.into_boxed_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "OUI/MA-L   Organization\r\n\r\n00-17-88   (hex)\t\tPhilips Lighting BV\r\n\
        001788     (base 16)\t\tPhilips Lighting BV\r\n\t\t\tEindhoven\r\n00D0EF     (base 16)\t\tIGT\r\n\
        ECB5FA     (base 16)\t\tPhilips Lighting BV\r\nxyz        (base 16)\t\tNobody\r\n001789 (base 16)\r\n";

    #[test]
    fn a_card_has_the_maker_of_its_prefix() {
        let makers = Makers::read(LIST.as_bytes());
        assert_eq!(makers.of([0x00, 0x17, 0x88, 1, 2, 3]), Some("Philips Lighting BV"));
        assert_eq!(makers.of([0xec, 0xb5, 0xfa, 1, 2, 3]), Some("Philips Lighting BV"));
        assert_eq!(makers.of([0x00, 0xd0, 0xef, 1, 2, 3]), Some("IGT"));
        assert_eq!(makers.of([0x00, 0x17, 0x89, 1, 2, 3]), None);
        assert_eq!(makers.names.len(), 2, "each name once");
    }

    #[test]
    fn a_mac_that_was_made_up_has_no_maker() {
        let makers = Makers::read("021788     (base 16)\t\tSomebody\n".as_bytes());
        assert_eq!(makers.of([0x02, 0x17, 0x88, 1, 2, 3]), None);
    }
}
