use std::{fs, path::Path};

use super::*;

fn parse(text: &str) -> Result<Config, Mistakes> {
    Config::parse(Path::new("edgeward.toml"), text)
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let text = r#"[site]
mode = "enforced"
confirm = 5

[interfaces]
protect = ["lan0", "no/such"]
uplnik = "wan0"
attach = "xpd"
marks = { judged = 3, gated = 0x20000000 }

[learnign]
min = "5d"

[learning]
min = "5 dayz"
max_edges = 0

[mqtt]
ports = [1883, 99999]

[web]
listen = "localhost"
"#;
    let Mistakes(mistakes) = parse(text).unwrap_err();
    let found: Vec<(Option<usize>, &str)> =
        mistakes.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
    let expected = [
        (2, "site.mode", "monitor, enforce"),
        (3, "site.confirm", "quotes"),
        (6, "interfaces.protect", "1 to 15"),
        (7, "uplnik", "did you mean uplink?"),
        (8, "interfaces.attach", "xdp-generic"),
        (9, "interfaces.marks.judged", "one bit"),
        (11, "learnign", "did you mean learning?"),
        (15, "learning.min", "48h"),
        (16, "learning.max_edges", "1 to 16384"),
        (19, "mqtt.ports", "65535"),
        (22, "web.listen", "127.0.0.1:8480"),
    ];
    for (line, about, hint) in expected {
        assert!(
            found
                .iter()
                .any(|(at, message)| *at == Some(line) && message.contains(about) && message.contains(hint)),
            "line {line}, {about}, {hint}: {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn broken_toml_and_wrong_values_are_reported_together() {
    let Mistakes(mistakes) = parse("[site]\nmode = \n[interfaces]\nprotect = \"lan0\"\n").unwrap_err();
    let lines: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.line).collect();
    assert!(lines.contains(&2) && lines.contains(&4), "{mistakes:#?}");
}

#[test]
fn what_only_shows_together_is_a_mistake_too() {
    let text = r#"
[interfaces]
protect = ["lan0"]
uplink = "lan0"
marks = { judged = 0x10, gated = 0x10 }
[dhcp]
server = "lan7"
[learning]
min = "2d"
max = "1d"
"#;
    let Mistakes(mistakes) = parse(text).unwrap_err();
    for about in ["both protected and the uplink", "lan7 is neither", "share a bit", "longer than max"] {
        assert!(mistakes.iter().any(|mistake| mistake.message.contains(about)), "{about}: {mistakes:#?}");
    }
}

#[test]
fn what_show_prints_is_the_same_configuration() {
    let text = r#"
[site]
mode = "monitor"
[interfaces]
protect = ["lan0", "lan1"]
uplink = "wan0"
attach = "xdp-generic"
[dhcp]
server = "lan1"
[dns]
servers = ["10.0.0.1", "fd00::1"]
[learning]
min = "5s"
quiet = "1m30s"
[mqtt]
ports = [1883, 1884]
"#;
    let config = parse(text).unwrap();
    assert_eq!(parse(&config.to_string()), Ok(config));
}

#[test]
fn the_example_is_valid_and_says_what_is_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../edgeward.toml");
    let text = fs::read_to_string(&path).unwrap();
    let example = Config::parse(&path, &text).unwrap();
    let mut expected = Config::default();
    expected.interfaces.protect = vec!["eth1".parse().unwrap()];
    expected.interfaces.uplink = Some("eth0".parse().unwrap());
    assert_eq!(example, expected);
}

#[test]
fn later_files_win() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("edgeward.toml");
    fs::write(&main, "[site]\nmode = \"enforce\"\nsilent = true\n").unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    fs::write(folder.path().join("conf.d/10-mode.toml"), "[site]\nmode = \"monitor\"\n").unwrap();
    fs::write(folder.path().join("conf.d/notes.txt"), "not read").unwrap();
    let config = Config::load(Some(&main)).unwrap();
    assert_eq!((config.site.mode, config.site.silent), (SiteMode::Monitor, true));
}

#[test]
fn a_file_that_was_named_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let Mistakes(mistakes) = Config::load(Some(&folder.path().join("missing.toml"))).unwrap_err();
    assert!(mistakes[0].message.contains("cannot be read"));
}
