//! A site with its page on the LAN, and real clients that ask for it.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Action, Answer, Decided, EdgeSpec, Lifetime, PairingCode, PrincipalPatch, Request, Session},
    view::{self, Role},
};

use crate::{
    Device, Site,
    firewall::Settings,
    net::Namespace,
    process::{Clock, Process, binary, wait_until},
    scenario::Stage,
};

/// How long the site may take for anything that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Where the page is on the LAN.
pub const PORT: u16 = 8443;
/// Exit codes of curl: nobody answered, or refused; the certificate is not trusted.
pub const NO_CONNECTION: [i32; 2] = [7, 28];
pub const NOT_TRUSTED: i32 = 60;

/// A site that enforces, with its page on the LAN. The phone is plugged in where else the battery is.
pub struct Household<'a> {
    pub site: &'a Site,
    pub stage: Stage<'a>,
    pub web: Process,
    pub authority: PathBuf,
}

/// What came back from the page.
#[derive(Debug)]
pub struct Visit {
    /// Exit code of the client.
    pub exit: i32,
    pub status: u16,
    pub body: String,
    pub cookie: Option<String>,
}

impl Visit {
    /// Whether nobody answered.
    pub fn is_outside(&self) -> bool {
        self.status == 0
    }
}

impl<'a> Household<'a> {
    /// Starts the firewall and its page; nobody is paired.
    pub async fn at(site: &'a Site) -> Result<Self> {
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
    pub fn learn_authority(&self) -> Result<()> {
        let here = self.site.gateway(Device::Battery);
        wait_until(PATIENCE, "the page to be served with TLS", || {
            ensure!(self.web.is_alive(), "the page's process has ended");
            let mut fetch = self.site.firewall_namespace().command("curl");
            fetch.args(["--silent", "--fail", "--insecure", "--output"]).arg(&self.authority);
            Ok(fetch.arg(format!("https://{here}:{PORT}/ca.crt")).status()?.success())
        })
    }

    /// A code for an owner.
    pub async fn code(&mut self) -> Result<PairingCode> {
        Ok(self.stage.client.call(Request::Pair { seconds: 600, role: Role::Owner }).await?)
    }

    /// A real client asks for something, from where the device is plugged in.
    pub fn visit(&self, device: Device, path: &str, more: &[&str]) -> Result<Visit> {
        let url = format!("https://{}:{PORT}{path}", self.site.gateway(device));
        self.visit_url(&self.site.namespace(device), &url, more)
    }

    /// The same, from anywhere.
    pub fn visit_url(&self, from: &Namespace, url: &str, more: &[&str]) -> Result<Visit> {
        self.ask(from.command("curl"), url, more)
    }

    /// The box's own page, as a client sees it whose clock shows something else.
    pub fn visit_at(&self, clock: &Clock) -> Result<Visit> {
        let mut client = self.site.firewall_namespace().command("curl");
        clock.set(&mut client)?;
        self.ask(client, &format!("https://{}:{PORT}/", self.site.gateway(Device::Battery)), &[])
    }

    /// Lets a phone in with a code.
    pub fn pair(&self, device: Device, code: &str, name: &str) -> Result<Visit> {
        let body = serde_json::json!({ "code": code, "name": name }).to_string();
        self.visit(device, "/api/v1/pair", &["--header", "content-type: application/json", "--data", &body])
    }

    fn ask(&self, mut client: Command, url: &str, more: &[&str]) -> Result<Visit> {
        let output = client
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

    /// Waits until the page answers a device in this way.
    pub fn wait_for(&self, device: Device, status: u16, what: &str) -> Result<()> {
        wait_until(PATIENCE, what, || Ok(self.visit(device, "/", &[])?.status == status))
    }
}

impl Household<'_> {
    /// Everything that a browser needs, to the firewall.
    pub async fn allow_washer(&mut self) -> Result<()> {
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
    pub fn loopback_is_closed(&self, session: &str) -> Result<()> {
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

impl Household<'_> {
    /// Says to the page where Home Assistant is, with a token, as a program would.
    pub async fn show_at(&mut self, broker: &serde_json::Value) -> Result<()> {
        let make = Request::TokenMake { name: "Test".to_owned(), role: Role::Owner, seconds: None };
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

    /// The edges in a state.
    pub async fn edges(&mut self, state: &str) -> Result<Vec<view::Edge>> {
        Ok(self.stage.client.call(Request::Edges { state: Some(state.to_owned()), principal: None }).await?)
    }

    /// What the page's process and the daemon have to say.
    pub fn why(&self) -> String {
        let web = std::fs::read_to_string(self.site.folder().join("web.log")).unwrap_or_default();
        format!("the page's log:\n{web}\nthe firewall's log:\n{}", self.stage.firewall.log())
    }
}
