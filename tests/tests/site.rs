//! The site itself, without a firewall: if these fail, no other end-to-end test says anything.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use lab::{
    Device, Site, Topology,
    event::What,
    expect::{Need, can_run},
    net, process,
    scenario::Scenario,
};

const SOON: Duration = Duration::from_secs(10);

fn a_message_passes(topology: Topology) -> Result<()> {
    if !can_run(&[Need::Root]) {
        return Ok(());
    }
    let site = Site::temporary(&format!("site-{topology}"), topology)?;
    for device in Device::ALL {
        site.join(device)?;
    }
    site.start_devices()?;
    let mut lock = site.events("lock")?;
    let hub = site.address(Device::Hub).to_string();
    net::run(site.namespace(Device::Washer).command("mosquitto_pub").args(["-h", &hub]).args([
        "-t",
        "lock/front/set",
        "-m",
        "open",
    ]))?;
    lock.wait_for(What::Opened, SOON)?;
    site.events("energy")?.wait_for(What::Reached, SOON)?;

    // The same broker over IPv6.
    let hub = site.address_v6(Device::Hub).to_string();
    net::run(site.namespace(Device::Washer).command("mosquitto_pub").args(["-h", &hub]).args([
        "-t",
        "lock/front/set",
        "-m",
        "close",
    ]))?;
    lock.wait_for(What::Closed, SOON)?;
    // The way out.
    net::run(site.namespace(Device::Lock).command("ping").args([
        "-c1",
        "-W5",
        &lab::site::INTERNET.to_string(),
    ]))?;
    site.down()
}

#[test]
fn a_message_passes_routed() -> Result<()> {
    a_message_passes(Topology::Routed)
}

#[test]
fn a_message_passes_masqueraded() -> Result<()> {
    a_message_passes(Topology::Masqueraded)
}

#[test]
fn a_message_passes_bridged() -> Result<()> {
    a_message_passes(Topology::Bridged)
}

#[test]
fn without_a_firewall_the_washing_machine_opens_the_door_and_the_new_battery_is_read() -> Result<()> {
    if !can_run(&[Need::Root]) {
        return Ok(());
    }
    for scenario in Scenario::ALL {
        let site = Site::temporary("site-open", Topology::Routed)?;
        ensure!(scenario.play_without_firewall(&site)?, "{} did not happen", scenario.name());
    }
    Ok(())
}

#[test]
fn what_a_crash_left_behind_is_removed_and_nothing_else() -> Result<()> {
    if !can_run(&[Need::Root]) {
        return Ok(());
    }
    let site = Site::up("site-crash", Topology::Routed)?;
    site.join(Device::Hub)?;
    site.join(Device::Lock)?;
    site.start_lock()?;
    let processes = process::recorded(site.folder())?;
    let (_, dead) = processes.first().expect("a site starts processes");
    dead.kill()?;
    // A process that has got the number of a dead one in the meantime would have started at another time.
    let bystander = Command::new("sleep").arg("60").spawn()?;
    let record = format!("{} 1 mosquitto\n", bystander.id());
    std::fs::write(
        site.folder().join("processes"),
        [std::fs::read_to_string(site.folder().join("processes"))?, record].concat(),
    )?;
    let folder = site.folder().to_owned();
    drop(site);

    Site::remove("site-crash")?;
    ensure!(!folder.exists(), "files are left");
    ensure!(processes.iter().all(|(_, process)| !process.is_alive()), "a process is left");
    ensure!(!net::Namespace::named("site-crash-fw").path().exists(), "a namespace is left");
    let mut bystander = bystander;
    ensure!(bystander.try_wait()?.is_none(), "a process that was not the site's was ended");
    bystander.kill()?;
    bystander.wait()?;
    Ok(())
}
