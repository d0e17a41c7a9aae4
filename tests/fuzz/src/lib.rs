//! Properties that hold for every input, one target per parser.
//!
//! A target takes bytes and panics where a property does not hold: a parser never panics, a cut anywhere changes
//! nothing, caps hold, and a slower reading of the same bytes that shares no code says the same. `cargo xtask fuzz` looks
//! for bytes that break one, guided by coverage; the files in `corpus/` are ordinary tests.
//!
//! With the feature `planted` each target has a mistake of the kind that people make. It lies in this crate, not in the
//! product, and shows that the fuzzer would have found it.

// How bytes are handed to a codec.
mod codec;
mod input;
mod machine;

// The targets.
mod capture;
mod coap;
mod datagram;
mod dhcp;
mod dns;
mod essential;
mod filter;
mod frame;
mod http;
mod import;
mod modbus;
mod mqtt;
mod related;
mod ssdp;
mod tls;

/// A parser and what holds for it.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the name of its folder in `corpus/`.
    pub name: &'static str,
    /// Panics if the bytes break a property.
    pub check: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "capture", check: capture::check },
    Target { name: "coap", check: coap::check },
    Target { name: "dhcp", check: dhcp::check },
    Target { name: "dns", check: dns::check },
    Target { name: "dtls", check: datagram::check_dtls },
    Target { name: "essential", check: essential::check },
    Target { name: "filter", check: filter::check },
    Target { name: "frame", check: frame::check },
    Target { name: "http", check: http::check },
    Target { name: "import", check: import::check },
    Target { name: "modbus", check: modbus::check },
    Target { name: "mqtt", check: mqtt::check },
    Target { name: "ntp", check: datagram::check_ntp },
    Target { name: "quic", check: datagram::check_quic },
    Target { name: "rtsp", check: related::check_rtsp },
    Target { name: "ssdp", check: ssdp::check },
    Target { name: "tftp", check: related::check_tftp },
    Target { name: "tls", check: tls::check },
];

/// The target with this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
