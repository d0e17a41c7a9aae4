//! The demonstration site: real devices, a real broker and the firewall, each in a network namespace of its own.
//!
//! [`Site::up`] lays the cables: one namespace per device, one for the firewall between them and one for the Internet
//! behind its uplink, in one of three topologies ([`Topology`]). Then the site's services start (mosquitto at the hub,
//! dnsmasq for DHCP and DNS), the firewall is put in between if wanted, devices join with a real DHCP client, and
//! their programs (`edgeward-device`) run. What they do and notice they write as [`event`]s with the monotonic clock,
//! which all namespaces share, so delays between two devices can be taken as differences.
//!
//! [`scenario`] plays the two scenarios of the paper on such a site and measures them. Nothing here simulates the path of
//! data: every answer comes from packets that went through the kernel.
//!
//! Everything that a site starts is written down under `/run/edgeward-lab/NAME` (or
//! `/dev/shm`, where `/run` is on a disk), so that [`Site::down`] removes it even
//! after a crash, by recorded process and namespace, never by program name.

// The site, from the cable up.
pub mod net;
pub mod process;
pub mod service;
pub mod site;

// What lives at the site.
pub mod event;
pub mod firewall;
pub mod household;
pub mod mqtt;

// What attacks it, and what goes wrong there.
pub mod loss;
pub mod raw;
pub mod small;
pub mod tunnel;

// What is shown and measured there.
pub mod expect;
pub mod measure;
pub mod scenario;

pub use firewall::Firewall;
pub use site::{Device, Site, Topology};
