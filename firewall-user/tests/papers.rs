//! The papers say what the code does: the tables of ARCHITECTURE.md are those of the code, what the README tells to type
//! can be typed, and what the papers point to is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use edgeward::cli::Cli;
use firewall_common::{
    abi::{ARRAYS, MAPS},
    wire::essential::{Essential, Trickle},
};

/// What the kernel adds to each entry of a table: 48 bytes of element and 16 of bucket.
const BESIDE_AN_ENTRY: u64 = 64;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn paper(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the rows whose first cell is a name in backticks, under this heading.
fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n## ").next().unwrap_or(section);
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>()
        })
        .collect()
}

fn bytes(&(name, key, value, entries): &(&str, u32, u32, u32)) -> u64 {
    let padded = |size: u32| u64::from(size).next_multiple_of(8);
    let each =
        if ARRAYS.contains(&name) { padded(value) } else { padded(key) + padded(value) + BESIDE_AN_ENTRY };
    each * u64::from(entries)
}

/// `1836` as `1,836`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_capacity_table_is_that_of_the_code() {
    let text = paper("ARCHITECTURE.md");
    let written: Vec<String> =
        rows(&text, "Capacity").iter().map(|row| row[..4.min(row.len())].join(" | ")).collect();
    let expected: Vec<String> = MAPS
        .iter()
        .map(|map @ &(name, key, value, entries)| {
            let kilobytes = grouped(bytes(map).div_ceil(1_000));
            format!("{name} | {} | {key} + {value} | {kilobytes}", grouped(entries.into()))
        })
        .collect();
    assert_eq!(written, expected, "the rows should be:\n{}", expected.join("\n"));

    let total = MAPS.iter().map(bytes).sum::<u64>();
    let megabytes = format!("**{}.{} MB**", total / 1_000_000, total % 1_000_000 / 100_000);
    assert!(text.contains(&megabytes), "the sum is {megabytes}");
}

#[test]
fn the_essentials_table_is_that_of_the_code() {
    let written: Vec<(String, String)> = rows(&paper("ARCHITECTURE.md"), "Essentials")
        .into_iter()
        .map(|row| (row[0].clone(), row.last().cloned().unwrap_or_default()))
        .collect();
    let expected: Vec<(String, String)> = Essential::ALL
        .iter()
        .map(|essential| (format!("{essential:?}"), grouped(essential.rate())))
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn the_table_of_what_essentials_may_carry_is_that_of_the_code() {
    let written: Vec<Vec<String>> = rows(&paper("ARCHITECTURE.md"), "What essentials may carry")
        .into_iter()
        .map(|row| [0, 2, 3].map(|cell| row.get(cell).cloned().unwrap_or_default()).to_vec())
        .collect();
    let expected: Vec<Vec<String>> = Trickle::ALL
        .iter()
        .map(|trickle| vec![format!("{trickle:?}"), grouped(trickle.burst()), grouped(trickle.hourly())])
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn what_the_readme_tells_to_type_can_be_typed() {
    let text = paper("README.md");
    let mut typed = 0;
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or(block);
        for line in block.lines() {
            let line = line.split(" #").next().unwrap_or(line).trim();
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            if line.starts_with("edgeward ") {
                if let Err(error) = Cli::try_parse_from(words(line)) {
                    panic!("{line}\n{error}");
                }
                typed += 1;
            }
        }
    }
    assert!(typed > 20, "only {typed} commands were found");
}

/// Splits at blanks, except inside single quotes.
fn words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(at, part)| {
            let is_quoted = at % 2 == 1;
            if is_quoted {
                vec![part.to_owned()]
            } else {
                part.split_whitespace().map(str::to_owned).collect()
            }
        })
        .collect()
}

#[test]
fn what_the_papers_point_to_is_there() {
    let mut missing = BTreeSet::new();
    for name in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = paper(name).replace("src=\"", "](");
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#', '"']).next().unwrap_or_default();
            if !target.is_empty() && !root().join(target).exists() {
                missing.insert(format!("{name}: {target}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_build_server_runs_what_the_readme_says() {
    let command = "cargo xtask test";
    assert!(paper("README.md").contains(&format!("\n{command}")) && paper(".ci/run").contains(command));
}
