//! Bans, with a real broker and real clients: refused logins ban the pair that failed, and nobody else.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Answer, Decided, EdgeSpec, Lifetime, Request},
    view,
};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    mqtt::{RawClient, connect},
    process::{Process, wait_until},
    scenario::Stage,
};

const PATIENCE: Duration = Duration::from_secs(40);
const MOMENT: Duration = Duration::from_secs(5);
const SENSOR: &str = Device::Washer.host_name();
/// A second broker at the hub, which wants passwords.
const GUARDED: u16 = 1884;
/// Logins that are refused: more than raise the alarm.
const ATTEMPTS: usize = 12;

/// Tries to log in at the guarded broker, as nobody it knows; what CONNACK says, if one came.
fn log_in(site: &Site, device: Device, client: &str) -> Result<Option<u8>> {
    let to = SocketAddr::from((site.address(Device::Hub), GUARDED));
    let attempt = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect_timeout(&to, MOMENT)?;
        stream.set_read_timeout(Some(MOMENT))?;
        stream.write_all(&connect(client))?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        Ok(answer[3])
    };
    site.namespace(device).enter(|| Ok(attempt().ok()))
}

async fn allow(stage: &mut Stage<'_>, from: Device, object: &str) -> Result<()> {
    let spec = EdgeSpec {
        from: from.mac(),
        to: Device::Hub.mac(),
        plane: "packet".into(),
        verb: "connect".into(),
        object: object.into(),
        action: dashboard::rpc::Action::Reset,
        no_retain: false,
        max_qos: None,
    };
    let request = Request::EdgeDecide { spec, answer: Answer::Allow, lifetime: Lifetime::Always };
    let _: Decided = stage.client.call(request).await?;
    Ok(())
}

/// Waits until the washer is said to guess passwords.
async fn wait_for_alarm(stage: &mut Stage<'_>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let event = tokio::time::timeout_at(deadline.into(), stage.watch.next_event());
        if let view::Event::Alarm(view::Alarm { code, principal, .. }) = event.await.context("no alarm")??
            && code == "bruteforce"
        {
            let name = principal.map(|end| end.name);
            ensure!(name.as_deref() == Some(SENSOR), "{name:?}");
            return Ok(());
        }
    }
}

#[tokio::test]
async fn refused_logins_raise_their_alarm_and_ban_the_pair_only() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("bruteforce", Topology::Routed)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    let hub = site.namespace(Device::Hub);
    let config = site.folder().join("guarded.conf");
    fs::write(
        &config,
        format!("listener {GUARDED}\nallow_anonymous false\npersistence false\nlog_dest stderr\n"),
    )?;
    let _broker = Process::start(hub.command("mosquitto").arg("-c").arg(&config), "guarded", site.folder())?;
    for (device, clients) in [(Device::Washer, &["thief", "other"][..]), (Device::Lock, &["lock"])] {
        allow(&mut stage, device, &format!("tcp/{GUARDED}")).await?;
        allow(&mut stage, device, &format!("tcp/{GUARDED} mqtt")).await?;
        for client in clients {
            allow(&mut stage, device, &format!("mqtt:{GUARDED}:client:{client}")).await?;
        }
    }
    wait_until(PATIENCE, "the guarded broker to refuse", || {
        Ok(log_in(&site, Device::Lock, "lock")? == Some(5))
    })?;
    for _ in 0..ATTEMPTS {
        ensure!(log_in(&site, Device::Washer, "thief")? == Some(5), "the broker refuses each");
    }
    wait_for_alarm(&mut stage).await?;
    let bans: Vec<view::Ban> = stage.client.call(Request::Bans).await?;
    ensure!(bans.iter().all(|ban| ban.principal.name == SENSOR && ban.why == "bruteforce"), "{bans:?}");
    ensure!(bans.iter().map(|ban| ban.client.as_deref()).eq([Some("thief")]), "{bans:?}");
    ensure!(log_in(&site, Device::Washer, "thief")?.is_none(), "a ban stops it");
    ensure!(
        log_in(&site, Device::Washer, "other")? == Some(5),
        "another client of the device reaches the broker"
    );
    ensure!(log_in(&site, Device::Lock, "lock")? == Some(5), "another device's login reaches the broker");
    RawClient::open(&site, Device::Washer, SENSOR).context("the other broker")?;

    stage.firewall.stop()?;
    stage.firewall.restart()?;
    ensure!(log_in(&site, Device::Washer, "thief")?.is_none(), "a ban is kept over a restart");
    let mut client = stage.firewall.client().await?;
    for ban in bans {
        let _: Vec<view::Ban> = client.call(Request::BanRemove { ban: ban.id }).await?;
    }
    ensure!(log_in(&site, Device::Washer, "thief")? == Some(5), "a ban can be lifted");
    Ok(())
}
