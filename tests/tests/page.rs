//! The page: in a real browser, against the demonstration with both questions open; and who may reach it at all.

use std::{
    io::{BufRead, BufReader, Lines, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{
        Action, Answer, Client, Decided, EdgeSpec, Lifetime, PairingCode, PrincipalPatch, Request, Session,
        Visitor,
    },
    view::{self, Role},
};
use edgeward::{authority::Authority, mdns, net::multicast};
use graph::Now;
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::{Settings, wait_for_model},
    mqtt::Witness,
    net::{self, Namespace},
    process::{Process, binary, wait_until},
    scenario::Stage,
    service::BROKER_PORT,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The running demonstration, which is taken down at the end.
struct Demonstration {
    child: std::process::Child,
    /// The page's address with its code.
    url: String,
    output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Demonstration {
    /// Starts it and waits until it serves the page; nothing surprising has happened there yet.
    fn start(site: &str) -> Result<Self> {
        let mut child = Command::new(binary("edgeward-lab")?)
            .args(["--site", site, "demo", "--port", "0", "--by-line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the demonstration")?;
        let output = child.stdout.take().context("a piped output is there")?;
        let mut demonstration = Self { child, url: String::new(), output: None };
        let mut output = BufReader::new(output).lines();
        while let Some(line) = output.next() {
            if let Some(url) = line?.strip_prefix("The page: ") {
                url.clone_into(&mut demonstration.url);
                demonstration.output = Some(output);
                return Ok(demonstration);
            }
        }
        anyhow::bail!("the demonstration ended before it served the page")
    }

    /// Carries out what the browser's script asks for ("please WHAT", a line each), and tells it what the demonstration
    /// says. Returns what else the script has said.
    fn serve(&mut self, script: &mut Child) -> Result<String> {
        let (asked, mut told) =
            script.stdout.take().zip(script.stdin.take()).context("the script is piped")?;
        let mut surprise = self.child.stdin.as_ref().context("the demonstration is piped")?;
        let output = self.output.take().context("it is served once")?;
        // It ends with the demonstration's output, or with a script that does not listen any more.
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                if writeln!(told, "{line}").is_err() {
                    break;
                }
            }
        });
        let mut said = String::new();
        for line in BufReader::new(asked).lines() {
            let line = line?;
            match line.strip_prefix("please ") {
                Some("surprise") => writeln!(surprise)?,
                Some(what) => anyhow::bail!("nobody here can {what}"),
                None => said.extend([&line, "\n"]),
            }
        }
        Ok(said)
    }
}

impl Drop for Demonstration {
    fn drop(&mut self) {
        // Interrupted, it takes its site down.
        let ended =
            kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).map_err(anyhow::Error::from);
        if let Err(error) = ended.and_then(|()| Ok(self.child.wait()?)) {
            eprintln!("the demonstration could not be ended: {error:#}");
        }
    }
}

/// What a page has to show besides: someone who is banned, and a device whose kind is guessed.
async fn furnish(client: &mut Client) -> Result<()> {
    let nobody = PrincipalPatch { kind: Some(String::new()), ..PrincipalPatch::default() };
    let hub = Request::PrincipalSet { principal: Device::Hub.mac(), patch: nobody };
    let hub: view::Principal = client.call(hub).await?;
    let guess = hub.guess.context("the hub says enough to be guessed")?;
    ensure!(guess.kind == "hub" && !guess.clues.is_empty(), "{guess:?}");
    let ban = Request::BanAdd {
        principal: Device::Washer.mac(),
        client: Some("intruder".to_owned()),
        seconds: 86_400,
        why: "bruteforce".to_owned(),
    };
    let _: Vec<view::Ban> = client.call(ban).await?;
    Ok(())
}

#[tokio::test]
async fn the_page_works_in_a_real_browser() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon, Need::Browser]) {
        return Ok(());
    }
    let mut demonstration = Demonstration::start("page")?;
    furnish(&mut Client::connect(&lab::firewall::runtime_of("page-demo")?).await?).await?;
    let shots = std::env::temp_dir().join("edgeward-page-shots");
    let mut script = Command::new("node")
        .args(["e2e/run.mjs", &demonstration.url])
        .arg(&shots)
        .arg("--with-demonstration")
        .current_dir(web_folder()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start node")?;
    let said = demonstration.serve(&mut script);
    let status = script.wait()?;
    ensure!(status.success(), "{}\nscreenshots: {}", said?, shots.display());
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(10);
const PORT: u16 = 8443;
/// Exit codes of curl: nobody answered, or refused; the certificate is not trusted.
const NO_CONNECTION: [i32; 2] = [7, 28];
const NOT_TRUSTED: i32 = 60;

/// A site that enforces, with its page on the LAN. The phone is plugged in where else the battery is.
struct Household<'a> {
    site: &'a Site,
    stage: Stage<'a>,
    web: Process,
    authority: PathBuf,
}

