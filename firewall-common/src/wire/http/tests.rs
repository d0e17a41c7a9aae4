use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::abi::OBJECT_CAP;
use crate::hash::hash;

extern crate std;

/// What a direction gave, in order.
#[derive(Debug, PartialEq)]
enum Got {
    Request(Kind, String, Vec<u64>),
    Becomes(Protocol),
    Note(Note),
    Wrong(Reason),
}

fn key() -> HashKey {
    HashKey::from_random([7; 16])
}

/// Feeds pieces as every caller does; `skips`: whether it passes over what need not be read.
fn feed(http: &mut Http, pieces: &[&[u8]], sender: Sender, skips: bool) -> Vec<Got> {
    let mut object = Object::EMPTY;
    let mut got = vec![];
    for piece in pieces {
        let mut at = 0;
        while at < piece.len() {
            let skipped = if skips { http.skip((piece.len() - at) as u32) as usize } else { 0 };
            if skipped != 0 {
                at += skipped;
                continue;
            }
            let event = http.step(&mut object, piece[at], sender, &key());
            at += 1;
            match event {
                Event::More => {}
                Event::Request => {
                    let mut levels = Levels::NONE;
                    http.levels(&object, &mut levels, &key());
                    let levels = (0..levels.count()).map(|at| levels.get(at as usize)).collect();
                    let text = String::from_utf8(object.text().to_vec()).unwrap();
                    got.push(Got::Request(http.kind(), text, levels));
                }
                Event::Becomes(protocol) => got.push(Got::Becomes(protocol)),
                Event::Note(note) => got.push(Got::Note(note)),
                Event::Wrong(reason) => {
                    got.push(Got::Wrong(reason));
                    return got;
                }
                Event::Level | Event::Object | Event::Alias => panic!("{event:?} is none of HTTP's"),
            }
        }
    }
    got
}

fn client(text: &str) -> Vec<Got> {
    feed(&mut { Http::NEW }, &[text.as_bytes()], Sender::Client, true)
}

fn server(text: &str) -> Vec<Got> {
    feed(&mut { Http::NEW }, &[text.as_bytes()], Sender::Server, true)
}

/// A request of which only this part of the head is said.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: hub\r\n\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: hub\r\n{fields}\r\n{body}")
}

fn request(kind: Kind, text: &str, levels: &[&str]) -> Got {
    let levels = levels.iter().map(|level| hash(level.as_bytes(), &key())).collect();
    Got::Request(kind, text.to_string(), levels)
}

/// The one request that the text must be.
fn is(text: &str, kind: Kind, object: &str, levels: &[&str]) {
    assert_eq!(client(text), [request(kind, object, levels)], "{text:?}");
}

/// The text must end with this reason, and not before it is complete.
fn is_wrong(text: &str, reason: Reason) {
    assert_eq!(client(text).last(), Some(&Got::Wrong(reason)), "{text:?}");
}

#[test]
fn each_method_has_its_verb() {
    for (method, kind, verb) in [
        ("GET", Kind::HttpGet, "get"),
        ("HEAD", Kind::HttpGet, "get"),
        ("OPTIONS", Kind::HttpGet, "get"),
        ("POST", Kind::HttpSet, "set"),
        ("PUT", Kind::HttpSet, "set"),
        ("PATCH", Kind::HttpSet, "set"),
        ("DELETE", Kind::HttpDelete, "delete"),
    ] {
        let text = format!("{method} /api/light HTTP/1.1\r\nHost: hub.local\r\n\r\n");
        is(&text, kind, "/api/light hub.local", &[verb, "hub.local", "api", "light"]);
    }
}

