//! Drift in a real browser: lines that no parser understood stand on the page as shapes, and nothing of them does.

#[expect(dead_code, reason = "the page's own tests use all of it")]
#[path = "../../dashboards/tests/support/browser.rs"]
mod browser;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "support/mod.rs"]
mod programs;
#[path = "../../dashboards/tests/support/mod.rs"]
mod support;

use browser::Browser;
use programs::{Program, text, until_or, weir, write};
use weir_buffer::testing::free_port;

/// Values that only their lines may show: no word of them is one that shapes keep.
const VALUES: [&str; 5] = ["zorkfrob", "anna@example.org", "203.0.113.77", "hunter2xyz", "4711815"];

/// Lines of two shapes, none of which is known, with a known one between them.
fn lines() -> String {
    let [word, mail, address, password, number] = VALUES;
    (0..20)
        .map(|_| format!("{word} ~ user {mail} ({number}) @ {address}\n{word} / login failed {password}\nERROR understood\n"))
        .collect()
}

#[tokio::test]
async fn lines_that_no_parser_understood_stand_on_the_page_as_shapes_without_their_values() {
    let test = "lines_that_no_parser_understood_stand_on_the_page_as_shapes_without_their_values";
    let Some(browser) = Browser::start(test).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "odd.log", lines());
    let data = directory.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    let up = Program::start(weir(["up", text(&log), "--data", text(&data), "--listen", &listen]));
    let page = format!("http://{listen}");
    let address = page.clone();
    // The helpers that ask over HTTP have a runtime of their own.
    let _up = tokio::task::spawn_blocking(move || {
        let ask = || programs::get(&format!("{address}/api/drift")).map(|(_, body)| body).unwrap_or_default();
        until_or("all lines are counted", || ask().contains("\"records\":40,"), || ask() + &up.stderr());
        up
    })
    .await
    .unwrap();

    browser.open(&page).await;
    browser.until("!document.getElementById('drift').hidden").await;
    browser.click("#drift summary").await;
    browser.until("document.querySelectorAll('#drift code').length === 2").await;
    let summary = browser.text("document.querySelector('#drift summary').textContent").await;
    assert!(summary.starts_with("40 records not understood"), "{summary}");
    let notice = browser.text("document.getElementById('drift').textContent").await;
    for shape in ["<word> ~ user <email> (<number>) @ <ip>", "<word> <path> login failed <word>"] {
        assert!(notice.contains(shape), "{shape} in {notice}");
    }
    for value in VALUES {
        assert!(!notice.contains(value), "{value} in {notice}");
    }
    browser.screenshot("drift").await;
    // The service leads to the records themselves.
    browser.click("#drift button").await;
    browser.until("document.getElementById('query').value.includes('tags:unparsed')").await;
    browser.until("document.getElementById('total').textContent.replace(/\\D/g, '') === '40'").await;
    assert_eq!(browser.value("violations").await, serde_json::json!([]));
    browser.close().await;
}