/// What came back from the page.
#[derive(Debug)]
struct Visit {
    /// Exit code of the client.
    exit: i32,
    status: u16,
    body: String,
    cookie: Option<String>,
}

impl Visit {
    fn is_outside(&self) -> bool {
        self.status == 0
    }
}

impl<'a> Household<'a> {
    async fn at(site: &'a Site) -> Result<Self> {
        let mut stage = Stage::learned(site, Settings::default()).await?;
        let washer = PrincipalPatch { kind: Some("washing_machine".to_owned()), ..PrincipalPatch::default() };
        let washer = Request::PrincipalSet { principal: Device::Washer.mac(), patch: washer };
        let _: view::Principal = stage.client.call(washer).await?;
        let program = binary("edgeward")?;
        let mut web = site.firewall_namespace().command(program.to_str().context("paths are text here")?);
        web.args(["web", "--listen", "127.0.0.1:8480", "--runtime-dir"]).arg(stage.firewall.runtime());
        for device in [Device::Battery, Device::Washer] {
            web.args(["--listen", &format!("{}:{PORT}", site.gateway(device))]);
        }
        let web = Process::start(web.env("RUST_LOG", "debug"), "web", site.folder())?;
        let authority = site.folder().join("authority.pem");
        let household = Self { site, stage, web, authority };
        household.learn_authority()?;
        Ok(household)
    }

    /// Fetches the certificate of the page's issuer on the box, as a person would carry it to a phone.
    fn learn_authority(&self) -> Result<()> {
        let here = self.site.gateway(Device::Battery);
        wait_until(PATIENCE, "the page to be served with TLS", || {
            ensure!(self.web.is_alive(), "the page's process has ended");
            let mut fetch = self.site.firewall_namespace().command("curl");
            fetch.args(["--silent", "--fail", "--insecure", "--output"]).arg(&self.authority);
            Ok(fetch.arg(format!("https://{here}:{PORT}/ca.crt")).status()?.success())
        })
    }

    fn authority_of_another_box(&self) -> Result<String> {
        let folder = self.site.folder().join("another");
        std::fs::create_dir_all(&folder)?;
        let certificate = Authority::open(&folder)?.issue([], Now::default())?;
        let path = folder.join("authority.pem");
        std::fs::write(&path, certificate.issuer)?;
        Ok(path.display().to_string())
    }

    async fn code(&mut self) -> Result<PairingCode> {
        Ok(self.stage.client.call(Request::Pair { seconds: 600, role: Role::Owner }).await?)
    }

    /// A real client asks for something, from where the device is plugged in.
    fn visit(&self, device: Device, path: &str, more: &[&str]) -> Result<Visit> {
        let url = format!("https://{}:{PORT}{path}", self.site.gateway(device));
        self.visit_url(&self.site.namespace(device), &url, more)
    }

    fn visit_url(&self, from: &Namespace, url: &str, more: &[&str]) -> Result<Visit> {
        let output = from
            .command("curl")
            .args(["--silent", "--show-error", "--include", "--connect-timeout", "2", "--max-time", "5"])
            .arg("--cacert")
            .arg(&self.authority)
            .args(more)
            .arg(url)
            .output()
            .context("cannot start curl")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or(("", ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        Ok(Visit {
            exit: output.status.code().unwrap_or(-1),
            status,
            body: body.to_owned(),
            cookie: cookie.map(str::to_owned),
        })
    }

    fn wait_for(&self, device: Device, status: u16, what: &str) -> Result<()> {
        wait_until(PATIENCE, what, || Ok(self.visit(device, "/", &[])?.status == status))
    }
}

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
    let other = household.authority_of_another_box()?;
    let other = household.visit(phone, "/", &["--cacert", &other])?;
    ensure!(other.exit == NOT_TRUSTED && other.is_outside(), "another authority was taken: {other:?}");

    // The phone pairs, and stays in when the code is used up.
    let body = serde_json::json!({ "code": code.code, "name": "Anna's phone" }).to_string();
    let json = ["--header", "content-type: application/json", "--data", &body];
    let paired = household.visit(phone, "/api/v1/pair", &json)?;
    let cookie = paired.cookie.clone().with_context(|| format!("no session was given out: {paired:?}"))?;
    ensure!(cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
    let session = format!("cookie: {}", cookie.split(';').next().unwrap_or_default());
    let me = household.visit(phone, "/api/v1/me", &["--header", &session])?;
    ensure!(me.status == 200 && me.body.contains("Anna"), "{me:?}");
    let again = household.visit(phone, "/api/v1/pair", &json)?;
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

#[tokio::test]
async fn a_browser_that_was_given_the_certificate_pairs_over_tls() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon, Need::Browser]) {
        return Ok(());
    }
    let site = Site::temporary("page-browser", Topology::Routed)?;
    let mut household = Household::at(&site).await?;
    let phone = Device::Battery;
    household.stage.newcomers_ask().await;
    site.join(phone)?;
    let code = household.code().await?;
    household.wait_for(phone, 200, "the phone to see the pairing page")?;
    let url = code.url().context("the page is served with TLS")?;
    // The phone reaches the box at the address of its own link.
    let here = url.replace(&code.listening[0].ip().to_string(), &site.gateway(phone).to_string());
    let shots = std::env::temp_dir().join("edgeward-page-shots");
    let mut node = site.namespace(phone).command("node");
    node.arg("e2e/tls.mjs").arg(here).arg(&household.authority).arg(&shots).current_dir(web_folder()?);
    net::run(&mut node).with_context(|| household.why())
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

fn web_folder() -> Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in the checkout")?;
    Ok(checkout.join("dashboard/web"))
}

