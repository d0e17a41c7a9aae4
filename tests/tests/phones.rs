//! Who may reach the page, how a phone is let in, and what it is told.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Request, Visitor},
    view,
};
use edgeward::{authority::Authority, mdns, net::multicast};
use graph::Now;
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::wait_for_model,
    household::{Household, NO_CONNECTION, NOT_TRUSTED, PATIENCE, PORT},
    mqtt::Witness,
    process::{Clock, wait_until},
    service::BROKER_PORT,
};

#[tokio::test]
async fn a_phone_pairs_over_tls_and_nothing_else_reaches_the_page() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("page-tls", Topology::Routed)?;
    let mut household = Household::at(&site).await?;
    let phone = Device::Battery;
    household.stage.newcomers_ask().await;
    site.join(phone)?;
    for device in [phone, Device::Washer] {
        let visit = household.visit(device, "/", &[])?;
        ensure!(NO_CONNECTION.contains(&visit.exit), "nobody pairs, and the {} got {visit:?}", device.name());
    }

    // While a code is open, a phone sees the pairing page and nothing else; the washing machine does not.
    let code = household.code().await?;
    household.wait_for(phone, 200, "the phone to see the pairing page")?;
    for path in ["/api/v1/status", "/api/v1/edges", "/api/v1/events", "/openapi.json"] {
        let visit = household.visit(phone, path, &[])?;
        ensure!(visit.status == 401 && visit.body.contains("unauthenticated"), "{path}: {visit:?}");
    }
    let washer = household.visit(Device::Washer, "/", &[])?;
    ensure!(NO_CONNECTION.contains(&washer.exit), "the washing machine got {washer:?}");

    // The certificate is the one whose words the box shows, and no other authority vouches for it.
    let authority: view::Authority =
        serde_json::from_str(&household.visit(phone, "/api/v1/authority", &[])?.body)?;
    ensure!(code.authority.as_ref() == Some(&authority), "the box shows {:?}", code.authority);
    let other = authority_of_another_box(&site)?;
    let other = household.visit(phone, "/", &["--cacert", &other])?;
    ensure!(other.exit == NOT_TRUSTED && other.is_outside(), "another authority was taken: {other:?}");

    // The phone pairs, and stays in when the code is used up.
    let paired = household.pair(phone, &code.code, "Anna's phone")?;
    let cookie = paired.cookie.clone().with_context(|| format!("no session was given out: {paired:?}"))?;
    ensure!(cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
    let session = format!("cookie: {}", cookie.split(';').next().unwrap_or_default());
    let me = household.visit(phone, "/api/v1/me", &["--header", &session])?;
    ensure!(me.status == 200 && me.body.contains("Anna"), "{me:?}");
    let again = household.pair(phone, &code.code, "Anna's phone")?;
    ensure!(again.status == 410, "a code is for one: {again:?}");

    // Even where someone lets the washing machine pass the firewall, the page does not speak with it.
    household.allow_washer().await?;
    let washer = household.visit(Device::Washer, "/", &[])?;
    ensure!(
        washer.is_outside() && !NO_CONNECTION.contains(&washer.exit),
        "the washing machine got {washer:?}"
    );
    household.code().await?;
    let washer = household.visit(Device::Washer, "/", &[])?;
    ensure!(washer.is_outside(), "while a code is open the washing machine got {washer:?}");

    household.loopback_is_closed(&session)?;

    // Logged out, the phone is outside again, also to the firewall.
    let me: Visitor = serde_json::from_str(&me.body)?;
    let _: serde_json::Value = household.stage.client.call(Request::ClientEnd { client: me.id }).await?;
    let left = household.visit(phone, "/api/v1/me", &["--header", &session])?;
    ensure!(NO_CONNECTION.contains(&left.exit), "logged out, the phone got {left:?}");
    Ok(())
}

fn authority_of_another_box(site: &Site) -> Result<String> {
    let folder = site.folder().join("another");
    fs::create_dir_all(&folder)?;
    let certificate = Authority::open(&folder)?.issue([], Now::default())?;
    let path = folder.join("authority.pem");
    fs::write(&path, certificate.issuer)?;
    Ok(path.display().to_string())
}