#[test]
fn the_path_and_the_host_are_the_object() {
    for (target, path, levels) in [
        ("/", "/", &[][..]),
        ("/a", "/a", &["a"]),
        ("/a/", "/a/", &["a", ""]),
        ("/a?b=/c/../%00&d", "/a", &["a"]),
        ("/?a", "/", &[]),
        ("/a+b/.c/..d/e.", "/a+b/.c/..d/e.", &["a+b", ".c", "..d", "e."]),
        ("/+/a", "/+/a", &["+", "a"]),
        ("/a:b;c=d@e!", "/a:b;c=d@e!", &["a:b;c=d@e!"]),
        // One spelling of each.
        ("/a%3ab%21", "/a:b!", &["a:b!"]),
        ("/a%20b%c3%bc", "/a%20b%C3%BC", &["a%20b%C3%BC"]),
    ] {
        let levels = [&["get", "hub"], levels].concat();
        is(&get(target), Kind::HttpGet, &format!("{path} hub"), &levels);
    }
    is("OPTIONS * HTTP/1.1\r\nHost: hub\r\n\r\n", Kind::HttpGet, "/ hub", &["get", "hub"]);
}

#[test]
fn the_host_has_one_spelling() {
    for (written, host) in [
        ("Hub.LOCAL", "hub.local"),
        ("hub:8080", "hub"),
        ("hub:", "hub"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:DB8::1]:80", "[2001:db8::1]"),
        (" \t a_b-c  \t", "a_b-c"),
    ] {
        let text = format!("GET /a HTTP/1.1\r\nAccept: */*\r\nhOST:{written}\r\nAccept: x\r\n\r\n");
        is(&text, Kind::HttpGet, &format!("/a {host}"), &["get", host, "a"]);
    }
    is("GET /a HTTP/1.1\r\nHost:\r\n\r\n", Kind::HttpGet, "/a", &["get", "", "a"]);
    is("GET /a HTTP/1.0\r\n\r\n", Kind::HttpGet, "/a", &["get", "", "a"]);
    for host in [
        "a b", "a@b", "a/b", "a%62", "a..b", ".a", "a.", "[::1", "[::g]", "[::1]a", ":80", "a:8x",
        "a:123456", "ä",
    ] {
        is_wrong(&format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n"), Reason::Malformed);
    }
}

#[test]
fn rtsp_begins_with_a_method_that_both_have() {
    let first = "OPTIONS rtsp://camera/ RTSP/1.0\r\n";
    let mut http = Http::NEW;
    let got = feed(&mut http, &[first.as_bytes()], Sender::Client, true);
    assert_eq!(got, [Got::Wrong(Reason::ProtoChanged)]);
    assert!(!http.is_recognised());
    is_wrong(&(get("/") + first), Reason::Malformed);
    is_wrong("OPTIONS http://hub/ HTTP/1.1\r\n", Reason::Malformed);
    is_wrong("GET rtsp://camera/ RTSP/1.0\r\n", Reason::Malformed);
}

#[test]
fn what_is_not_http_is_another_protocol() {
    for text in [
        "\x16\x03\x01",
        "\x10\x0c\0\x04MQTT",
        "\0",
        "\r\n",
        " GET / HTTP/1.1",
        "get / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM",
        "CONNECT hub:22 HTTP/1.1\r\n",
        "TRACE / HTTP/1.1\r\n",
        "PROXY TCP4 ",
        "M-SEARCH * HTTP/1.1\r\n",
        "PROPFIND / HTTP/1.1\r\n",
    ] {
        let mut http = Http::NEW;
        let got = feed(&mut http, &[text.as_bytes()], Sender::Client, true);
        assert_eq!(got, [Got::Wrong(Reason::ProtoChanged)], "{text:?}");
        assert!(!http.is_recognised());
        // Also behind a request.
        is_wrong(&(get("/") + text), Reason::ProtoChanged);
    }
    let mut http = Http::NEW;
    assert_eq!(feed(&mut http, &[b"GET "], Sender::Client, true), []);
    assert!(http.is_recognised());
}

#[test]
fn a_path_has_no_second_spelling() {
    for target in [
        "http://hub/",
        "hub:80",
        "*",
        "a",
        "?a",
        "/a#b",
        "/a?b#c",
        "/a\\b",
        "/\"",
        "/a<",
        "/a{b}",
        "/a\x01",
        "/a\0",
        "/ä",
        "/.",
        "/..",
        "/a/./b",
        "/a/../b",
        "/a/..",
        "/..;/a",
        "/.;",
        "/%2e",
        "/%2E%2e/",
        "/%61",
        "/%7e",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%00",
        "/a%1f",
        "/a%7f",
        "/a%25b",
        "/a%",
        "/a%2",
        "/a%g0",
        "/a%0g",
        "//",
        "//a",
        "/a//b",
        "/a//",
        "/%c0%af",
        "/%c3",
        "/%c3a",
        "/%c3/",
        "/%c3%3a",
        "/%ff",
    ] {
        is_wrong(&get(target), Reason::Malformed);
    }
}

#[test]
fn lengths_are_capped() {
    let long = "/".to_string() + &"a".repeat(OBJECT_CAP - 1 - " hub".len());
    assert!(matches!(&client(&get(&long))[..], [Got::Request(..)]));
    is_wrong(&get(&(long + "a")), Reason::ObjectCap);
    is_wrong(&format!("GET {}", "/a".repeat(OBJECT_CAP)), Reason::ObjectCap);
    is_wrong(&get(&"/a".repeat(15)), Reason::ObjectCap);
    assert!(matches!(&client(&get(&"/a".repeat(14)))[..], [Got::Request(..)]));
    is_wrong(&format!("GET /?{}", "q".repeat(9000)), Reason::Malformed);
    is_wrong(&format!("GET / HTTP/1.1\r\na: {}", "v".repeat(9000)), Reason::Malformed);
    is_wrong(&format!("GET / HTTP/1.1\r\n{}", "n".repeat(9000)), Reason::Malformed);
    is_wrong(&format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(11_000)), Reason::Malformed);
    // Chunk lines and trailers too.
    let chunked = post("Transfer-Encoding: chunked\r\n", "");
    is_wrong(&format!("{chunked}1;{}", "e".repeat(300)), Reason::Malformed);
    is_wrong(&format!("{chunked}0\r\n{}", "a: b\r\n".repeat(11_000)), Reason::Malformed);
}

