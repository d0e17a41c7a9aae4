//! `lab up`: the site, left running.

use anyhow::Result;
use lab::{Device, Site, Topology};

pub(crate) fn main(name: &str, topology: Topology) -> Result<()> {
    let site = Site::up(name, topology)?;
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
