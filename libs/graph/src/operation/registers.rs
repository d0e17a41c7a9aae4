//! What a Modbus request is about: unit, area and addresses.

use serde::{Deserialize, Serialize};

use super::Fault;

/// `1/holding/100-109`, `+/coils/#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Registers {
    /// A number of 0 to 255, or `+`.
    unit: String,
    area: String,
    /// First and last address; `None` is all of them.
    addresses: Option<(u16, u16)>,
}

impl Registers {
    /// Reads what someone wrote, or the kernel saw.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut levels = text.split('/');
        let unit = levels.next().unwrap_or_default();
        if unit != "+" && number::<u8>(unit).is_none() {
            return Err(Fault::at(0, "a unit is a number of 0 to 255, or `+`"));
        }
        let mut at = unit.len() + 1;
        let area =
            levels.next().ok_or_else(|| Fault::at(text.len(), "an area is missing: `1/holding/100-109`"))?;
        let known = matches!(area, "coils" | "inputs" | "input" | "holding" | "files" | "fifo")
            || area.strip_prefix("fn").is_some_and(|code| number::<u8>(code).is_some());
        if !known {
            return Err(Fault::at(
                at,
                "an area is coils, inputs, input, holding, files, fifo, or fn and the number of a function",
            ));
        }
        at += area.len() + 1;
        let addresses = match levels.next() {
            None | Some("#") => None,
            Some(range) => Some(addresses(range).map_err(|fault| fault.behind(at))?),
        };
        if let Some(more) = levels.next() {
            return Err(Fault::at(text.len() - more.len(), "nothing stands behind the addresses"));
        }
        Ok(Self { unit: unit.to_owned(), area: area.to_owned(), addresses })
    }

    /// As someone writes it.
    pub fn text(&self) -> String {
        let Self { unit, area, addresses } = self;
        match addresses {
            None => format!("{unit}/{area}/#"),
            Some((first, last)) if first == last => format!("{unit}/{area}/{first}"),
            Some((first, last)) => format!("{unit}/{area}/{first}-{last}"),
        }
    }

    /// The unit, if it is one.
    pub(crate) fn unit(&self) -> Option<&str> {
        Some(self.unit.as_str()).filter(|unit| *unit != "+")
    }

    pub(crate) fn area(&self) -> &str {
        &self.area
    }

    /// First and last address.
    pub(crate) fn range(&self) -> (u16, u16) {
        self.addresses.unwrap_or((0, u16::MAX))
    }

    /// Whether this is about what another one is about, but for the addresses.
    pub(crate) fn reaches(&self, inner: &Self) -> bool {
        self.area == inner.area && (self.unit == "+" || self.unit == inner.unit)
    }

    /// Whether every request that `inner` matches is matched by this one too.
    pub fn contains(&self, inner: &Self) -> bool {
        let ((first, last), (start, end)) = (self.range(), inner.range());
        self.reaches(inner) && first <= start && end <= last
    }

    /// Whether some address belongs to both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let ((first, last), (start, end)) = (self.range(), other.range());
        (self.reaches(other) || other.reaches(self)) && first <= end && start <= last
    }

    /// Both as one, if no address lies between them.
    pub(crate) fn joined(&self, other: &Self) -> Option<Self> {
        let ((first, last), (start, end)) = (self.range(), other.range());
        let touch = u32::from(start) <= u32::from(last) + 1 && u32::from(first) <= u32::from(end) + 1;
        (self.unit == other.unit && self.area == other.area && touch)
            .then(|| Self { addresses: Some((first.min(start), last.max(end))), ..self.clone() })
    }

    /// For any unit.
    pub(crate) fn any_unit(&self) -> Self {
        Self { unit: "+".to_owned(), ..self.clone() }
    }
}

impl TryFrom<String> for Registers {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        Self::parse(&text)
    }
}

impl From<Registers> for String {
    fn from(registers: Registers) -> Self {
        registers.text()
    }
}

fn addresses(text: &str) -> Result<(u16, u16), Fault> {
    let wrong =
        |at| Fault::at(at, "an address is a number of 0 to 65535; several are `100-109`, all are `#`");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let first = number::<u16>(first).ok_or_else(|| wrong(0))?;
    let behind = text.len() - last.len();
    let last = number::<u16>(last).ok_or_else(|| wrong(behind))?;
    if last < first {
        return Err(Fault::at(behind, "the last address is smaller than the first"));
    }
    Ok((first, last))
}

/// A number in its only spelling.
fn number<T: std::str::FromStr + std::fmt::Display>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(text: &str) -> Registers {
        Registers::parse(text).unwrap()
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for text in ["1/holding/100-109", "+/coils/#", "0/input/0", "255/fn43/#", "3/files/7-65535"] {
            assert_eq!(registers(text).text(), text);
        }
        assert_eq!(registers("1/fn17").text(), "1/fn17/#");
        assert_eq!(registers("1/coils/5-5").text(), "1/coils/5");
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, at) in [
            ("", 0),
            ("256/coils/1", 0),
            ("01/coils/1", 0),
            ("1", 1),
            ("1/coil/1", 2),
            ("1/fn256/1", 2),
            ("1/coils/", 8),
            ("1/coils/70000", 8),
            ("1/coils/9-3", 10),
            ("1/coils/1-x", 10),
            ("1/coils/1/2", 10),
        ] {
            assert_eq!(Registers::parse(text).map_err(|fault| fault.at), Err(at), "{text}");
        }
    }

    #[test]
    fn ranges_meet_as_their_addresses_do() {
        let (one, two) = (registers("1/holding/10-19"), registers("1/holding/15-24"));
        assert!(one.overlaps(&two) && !one.contains(&two) && registers("+/holding/#").contains(&one));
        assert_eq!(one.joined(&two), Some(registers("1/holding/10-24")));
        assert_eq!(one.joined(&registers("1/holding/20")), Some(registers("1/holding/10-20")));
        assert_eq!(one.joined(&registers("1/holding/21")), None);
        assert_eq!(one.joined(&registers("2/holding/20")), None);
        assert!(!one.overlaps(&registers("1/coils/10")) && !one.contains(&registers("+/holding/10")));
    }
}