#[test]
fn a_head_has_one_reading() {
    for head in [
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\r\r\n",
        "GET / HTTP/1.1\rH",
        "GET / HTTP/2.0\r",
        "GET / HTTP/1.2\r",
        "GET /\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET /  HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/1.1\0\r\n",
        "GET / RTSP/1.0\r\n",
        "GET * HTTP/1.1\r\n",
        "OPTIONS */ HTTP/1.1\r\n",
    ] {
        is_wrong(head, Reason::Malformed);
    }
    // Zero bytes do not push what stands before the version out of sight.
    is_wrong(&format!("GET / x{}HTTP/1.1\r\nHost: a\r\n\r\n", "\0".repeat(16)), Reason::Malformed);
    for field in [
        " folded: b",
        "\tfolded: b",
        "name : b",
        "na me: b",
        ": b",
        "name\r\n",
        "a: b\n",
        "a: b\rc\r\n",
        "a: b\0c",
        "a: b\x7f",
        "a\0: b",
        "nä: b",
        "a(: b",
    ] {
        is_wrong(&format!("GET / HTTP/1.1\r\nHost: hub\r\n{field}\r\n\r\n"), Reason::Malformed);
    }
    is_wrong("GET / HTTP/1.1\r\nHost: a\r\n\rX", Reason::Malformed);
    is_wrong("GET / HTTP/1.1\r\n\r\n", Reason::Malformed);
    is_wrong("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Reason::Malformed);
    is("GET / HTTP/1.1\r\nHost: a\r\nx:\r\ny:\t\u{e9} z \r\n\r\n", Kind::HttpGet, "/ a", &["get", "a"]);
}

#[test]
fn smuggling_shapes_are_malformed() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\ncontent-length: 4\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length:\r\n",
        "Content-Length: 1234567890123456\r\n",
        "Content-Length : 3\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
    ] {
        is_wrong(&post(fields, "abc"), Reason::Malformed);
    }
    is_wrong("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Reason::Malformed);
    // A body where some servers expect none.
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        for fields in ["Content-Length: 1", "Transfer-Encoding: chunked"] {
            is_wrong(&format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"), Reason::Malformed);
        }
        let text = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert!(matches!(&client(&text)[..], [Got::Request(..)]));
    }
}