impl Household<'_> {
    /// Everything that a browser needs, to the firewall.
    async fn allow_washer(&mut self) -> Result<()> {
        for object in [format!("tcp/{PORT}"), format!("tls:{PORT}:+")] {
            let spec = EdgeSpec {
                from: Device::Washer.mac(),
                to: "Edgeward".to_owned(),
                plane: "packet".to_owned(),
                verb: "connect".to_owned(),
                object,
                action: Action::Reset,
                no_retain: false,
                max_qos: None,
            };
            let allow = Request::EdgeDecide { spec, answer: Answer::Allow, lifetime: Lifetime::Always };
            let _: Decided = self.stage.client.call(allow).await?;
        }
        Ok(())
    }

    /// On the box itself nobody gets further than a phone without a session, and a device does not come so far: not even
    /// where the box would take a loopback address from the wire.
    fn loopback_is_closed(&self, session: &str) -> Result<()> {
        let (box_itself, washer) = (self.site.firewall_namespace(), self.site.namespace(Device::Washer));
        let url = "http://127.0.0.1:8480/api/v1/status";
        let visit = self.visit_url(&box_itself, url, &[])?;
        ensure!(visit.status == 401, "on the box, without a session: {visit:?}");
        let visit = self.visit_url(&box_itself, url, &["--header", session])?;
        ensure!(visit.status == 200, "on the box, with a session: {visit:?}");
        let visit =
            self.visit_url(&box_itself, url, &["--header", session, "--header", "host: evil.example"])?;
        ensure!(visit.status == 421, "on the box, under a name that is not its own: {visit:?}");

        for namespace in [&box_itself, &washer] {
            namespace.sysctl(&["net.ipv4.conf.all.route_localnet=1"])?;
        }
        let gateway = self.site.gateway(Device::Washer);
        washer.ip(&format!(
            "address del 127.0.0.1/8 dev lo\nroute add 127.0.0.1/32 via {gateway} dev eth0 src {}\n",
            self.site.address(Device::Washer)
        ))?;
        let visit = self.visit_url(&washer, url, &["--header", session])?;
        ensure!(visit.is_outside(), "over the wire, on loopback: {visit:?}");
        Ok(())
    }
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

impl Household<'_> {
    /// Says to the page where Home Assistant is, with a token, as a program would.
    async fn show_at(&mut self, broker: &serde_json::Value) -> Result<()> {
        let make = Request::TokenMake { name: "Test".to_owned(), role: Role::Owner };
        let token: Session = self.stage.client.call(make).await?;
        let bearer = format!("authorization: Bearer {}", token.token);
        let body = serde_json::json!({ "broker": broker }).to_string();
        let put =
            ["--request", "PUT", "--header", &bearer, "--header", "content-type: application/json", "--data"];
        let url = "http://127.0.0.1:8480/api/v1/home-assistant";
        let answer = self.visit_url(&self.site.firewall_namespace(), url, &[&put[..], &[&body]].concat())?;
        ensure!(answer.status == 200 && !answer.body.contains("password"), "{answer:?}");
        Ok(())
    }

    async fn edges(&mut self, state: &str) -> Result<Vec<view::Edge>> {
        Ok(self.stage.client.call(Request::Edges { state: Some(state.to_owned()), principal: None }).await?)
    }

    /// What the page's process and the daemon have to say.
    fn why(&self) -> String {
        let web = std::fs::read_to_string(self.site.folder().join("web.log")).unwrap_or_default();
        format!("the page's log:\n{web}\nthe firewall's log:\n{}", self.stage.firewall.log())
    }
}
