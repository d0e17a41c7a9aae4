//! The page in a real browser: against the demonstration, and over TLS.

use std::{
    io::{BufRead, BufReader, Lines, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Client, PrincipalPatch, Request},
    view,
};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::runtime_of,
    household::Household,
    net,
    process::{self, binary},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The running demonstration, which is taken down at the end.
struct Demonstration {
    child: Child,
    /// The page's address with its code.
    url: String,
    output: Option<Lines<BufReader<ChildStdout>>>,
    /// Where its daemon has its socket.
    runtime: PathBuf,
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
        let runtime = runtime_of(&format!("{site}-demo"))?;
        let mut demonstration = Self { child, url: String::new(), output: None, runtime };
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
                Some("kill the daemon") => self.kill_daemon()?,
                Some(what) => anyhow::bail!("nobody here can {what}"),
                None => said.extend([&line, "\n"]),
            }
        }
        Ok(said)
    }
}

impl Demonstration {
    /// Ends the firewall's daemon as a crash would.
    fn kill_daemon(&self) -> Result<()> {
        let folder = self.runtime.parent().context("the site has a folder")?;
        let processes = process::recorded(folder)?;
        let (_, daemon) =
            processes.iter().find(|(name, _)| name == "edgeward").context("there is a daemon")?;
        daemon.kill()
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
    furnish(&mut Client::connect(&demonstration.runtime).await?).await?;
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
    let url = code.urls().next().context("the page is served with TLS")?;
    // The phone reaches the box at the address of its own link.
    let here = url.replace(&code.listening[0].ip().to_string(), &site.gateway(phone).to_string());
    let shots = std::env::temp_dir().join("edgeward-page-shots");
    let mut node = site.namespace(phone).command("node");
    node.arg("e2e/tls.mjs").arg(here).arg(&household.authority).arg(&shots).current_dir(web_folder()?);
    net::run(&mut node).with_context(|| household.why())
}

fn web_folder() -> Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in the checkout")?;
    Ok(checkout.join("dashboard/web"))
}
