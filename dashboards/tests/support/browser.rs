//! Chromium, driven through ChromeDriver.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::process::Stdio;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, MutexGuard};

use super::support::eventually;

/// One browser at a time: it takes a whole core.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Browser {
    pub client: Client,
    // The driver ends its browser, then the profile goes.
    _driver: Child,
    _profile: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Starts a browser; none where this machine has none, which is reported, and a failure where `CI` is `true`.
    pub async fn start(test: &str) -> Option<Browser> {
        let turn = TURN.lock().await;
        let (driver, port) = start_driver(test).await?;
        let profile = tempfile::tempdir().unwrap();
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities(profile.path().to_str().unwrap()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromedriver starts chromium");
        Some(Browser { client, _driver: driver, _profile: profile, _turn: turn })
    }

    /// Ends the browser.
    pub async fn close(self) {
        self.client.close().await.unwrap();
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
        // From here on, whatever the content policy had to stop is noted.
        self.script("globalThis.violations = []; document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective))").await;
    }

    /// The value of an expression.
    pub async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap()
    }

    pub async fn text(&self, expression: &str) -> String {
        match self.value(expression).await {
            Value::String(text) => text,
            other => panic!("{expression} is {other}"),
        }
    }

    pub async fn count(&self, selector: &str) -> u64 {
        self.value(&format!("document.querySelectorAll({}).length", json!(selector))).await.as_u64().unwrap()
    }

    /// Runs statements.
    pub async fn script(&self, statements: &str) {
        self.client.execute(statements, Vec::new()).await.unwrap();
    }

    /// Waits until an expression is true.
    pub async fn until(&self, expression: &str) {
        let check = format!("return Boolean({expression})");
        eventually(expression, async || {
            self.client.execute(&check, Vec::new()).await.unwrap() == json!(true)
        })
        .await;
    }

    pub async fn click(&self, selector: &str) {
        self.until(&format!("document.querySelector({})", json!(selector))).await;
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Types into what has the focus.
    pub async fn keys(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Replaces the query and runs it.
    pub async fn query(&self, query: &str) {
        self.script("document.getElementById('query').value = ''; document.getElementById('query').focus()")
            .await;
        self.keys(&format!("{query}\u{e007}")).await;
    }

    /// Keeps a picture of the page beside the build.
    pub async fn screenshot(&self, name: &str) {
        // Let what moves come to rest.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        std::fs::write(directory.join(format!("{name}.png")), picture).unwrap();
    }
}

/// It wants one port of two addresses, and ends where another program has that of one: then it is started again.
const DRIVER_STARTS: usize = 5;

/// None, after saying so, where there is none.
async fn start_driver(test: &str) -> Option<(Child, u16)> {
    for _ in 0..DRIVER_STARTS {
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(mut driver) = started else {
            eprintln!("SKIPPED: {test}: there is no chromedriver (Debian: chromium, chromium-driver)");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI runs every test");
            return None;
        };
        if let Some(port) = driver_port(&mut driver).await {
            return Some((driver, port));
        }
    }
    panic!("chromedriver ended {DRIVER_STARTS} times before it said its port");
}

async fn driver_port(driver: &mut Child) -> Option<u16> {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            let port = port.trim_end_matches('.').parse().unwrap();
            // What it says later is of no use, but has to go somewhere.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(port);
        }
    }
    None
}

fn capabilities(profile: &str) -> Capabilities {
    let profile = format!("--user-data-dir={profile}");
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1440,900",
        &profile,
    ];
    let options = json!({"goog:chromeOptions": {"args": arguments}});
    options.as_object().unwrap().clone()
}
