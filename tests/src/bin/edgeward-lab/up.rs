//! `lab up`: the site, left running.

use anyhow::Result;
use lab::{
    Device, Firewall, Site, Topology,
    firewall::{Attach, Settings},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Put the firewall in between, before the devices join
    #[arg(long)]
    firewall: bool,
    /// How the firewall attaches: auto, tc, xdp or xdp-generic
    #[arg(long, default_value_t, requires = "firewall")]
    attach: Attach,
}

pub(crate) fn main(args: &Args, name: &str, topology: Topology) -> Result<()> {
    let site = Site::up(name, topology)?;
    if args.firewall {
        let firewall = Firewall::start(&site, Settings { attach: args.attach, ..Settings::default() })?;
        println!("the firewall answers: edgeward --runtime-dir {} status", firewall.runtime().display());
    }
    for device in Device::ALL {
        site.join(device)?;
    }
    site.start_devices()?;
    println!("site {name} is up ({topology}); files in {}", site.folder().display());
    for device in Device::ALL {
        println!(
            "  {:<8} {:<16} {:<20} nsenter --net={}",
            device.name(),
            site.address(device),
            device.mac(),
            site.namespace(device).path().display(),
        );
    }
    println!("  firewall {:<37} nsenter --net={}", "", site.firewall_namespace().path().display());
    Ok(())
}