#[test]
fn requests_stand_behind_each_other() {
    let sets = || request(Kind::HttpSet, "/a hub", &["set", "hub", "a"]);
    let gets = || request(Kind::HttpGet, "/b hub", &["get", "hub", "b"]);
    for text in [
        post("", ""),
        post("Content-Length: 0\r\n", ""),
        post("Content-Length: 29\r\n", "GET /c HTTP/1.1\r\nHost: x\r\n\r\n"),
        post("TRANSFER-encoding: Chunked \r\n", "0\r\n\r\n"),
        post(
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0000A;ext=\"v\"\r\n0123456789\r\n0;x\r\nTrailer: x\r\n\r\n",
        ),
    ] {
        let text = text.replace("29", &"GET /c HTTP/1.1\r\nHost: x\r\n\r\n".len().to_string());
        assert_eq!(client(&(text.clone() + &get("/b"))), [sets(), gets()], "{text:?}");
        assert_eq!(client(&(get("/b") + &text + &text)), [gets(), sets(), sets()], "{text:?}");
    }
}

#[test]
fn chunks_are_strict() {
    for body in [
        "\r\n",
        ";x\r\n",
        "g\r\n",
        " 1\r\n",
        "1 \r\n",
        "0x1\r\n",
        "1\n",
        "1\r\r",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\r\r",
        "123456789\r\n",
        "1;\0\r\n",
        "1;a\n",
        "0\r\n\n",
        "0\r\nHost: b\r\n",
        "0\r\nContent-Length: 1\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n a: b\r\n",
        "0\r\na : b\r\n",
    ] {
        is_wrong(&post("Transfer-Encoding: chunked\r\n", body), Reason::Malformed);
    }
}

fn upgrade(fields: &str) -> String {
    format!("GET /ws HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\n{fields}\r\n")
}

#[test]
fn a_websocket_begins_when_both_agree() {
    let asked = || {
        let mut http = Http::NEW;
        let got = feed(&mut http, &[upgrade("Upgrade: WebSocket\r\n").as_bytes()], Sender::Client, true);
        let wanted =
            [request(Kind::HttpGet, "/ws hub", &["get", "hub", "ws"]), Got::Becomes(Protocol::Websocket)];
        assert_eq!(got, wanted);
        assert!(http.has_asked());
        http
    };
    // A client that goes on without the answer.
    let next = get("/b");
    assert_eq!(feed(&mut asked(), &[next.as_bytes()], Sender::Client, true), [Got::Wrong(Reason::Malformed)]);
    let mut agreed = asked();
    agreed.upgrade();
    assert_eq!(feed(&mut agreed, &[next.as_bytes()], Sender::Client, true), []);
    // The answer.
    let answer = &b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81"[..];
    let mut http = Http::NEW;
    assert_eq!(feed(&mut http, &[answer], Sender::Server, true), [Got::Wrong(Reason::ProtoChanged)]);
    let mut http = Http::NEW;
    http.expect_upgrade();
    assert_eq!(feed(&mut http, &[answer], Sender::Server, true), [Got::Becomes(Protocol::Websocket)]);
    assert!(http.has_agreed());
    let mut http = Http::NEW;
    http.expect_upgrade();
    assert_eq!(feed(&mut http, &[b"HTTP/1.1 400 No\r\n\r\n"], Sender::Server, true), []);
    assert!(!http.has_agreed());
    // To agree with what was not asked for changes nothing.
    let mut http = Http::NEW;
    http.upgrade();
    assert_eq!(http, Http::NEW);
}

