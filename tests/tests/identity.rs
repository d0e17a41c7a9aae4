//! A device that pretends to be another one gains nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    mqtt::{RawClient, Witness, publish},
    net,
    process::wait_until,
    scenario::Stage,
};

const CLIENT: &str = Device::Washer.host_name();

struct Impostor<'a> {
    site: &'a Site,
    stage: Stage<'a>,
    witness: Witness,
}

impl<'a> Impostor<'a> {
    async fn at(site: &'a Site) -> Result<Self> {
        let stage = Stage::learned(site, Settings::default()).await?;
        stage.stop_washer()?;
        let witness = Witness::listen(site)?;
        Ok(Self { site, stage, witness })
    }

    /// The same client as itself, which shows that the trials below fail for what they pretend and nothing else.
    fn is_served_as_itself(&self) -> Result<()> {
        self.try_to_publish(CLIENT, "washer/status", "as itself")?;
        self.witness.wait_for("washer/status", "as itself")
    }

    /// Tries to publish from the washing machine's place with a real client, and fails if the broker gets it.
    fn gains_nothing(&mut self, client_id: &str, topic: &str, payload: &str) -> Result<()> {
        self.try_to_publish(client_id, topic, payload)?;
        ensure!(
            self.witness.never_saw(topic, payload)?,
            "{topic} {payload} passed; the firewall's log:\n{}",
            self.stage.firewall.log()
        );
        Ok(())
    }

    /// Whether the client notices does not matter; what the broker got does.
    fn try_to_publish(&self, client_id: &str, topic: &str, payload: &str) -> Result<()> {
        let hub = self.site.address(Device::Hub).to_string();
        self.site
            .namespace(Device::Washer)
            .command("timeout")
            .args(["2", "mosquitto_pub", "-h", &hub, "-i", client_id, "-t", topic, "-m", payload])
            .output()?;
        Ok(())
    }

    fn washer_ip(&self, batch: &str) -> Result<()> {
        self.site.namespace(Device::Washer).ip(batch)
    }
}

async fn impostors_gain_nothing(topology: Topology) -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary(&format!("identity-{topology}"), topology)?;
    let mut impostor = Impostor::at(&site).await?;
    let (own, gateway) = (site.address(Device::Washer), site.gateway(Device::Washer));

    impostor.is_served_as_itself()?;

    // Another client identifier, and with it that of the lock.
    impostor.gains_nothing(Device::Lock.host_name(), "lock/front/state", "by client id")?;
    impostor.gains_nothing("another-client", "washer/status", "by unknown client id")?;

    // Another name, asked for from the real server.
    net::run(
        site.namespace(Device::Washer)
            .command("udhcpc")
            .args(["-i", "eth0", "-q", "-n", "-t", "3", "-T", "1", "-s", "/bin/true"])
            .args(["-x", &format!("hostname:{}", Device::Lock.host_name())]),
    )?;
    impostor.gains_nothing(CLIENT, "lock/front/set", "by name")?;
    impostor.gains_nothing(CLIENT, "lock/front/state", "by name")?;

    // Another address: one of its own choice, then the lock's.
    for (stolen, payload) in
        [([10, 77, 3, 99].into(), "by free address"), (site.address(Device::Lock), "by lock's address")]
    {
        impostor.washer_ip(&format!(
            "address flush dev eth0 scope global\naddress add {stolen}/16 dev eth0\n\
             route replace default via {gateway} dev eth0 onlink\n"
        ))?;
        impostor.gains_nothing(CLIENT, "lock/front/state", payload)?;
        impostor.gains_nothing(Device::Lock.host_name(), "lock/front/state", payload)?;
    }

    // Another hardware address: one that nobody knows, then the lock's.
    for (mac, payload) in
        [("02:ed:9e:00:02:99".to_owned(), "by new MAC"), (Device::Lock.mac(), "by lock's MAC")]
    {
        impostor.washer_ip(&format!(
            "link set eth0 down\nlink set eth0 address {mac}\nlink set eth0 up\naddress flush dev eth0 scope global\n\
             address add {own}/24 dev eth0\nroute replace default via {gateway} dev eth0 onlink\n"
        ))?;
        impostor.gains_nothing(CLIENT, "washer/status", payload)?;
        impostor.gains_nothing(Device::Lock.host_name(), "lock/front/state", payload)?;
    }

    // The real one is still served, also after all that.
    impostor.washer_ip(&format!(
        "link set eth0 down\nlink set eth0 address {}\nlink set eth0 up\naddress flush dev eth0 scope global\n\
         address add {own}/24 dev eth0\nroute replace default via {gateway} dev eth0 onlink\n",
        Device::Washer.mac()
    ))?;
    wait_until(Duration::from_secs(10), "the washing machine to be served again", || {
        Ok(RawClient::open(&site, Device::Washer, CLIENT).is_ok())
    })?;
    let mut client = RawClient::open(&site, Device::Washer, CLIENT)?;
    client.send(&publish("washer/status", b"itself"))?;
    impostor.witness.wait_for("washer/status", "itself")
}

#[tokio::test]
async fn impostors_gain_nothing_routed() -> Result<()> {
    impostors_gain_nothing(Topology::Routed).await
}

#[tokio::test]
async fn impostors_gain_nothing_bridged() -> Result<()> {
    impostors_gain_nothing(Topology::Bridged).await
}
