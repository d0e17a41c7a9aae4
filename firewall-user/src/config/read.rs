//! From text to [`Config`], collecting mistakes.

use std::{net::IpAddr, ops::Range, path::Path, slice, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, DhcpServer, Mistake};
use crate::net::InterfaceName;

/// Every key of every section, for the hints.
const KEYS: &[(&str, &[&str])] = &[
    ("site", &["mode", "silent", "confirm"]),
    ("interfaces", &["protect", "uplink", "attach", "marks"]),
    ("interfaces.marks", &["judged", "gated"]),
    ("dhcp", &["server"]),
    ("dns", &["servers"]),
    ("ntp", &["servers"]),
    ("learning", &["min", "quiet", "max", "notice", "first_run", "window", "max_edges", "max_destinations"]),
    ("mqtt", &["ports"]),
    ("web", &["listen"]),
    ("pairing", &["display", "folders"]),
    ("state", &["dir", "runtime_dir", "bpffs"]),
];

type Value<'i> = Spanned<DeValue<'i>>;
/// What is wrong with a value, and what to write instead.
type Refused = String;

/// Writes what the text says into the configuration.
pub(super) fn apply(config: &mut Config, file: &Path, text: &str, mistakes: &mut Vec<Mistake>) {
    let mut reader = Reader { file, text, mistakes };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        reader.mistake(error.span(), error.message().to_owned());
    }
    for (name, value) in document.get_ref() {
        let section = name.get_ref().as_ref();
        let known = KEYS.iter().filter(|(known, _)| !known.contains('.'));
        match value.get_ref() {
            _ if !known.clone().any(|(known, _)| *known == section) => {
                let sections: Vec<&str> = known.map(|(name, _)| *name).collect();
                reader.mistake(Some(name.span()), unknown("section", section, &sections));
            }
            DeValue::Table(table) => reader.section(config, section, table),
            _ => reader.mistake(
                Some(name.span()),
                format!("{section} is a section; write [{section}] and its keys below"),
            ),
        }
    }
}

struct Reader<'r> {
    file: &'r Path,
    text: &'r str,
    mistakes: &'r mut Vec<Mistake>,
}

impl Reader<'_> {
    fn section(&mut self, config: &mut Config, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = name.get_ref().as_ref();
            let outcome = match (section, key) {
                ("interfaces", "marks") => match value.get_ref() {
                    DeValue::Table(marks) => {
                        self.section(config, "interfaces.marks", marks);
                        Ok(())
                    }
                    _ => Err("write { judged = 0x40000000, gated = 0x20000000 }".to_owned()),
                },
                _ => set(config, section, key, value),
            };
            if let Err(refused) = outcome {
                let known =
                    KEYS.iter().find(|(known, _)| *known == section).map_or(&[][..], |(_, keys)| keys);
                if known.contains(&key) {
                    self.mistake(Some(value.span()), format!("{section}.{key}: {refused}"));
                } else {
                    self.mistake(Some(name.span()), format!("[{section}]: {}", unknown("key", key, known)));
                }
            }
        }
    }

    fn mistake(&mut self, span: Option<Range<usize>>, message: String) {
        let line = span.map(|span| {
            let before = self.text.get(..span.start).unwrap_or(self.text);
            before.matches('\n').count() + 1
        });
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, message });
    }
}