/// Later than the end of every certificate that is made now.
const LATER: Clock = Clock::Ahead(500);

#[tokio::test]
async fn the_box_renews_its_certificate_and_its_clock_may_be_wrong() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon, Need::WrongClock]) {
        return Ok(());
    }
    let site = Site::temporary("page-expired", Topology::Routed)?;
    let mut household = Household::at(&site).await?;
    let now = Clock::Ahead(0);
    ensure!(household.visit_at(&now)?.status == 200, "today it is trusted");
    let expired = household.visit_at(&LATER)?;
    ensure!(expired.exit == NOT_TRUSTED && expired.is_outside(), "when it has expired: {expired:?}");

    household.stage.firewall.stop()?;
    household.stage.firewall.restart_at(&LATER)?;
    wait_until(RENEWAL, "the box to renew its certificate", || Ok(household.visit_at(&LATER)?.status == 200))
        .with_context(|| household.why())?;

    household.stage.firewall.stop()?;
    household.stage.firewall.restart_at(&Clock::NeverSet)?;
    wait_until(RENEWAL, "a box that thinks it is 1970 to be trusted today", || {
        Ok(household.visit_at(&now)?.status == 200 && household.visit_at(&LATER)?.exit == NOT_TRUSTED)
    })
    .with_context(|| household.why())
}

/// How long the page's process may take to hear of a new certificate.
const RENEWAL: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_box_without_ssh_lets_phones_in_by_its_display_or_a_note() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("page-display", Topology::Routed)?;
    let mut household = Household::at(&site).await?;
    let (display, note) = (site.folder().join("display"), site.folder().join("edgeward-pair"));
    fs::write(&display, "")?;
    let phone = Device::Battery;
    household.stage.newcomers_ask().await;
    site.join(phone)?;
    let pairing = format!("\n[pairing]\ndisplay = {display:?}\nfolders = [{:?}]\n", site.folder());
    household.stage.firewall.configure(&pairing)?;
    let shown = || -> Result<String> {
        let all = fs::read_to_string(&display)?;
        Ok(all.rsplit("\x1b[H\x1b[2J").next().unwrap_or_default().to_owned())
    };

    // Nobody is paired, so there is a code on the display, and then no more.
    household.stage.firewall.stop()?;
    household.stage.firewall.restart()?;
    wait_until(PATIENCE, "a code on the display", || Ok(shown()?.contains("Scan this")))
        .with_context(|| household.why())?;
    let sheet = shown()?;
    let typed = sheet.lines().map(str::trim).find(|line| line.len() == 9 && line.as_bytes()[4] == b'-');
    let typed = typed.with_context(|| format!("no code to type in {sheet:?}"))?;
    household.wait_for(phone, 200, "the phone to see the pairing page")?;
    let paired = household.pair(phone, typed, "Anna")?;
    ensure!(paired.cookie.is_some(), "with the code of the display: {paired:?}");
    wait_until(PATIENCE, "the display to forget the code", || Ok(!shown()?.contains("Scan this")))?;

    // Whoever can write to the boot partition lets one phone in at the next start.
    fs::write(&note, "sesame-open-7\n")?;
    household.stage.firewall.stop()?;
    household.stage.firewall.restart()?;
    ensure!(!note.exists(), "the note was not taken");
    ensure!(!shown()?.contains("Scan this"), "somebody is paired, and a code is shown");
    let guess = household.pair(phone, "sesame-open-8", "Eve")?;
    ensure!(guess.cookie.is_none() && guess.status == 403, "with another code: {guess:?}");
    let paired = household.pair(phone, "sesame-open-7", "Ben")?;
    ensure!(paired.cookie.is_some(), "with the code of the note: {paired:?}");
    let again = household.pair(phone, "sesame-open-7", "Eve")?;
    ensure!(again.cookie.is_none(), "a note is for one: {again:?}");
    Ok(())
}

