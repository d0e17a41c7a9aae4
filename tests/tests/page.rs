//! The page in a real browser, against the demonstration with both questions open.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use lab::{
    expect::{Need, can_run},
    process::binary,
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
}

impl Demonstration {
    /// Starts it and waits until both questions are asked.
    fn start(site: &str) -> Result<Self> {
        let mut child = Command::new(binary("edgeward-lab")?)
            .args(["--site", site, "demo", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the demonstration")?;
        let output = child.stdout.take().context("a piped output is there")?;
        let mut demonstration = Self { child, url: String::new() };
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next() {
            let line = line?;
            if let Some(url) = line.strip_prefix("The page: ") {
                url.clone_into(&mut demonstration.url);
            }
            if line.contains("stays up") {
                ensure!(!demonstration.url.is_empty(), "no address of the page was printed");
                // Read on: what it says about decisions later must have somewhere to go.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(demonstration);
            }
        }
        anyhow::bail!("the demonstration ended before both questions were asked")
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

#[test]
fn the_page_works_in_a_real_browser() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon, Need::Browser, Need::Time]) {
        return Ok(());
    }
    let demonstration = Demonstration::start("page")?;
    let web = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the tests lie in the checkout")?
        .join("dashboard/web");
    let shots = std::env::temp_dir().join("edgeward-page-shots");
    let output = Command::new("node")
        .args(["e2e/run.mjs", &demonstration.url])
        .arg(&shots)
        .current_dir(web)
        .output()
        .context("cannot start node")?;
    ensure!(
        output.status.success(),
        "{}\n{}\nscreenshots: {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        shots.display()
    );
    Ok(())
}