/// Sets one key. An unknown key is refused; the caller words it.
fn set(config: &mut Config, section: &str, key: &str, value: &Value<'_>) -> Result<(), Refused> {
    match (section, key) {
        ("site", "mode") => config.site.mode = parsed(value)?,
        ("site", "silent") => config.site.silent = boolean(value)?,
        ("site", "confirm") => config.site.confirm = parsed(value)?,
        ("interfaces", "protect") => {
            config.interfaces.protect = list(value)?.iter().map(parsed).collect::<Result<_, _>>()?;
        }
        ("interfaces", "uplink") => config.interfaces.uplink = Some(parsed(value)?),
        ("interfaces", "attach") => config.interfaces.attach = parsed(value)?,
        ("interfaces.marks", "judged") => config.interfaces.marks.judged = one_bit(value)?,
        ("interfaces.marks", "gated") => config.interfaces.marks.gated = one_bit(value)?,
        ("dhcp", "server") => config.dhcp.server = dhcp_server(value)?,
        ("dns", "servers") => config.dns.servers = addresses(value)?,
        ("ntp", "servers") => config.ntp.servers = addresses(value)?,
        ("learning", "min") => config.learning.min = parsed(value)?,
        ("learning", "quiet") => config.learning.quiet = parsed(value)?,
        ("learning", "max") => config.learning.max = parsed(value)?,
        ("learning", "notice") => config.learning.notice = parsed(value)?,
        ("learning", "first_run") => config.learning.first_run = parsed(value)?,
        ("learning", "window") => config.learning.window = parsed(value)?,
        ("learning", "max_edges") => config.learning.max_edges = number(value, 1, 16_384)?,
        ("learning", "max_destinations") => config.learning.max_destinations = number(value, 1, 4_096)?,
        ("mqtt", "ports") => {
            let ports = list(value)?;
            if ports.len() > 4 {
                return Err("at most 4 ports can be inspected; remove some".to_owned());
            }
            config.mqtt.ports = ports
                .iter()
                .map(|port| number(port, 1, 65_535).map(|port| port as u16))
                .collect::<Result<_, _>>()?;
        }
        ("web", "listen") => {
            let values = list(value).unwrap_or(slice::from_ref(value));
            if values.is_empty() || values.len() > 8 {
                return Err("name 1 to 8 addresses with their ports".to_owned());
            }
            let wrong =
                |_| "write addresses and ports like [\"127.0.0.1:8480\", \"192.168.1.1:8443\"]".to_owned();
            config.web.listen =
                values.iter().map(|value| text(value)?.parse().map_err(wrong)).collect::<Result<_, _>>()?;
        }
        ("pairing", "display") => {
            let path = text(value)?;
            config.pairing.display = (!path.is_empty()).then(|| path.into());
        }
        ("pairing", "folders") => {
            config.pairing.folders =
                list(value)?.iter().map(|folder| text(folder).map(Into::into)).collect::<Result<_, _>>()?;
        }
        ("state", "dir") => config.state.dir = text(value)?.into(),
        ("state", "runtime_dir") => config.state.runtime_dir = text(value)?.into(),
        ("state", "bpffs") => config.state.bpffs = text(value)?.into(),
        _ => return Err(String::new()),
    }
    Ok(())
}

fn dhcp_server(value: &Value<'_>) -> Result<DhcpServer, Refused> {
    match text(value)? {
        "self" => Ok(DhcpServer::Own),
        _ => parsed::<InterfaceName>(value).map(DhcpServer::Port),
    }
}

fn addresses(value: &Value<'_>) -> Result<Vec<IpAddr>, Refused> {
    let values = list(value)?;
    if values.len() > 16 {
        return Err("at most 16 servers can be named; remove some".to_owned());
    }
    let address = |value| parsed(value).map_err(|_| "write addresses like [\"192.168.1.1\"]".to_owned());
    values.iter().map(address).collect()
}

fn parsed<T: FromStr>(value: &Value<'_>) -> Result<T, Refused>
where
    T::Err: ToString,
{
    let text = text(value)?;
    text.parse().map_err(|error: T::Err| format!("{text:?} does not fit; {}", error.to_string()))
}

fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, Refused> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.as_ref()),
        other => Err(format!("is {}; write a text in quotes", kind(other))),
    }
}

fn boolean(value: &Value<'_>) -> Result<bool, Refused> {
    match value.get_ref() {
        DeValue::Boolean(value) => Ok(*value),
        other => Err(format!("is {}; write true or false", kind(other))),
    }
}

fn list<'v, 'i>(value: &'v Value<'i>) -> Result<&'v [Value<'i>], Refused> {
    match value.get_ref() {
        DeValue::Array(values) => Ok(values),
        other => Err(format!("is {}; write a list in [brackets]", kind(other))),
    }
}

fn number(value: &Value<'_>, least: u32, most: u32) -> Result<u32, Refused> {
    let DeValue::Integer(digits) = value.get_ref() else {
        return Err(format!("is {}; write a number", kind(value.get_ref())));
    };
    u32::from_str_radix(digits.as_str(), digits.radix())
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("write a number from {least} to {most}"))
}

fn one_bit(value: &Value<'_>) -> Result<u32, Refused> {
    let mark = number(value, 1, u32::MAX)?;
    if mark.is_power_of_two() {
        Ok(mark)
    } else {
        Err("write a number with one bit set, like 0x40000000".to_owned())
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = known.iter().min_by_key(|known| distance(name, known));
    match near {
        Some(near) if distance(name, near) <= 2 => format!("unknown {what} {name:?}; did you mean {near}?"),
        _ => format!("unknown {what} {name:?}; known are {}", known.join(", ")),
    }
}

/// Edits from one name to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