#[test]
fn other_upgrades_leave_the_protocol() {
    for fields in [
        "Upgrade: h2c\r\n",
        "Upgrade: TLS/1.0\r\n",
        "Upgrade: websocket, h2c\r\n",
        "Upgrade: web socket\r\n",
        "Upgrade:\r\n",
        "HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        is_wrong(&upgrade(fields), Reason::ProtoChanged);
    }
    is_wrong(&(get("/") + &upgrade("Upgrade: websocket\r\n")), Reason::ProtoChanged);
    is_wrong(&upgrade("Upgrade: websocket\r\nContent-Length: 5\r\n"), Reason::Malformed);
    is_wrong(&upgrade("Upgrade: websocket\r\nUpgrade: websocket\r\n"), Reason::Malformed);
    is_wrong("GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n", Reason::Malformed);
    is_wrong("HEAD / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", Reason::Malformed);
    is_wrong(&post("Upgrade: websocket\r\n", ""), Reason::Malformed);
}

#[test]
fn the_server_begins_with_a_status_line() {
    for text in
        ["HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 403 No", "HTTP/1.0 404 Not Found\r\n", "HTTP/1.1 204\r\n\r\n\0"]
    {
        assert_eq!(server(text), [], "{text:?}");
    }
    for status in [401, 403] {
        assert_eq!(server(&format!("HTTP/1.1 {status} No\r\n")), [Got::Note(Note::LoginFailed)]);
    }
    for text in
        ["ICY 200 OK", "SSH-2.0", "HTTP/2 200", "HTTP/1.2 2", "HTTP/1.1\r", "\x15\x03", "HTTP/1.1 101 Go"]
    {
        assert_eq!(server(text), [Got::Wrong(Reason::ProtoChanged)], "{text:?}");
    }
    assert_eq!(server("HTTP/1.1 2x0"), [Got::Wrong(Reason::Malformed)]);
}

fn any_message() -> impl Strategy<Value = String> {
    let path = "(/[a-z%!;.+]{0,4}){0,4}";
    prop_oneof![
        "(/[a-z]{1,8}){1,4}(\\?[a-z/.]{0,9})?".prop_map(|target| get(&target)),
        path.prop_map(|target| get(&target)),
        "[ -~]{0,60}".prop_map(|body| post(&format!("Content-Length: {}\r\n", body.len()), &body)),
        proptest::collection::vec("[ -~]{1,20}", 0..4).prop_map(|chunks| {
            let chunk = |data: &String| format!("{:x};e\r\n{data}\r\n", data.len());
            let chunks = chunks.iter().map(chunk).collect::<Vec<_>>().concat();
            post("Transfer-Encoding: chunked\r\n", &(chunks + "0\r\nx: y\r\n\r\n"))
        }),
        Just(upgrade("Upgrade: websocket\r\n")),
        "[A-Z]{1,8} [ -~]{0,30}\r\n".prop_map(String::from),
    ]
}

proptest! {
    #[test]
    fn cuts_and_skips_change_nothing(
        messages in proptest::collection::vec(any_message(), 1..6),
        cuts in proptest::collection::vec(1_usize..40, 1..20),
        skips: bool,
        server: bool,
    ) {
        let sender = if server { Sender::Server } else { Sender::Client };
        let text = messages.concat().into_bytes();
        let mut pieces = vec![];
        let mut rest = &text[..];
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let (mut whole, mut cut) = (Http::NEW, Http::NEW);
        prop_assert_eq!(feed(&mut whole, &[&text], sender, true), feed(&mut cut, &pieces, sender, skips));
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn no_bytes_make_it_panic(head in any_message(), bytes in proptest::collection::vec(any::<u8>(), 0..600), server: bool) {
        let sender = if server { Sender::Server } else { Sender::Client };
        feed(&mut { Http::NEW }, &[&bytes], sender, true);
        feed(&mut { Http::NEW }, &[head.as_bytes(), &bytes], Sender::Client, true);
    }
}