#[tokio::test]
async fn a_phone_finds_the_box_by_its_name() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("page-name", Topology::Routed)?;
    let mut household = Household::at(&site).await?;
    let phone = Device::Battery;
    site.join(phone)?;
    let learn = Request::LearnStart { principal: Some(phone.mac()), seconds: Some(600) };
    wait_for_model(&mut household.stage.client, PATIENCE, "the phone to be seen", |principals, _| {
        principals.iter().any(|principal| principal.mac.as_deref() == Some(&phone.mac()))
    })
    .await?;
    let _: serde_json::Value = household.stage.client.call(learn).await?;
    let (own, there) = (site.address(phone), site.gateway(phone));
    site.namespace(phone)
        .enter(|| {
            let socket = multicast::join(mdns::GROUP, mdns::PORT, own)?;
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            wait_until(PATIENCE, "the box to say where it is", || {
                socket.send_to(QUESTION, (mdns::GROUP, mdns::PORT))?;
                let mut answer = [0; 512];
                let told = socket.recv(&mut answer);
                Ok(told.is_ok_and(|length| answer_is(&answer[..length], there)))
            })
        })
        .with_context(|| household.why())
}

/// Asks for the address of edgeward.local.
const QUESTION: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x08edgeward\x05local\0\0\x01\0\x01";

/// Whether a message is an answer that ends, but for what other types there are, in this address.
fn answer_is(message: &[u8], address: std::net::Ipv4Addr) -> bool {
    let is_answer = message.get(2).is_some_and(|flags| flags & 0x80 != 0);
    is_answer && message.windows(4).any(|four| four == address.octets())
}

#[tokio::test]
async fn home_assistant_sees_what_waits_and_keeps_it_blocked() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("page-home", Topology::Routed)?;
    let mut household = Household::at(&site).await?;
    let witness = Witness::listen(&site)?;
    let hub = site.address(Device::Hub);
    household.show_at(&serde_json::json!({ "host": hub, "port": BROKER_PORT })).await?;
    witness.wait_for("edgeward/available", "online").with_context(|| household.why())?;

    // The way to the broker is the box's own, and the model says so.
    let edges: Vec<view::Edge> = household.edges("allowed").await?;
    let ours =
        |object: &str| edges.iter().any(|edge| edge.from.name == "Edgeward" && edge.object.ends_with(object));
    ensure!(ours("edgeward/#") && ours(&format!("tcp/{BROKER_PORT}")), "{edges:?}");

    household.visit(Device::Washer, "/", &[])?;
    let asked = |edge: &view::Edge| edge.object == format!("tcp/{PORT}");
    let deadline = Instant::now() + PATIENCE;
    let question = loop {
        if let Some(edge) = household.edges("pending").await?.into_iter().find(asked) {
            break edge.id;
        }
        ensure!(Instant::now() < deadline, "nobody was asked about the washing machine");
    };
    let button = "homeassistant/button/edgeward/keep_blocked/config";
    let presses = format!("\"payload_press\":\"{question}\"");
    wait_until(PATIENCE, "the button to be about the question", || {
        let mut retained = site.namespace(Device::Hub).command("mosquitto_sub");
        let shown = retained.args(["-h", "127.0.0.1", "-t", button, "-C", "1", "-W", "2"]).output()?;
        Ok(String::from_utf8_lossy(&shown.stdout).contains(&presses))
    })
    .with_context(|| household.why())?;

    let mut press = site.namespace(Device::Hub).command("mosquitto_pub");
    lab::net::run(press.args([
        "-h",
        "127.0.0.1",
        "-t",
        "edgeward/keep_blocked",
        "-m",
        &question.to_string(),
    ]))?;
    wait_for_model(&mut household.stage.client, PATIENCE, "the press to be carried out", |_, edges| {
        edges.iter().any(|edge| edge.id == question && edge.by.as_deref() == Some("Home Assistant"))
    })
    .await?;
    household.show_at(&serde_json::Value::Null).await?;
    witness.wait_for("edgeward/available", "offline")
}
