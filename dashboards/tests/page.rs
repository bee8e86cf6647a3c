//! The page in a real browser, over a real index.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "support/browser.rs"]
mod browser;
mod support;

use std::sync::Arc;

use browser::Browser;
use serde_json::{Value, json};
use support::{Cluster, Corpus, EmbeddedIndex, Page, SEQUENCE_BASE, add_shop, embedded, now};

const SECOND: i64 = 1_000_000_000;
const ENTER: &str = "\u{e007}";

/// A page with records, open in a browser.
struct Scene {
    browser: Browser,
    page: Page,
    index: EmbeddedIndex,
    corpus: Corpus,
}

impl Scene {
    async fn start(test: &str, fill: impl FnOnce(&mut Corpus)) -> Option<Scene> {
        let browser = Browser::start(test).await?;
        let index = embedded();
        let mut corpus = Corpus::new(test);
        fill(&mut corpus);
        corpus.index(&*index.index).await;
        let page = Page::serve(index.index.clone()).await;
        let scene = Scene { browser, page, index, corpus };
        scene.open("").await;
        Some(scene)
    }

    /// Opens the page with this state in its address.
    async fn open(&self, search: &str) {
        self.browser.open(&format!("{}/{search}", self.page.url)).await;
        self.browser.until("/^[0-9]/.test(document.getElementById('total').textContent)").await;
        self.loaded().await;
    }

    /// Waits until nothing is under way.
    async fn loaded(&self) {
        self.browser
            .until("document.querySelector('.line') || !document.getElementById('empty').hidden")
            .await;
    }

    async fn index_more(&mut self) {
        self.corpus.index(&*self.index.index).await;
    }

    async fn total(&self, expected: u64) {
        self.browser
            .until(&format!(
                "document.getElementById('total').textContent.replace(/\\D/g, '') === '{expected}'"
            ))
            .await;
    }

    /// The list's first message.
    async fn first_message(&self, expected: &str) {
        let first = "[...document.querySelectorAll('.line')].find((line) => line.ariaRowIndex === '1')?.querySelector('.message').textContent";
        self.browser.until(&format!("{first} === {}", json!(expected))).await;
    }

    async fn query_text(&self) -> String {
        self.browser.text("document.getElementById('query').value").await
    }
}

fn numbered(corpus: &mut Corpus, count: i64) {
    let end = now();
    for number in 0..count {
        let fields = json!({"message": format!("number {number}"), "log.level": if number % 10 == 0 { "error" } else { "info" }});
        corpus.add(end - number * SECOND / 10, "checkout", fields);
    }
}

#[tokio::test]
async fn records_histogram_levels_and_services_are_there_at_once() {
    let Some(scene) = Scene::start("first_look", |corpus| add_shop(corpus, 2_000, now(), 800 * SECOND)).await
    else {
        return;
    };
    let browser = &scene.browser;
    scene.total(2_000).await;
    browser.until("document.querySelectorAll('.line').length > 20").await;
    browser.until("document.querySelectorAll('#histogram rect.bar').length > 50").await;
    browser.until("document.querySelector('[aria-label=\"Filter for service.name: checkout\"]')").await;
    browser.until("document.querySelector('[aria-label=\"Filter for log.level: error\"]')").await;
    browser.until("document.querySelectorAll('.field-list > li').length > 10").await;
    // Only what is in sight is in the document.
    assert!(browser.count(".line").await < 100);
    browser.screenshot("light").await;
    browser.click("#theme").await;
    browser.until("document.documentElement.dataset.theme === 'dark'").await;
    browser.screenshot("dark").await;
    browser.script("document.querySelector('#histogram').dispatchEvent(new PointerEvent('pointermove', {clientX: 700, clientY: 120}))").await;
    browser.until("!document.querySelector('.tooltip').hidden").await;
    browser.screenshot("dark-hover").await;
    browser.click("#range").await;
    browser.until("document.getElementById('range-panel').matches(':popover-open')").await;
    browser.screenshot("dark-range").await;
    browser.keys("\u{e00c}").await;
    browser.click("#theme").await;
    browser.click("#show-help").await;
    browser.screenshot("help").await;
    browser.keys("\u{e00c}").await;
    browser.client.set_window_size(480, 800).await.unwrap();
    browser.screenshot("narrow").await;
    assert_eq!(browser.value("violations").await, json!([]));
    scene.browser.close().await;
}

#[tokio::test]
async fn typing_a_query_filters_and_stands_in_the_address() {
    let Some(scene) = Scene::start("query", |corpus| numbered(corpus, 300)).await else { return };
    let browser = &scene.browser;
    browser.keys("/").await;
    browser.until("document.activeElement.id === 'query'").await;
    browser.keys(&format!("level:error number{ENTER}")).await;
    scene.total(30).await;
    browser
        .until(
            "[...document.querySelectorAll('.line .level')].every((level) => level.textContent === 'error')",
        )
        .await;
    assert_eq!(browser.text("document.querySelector('.line mark').textContent").await, "number");
    assert_eq!(browser.text("new URL(location).searchParams.get('q')").await, "level:error number");
    browser.client.refresh().await.unwrap();
    scene.total(30).await;
    assert_eq!(scene.query_text().await, "level:error number");
    browser.client.back().await.unwrap();
    scene.total(300).await;
    assert_eq!(scene.query_text().await, "");
    // Earlier queries come back with the arrow.
    browser.click("#query").await;
    browser.keys("\u{e015}").await;
    browser.until("document.querySelector('#suggestions li')?.textContent === 'level:error number'").await;
    scene.browser.close().await;
}

#[tokio::test]
async fn the_box_completes_fields_and_their_values() {
    let Some(scene) = Scene::start("completion", |corpus| add_shop(corpus, 200, now(), 100 * SECOND)).await
    else {
        return;
    };
    let browser = &scene.browser;
    browser.until("document.querySelectorAll('.field-list > li').length > 10").await;
    browser.click("#query").await;
    browser.keys("serv").await;
    browser.until("document.querySelector('#suggestions li')?.textContent === 'service:'").await;
    browser.keys("\u{e015}\u{e007}").await;
    browser.until("[...document.querySelectorAll('#suggestions li')].some((item) => item.textContent === 'service:checkout ')").await;
    assert_eq!(scene.query_text().await, "service:");
    browser.screenshot("completion").await;
    scene.browser.close().await;
}

#[tokio::test]
async fn clicking_a_value_filters_for_it_and_the_minus_filters_it_out() {
    let Some(scene) = Scene::start("filters", |corpus| add_shop(corpus, 600, now(), 300 * SECOND)).await
    else {
        return;
    };
    let browser = &scene.browser;
    browser.click("[aria-label='Filter for service.name: payment']").await;
    browser.until("[...document.querySelectorAll('.line .service')].every((service) => service.textContent === 'payment')").await;
    assert_eq!(scene.query_text().await, "service.name:payment");
    browser.click(".line").await;
    browser.until("document.querySelector('.fields')").await;
    browser.click(".fields [aria-label^='Filter out trace.id: ']").await;
    browser
        .until("document.getElementById('query').value.startsWith('service.name:payment NOT trace.id:')")
        .await;
    // The pressed filter in the side takes itself out again.
    browser.click("[aria-label='Remove the filter for service.name: payment']").await;
    browser.until("document.getElementById('query').value.startsWith('NOT trace.id:')").await;
    scene.total(599).await;
    browser.click(".line").await;
    browser.until("document.querySelector('.fields .value.filterable')").await;
    let name = browser.text("document.querySelector('.fields .value.filterable').closest('tr').querySelector('th').textContent").await;
    browser.click(".fields .value.filterable").await;
    browser
        .until(&format!("document.getElementById('query').value.includes({})", json!(format!("{name}:"))))
        .await;
    scene.browser.close().await;
}

#[tokio::test]
async fn an_opened_record_shows_every_field_exactly() {
    let Some(scene) = Scene::start("opened", |corpus| add_shop(corpus, 300, now(), 300 * SECOND)).await
    else {
        return;
    };
    let browser = &scene.browser;
    browser.query("error.type:java.net.SocketTimeoutException").await;
    browser.until("[...document.querySelectorAll('.line .service')].every((service) => service.textContent === 'payment')").await;
    browser.script("document.activeElement.blur()").await;
    browser.keys("j").await;
    browser.keys(ENTER).await;
    browser.until("document.querySelector('.fields')").await;
    let shown = browser.value("Object.fromEntries([...document.querySelectorAll('.fields tr')].map((row) => [row.querySelector('th').textContent, row.querySelector('.value').textContent]))").await;
    let search =
        format!("{}/api/search?q=error.type:java.net.SocketTimeoutException&limit=1", scene.page.url);
    let answer: Value = reqwest::get(search).await.unwrap().json().await.unwrap();
    let document = answer["hits"][0]["document"].as_object().unwrap();
    assert_eq!(shown.as_object().unwrap().len(), document.len());
    let sequence = document["event.sequence"].as_i64().unwrap();
    assert!(sequence > SEQUENCE_BASE);
    assert_eq!(shown["event.sequence"], sequence.to_string(), "numbers beyond 2^53 stay exact");
    assert_eq!(shown["trace.id"], document["trace.id"]);
    // The stack trace stands line by line; frames of libraries step back.
    assert_eq!(browser.count(".text-line.frame").await, 5);
    assert_eq!(browser.count(".text-line.library").await, 2);
    assert_eq!(browser.count(".text-line.thrown").await, 2);
    browser.screenshot("opened").await;
    browser.click(".detail .toolbar button").await;
    browser.until("document.getElementById('query').value.startsWith('trace.id:')").await;
    assert_eq!(browser.text("new URL(location).searchParams.get('order')").await, "oldest");
    scene.browser.close().await;
}

#[tokio::test]
async fn dragging_over_the_histogram_zooms_in() {
    let Some(scene) = Scene::start("zoom", |corpus| add_shop(corpus, 2_000, now(), 800 * SECOND)).await
    else {
        return;
    };
    let browser = &scene.browser;
    browser.until("document.querySelectorAll('#histogram rect.bar').length > 50").await;
    let before = browser.value("document.getElementById('histogram').getBoundingClientRect().toJSON()").await;
    let at = |share: f64| (before["x"].as_f64().unwrap() + before["width"].as_f64().unwrap() * share).round();
    let y = before["y"].as_f64().unwrap() + 40.0;
    drag(browser, (at(0.4), y), (at(0.6), y)).await;
    browser.until("new URL(location).searchParams.has('until')").await;
    browser.until("Number(document.getElementById('total').textContent.replace(/\\D/g, '')) < 1000").await;
    let span = browser.value("(Date.parse(new URL(location).searchParams.get('until')) - Date.parse(new URL(location).searchParams.get('from'))) / 1000").await;
    assert!((span.as_f64().unwrap() - 180.0).abs() < 10.0, "a fifth of 15 minutes: {span}");
    browser.until("document.querySelectorAll('#histogram rect.bar').length > 50").await;
    browser.screenshot("zoomed").await;
    browser.client.back().await.unwrap();
    scene.total(2_000).await;
    scene.browser.close().await;
}

/// Drags with the real pointer.
async fn drag(browser: &Browser, from: (f64, f64), to: (f64, f64)) {
    use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
    let place = |(x, y): (f64, f64)| PointerAction::MoveTo { duration: None, x, y };
    let actions = MouseActions::new("mouse".to_owned())
        .then(place(from))
        .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
        .then(place(((from.0 + to.0) / 2.0, from.1)))
        .then(place(to))
        .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    browser.client.perform_actions(actions).await.unwrap();
}

#[tokio::test]
async fn new_records_appear_by_themselves_within_five_seconds() {
    let Some(mut scene) = Scene::start("live", |corpus| numbered(corpus, 200)).await else { return };
    scene.browser.until("document.getElementById('live').dataset.status === 'on'").await;
    scene.corpus.add(now(), "checkout", json!({"message": "fresh from the river", "log.level": "info"}));
    scene.index_more().await;
    let indexed = std::time::Instant::now();
    scene.first_message("fresh from the river").await;
    assert!(indexed.elapsed().as_secs_f64() < 5.0, "{:?}", indexed.elapsed());
    scene.total(201).await;
    // More at once than the tail sends: the list has no hole.
    let end = now();
    for number in 0..500 {
        scene.corpus.add(
            end + number,
            "checkout",
            json!({"message": format!("flood {number}"), "log.level": "info"}),
        );
    }
    scene.index_more().await;
    scene.first_message("flood 499").await;
    let browser = &scene.browser;
    browser.until("(scroller.scrollTop = 23 * 495, [...document.querySelectorAll('.line')].some((line) => line.ariaRowIndex === '501' && line.textContent.includes('fresh from the river')))").await;
    // Who reads further down is not disturbed, and told.
    scene.corpus.add(now(), "checkout", json!({"message": "one more", "log.level": "info"}));
    scene.index_more().await;
    let browser = &scene.browser;
    browser.until("!document.getElementById('new-records').hidden").await;
    assert!(browser.value("scroller.scrollTop").await.as_f64().unwrap() > 5_000.0);
    browser.screenshot("pending").await;
    browser.click("#new-records").await;
    scene.first_message("one more").await;
    scene.browser.close().await;
}

#[tokio::test]
async fn paused_means_that_nothing_moves() {
    let Some(mut scene) = Scene::start("paused", |corpus| numbered(corpus, 20)).await else { return };
    scene.browser.until("document.getElementById('live').dataset.status === 'on'").await;
    scene.browser.keys("l").await;
    scene.browser.until("document.getElementById('live').dataset.status === 'off'").await;
    scene.first_message("number 0").await;
    scene.corpus.add(now(), "checkout", json!({"message": "while paused"}));
    scene.index_more().await;
    // That nothing happens takes time to see: four looks of a tail.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    scene.first_message("number 0").await;
    scene.browser.keys("l").await;
    scene.first_message("while paused").await;
    scene.browser.close().await;
}

#[tokio::test]
async fn scrolling_loads_the_older_records_to_the_last() {
    let Some(scene) = Scene::start("scroll", |corpus| numbered(corpus, 1_500)).await else { return };
    let browser = &scene.browser;
    browser
        .until("(scroller.scrollTop = scroller.scrollHeight, !document.getElementById('end').hidden)")
        .await;
    browser.until("[...document.querySelectorAll('.line')].some((line) => line.ariaRowIndex === '1500' && line.textContent.includes('number 1499'))").await;
    assert!(browser.count(".line").await < 100);
    // Every line is there, once, in order.
    let rows = browser.value("[...document.querySelectorAll('.line')].map((line) => [Number(line.ariaRowIndex), line.querySelector('.message').textContent])").await;
    for row in rows.as_array().unwrap() {
        assert_eq!(row[1], format!("number {}", row[0].as_u64().unwrap() - 1));
    }
    scene.browser.close().await;
}

#[tokio::test]
async fn a_query_that_cannot_be_read_shows_where_and_the_next_one_works() {
    let Some(scene) = Scene::start("error", |corpus| numbered(corpus, 50)).await else { return };
    let browser = &scene.browser;
    browser.query("level:error AND (a OR b").await;
    browser.until("!document.getElementById('query-error').hidden").await;
    assert_eq!(browser.text("document.querySelector('.error-place mark').textContent").await, "(");
    assert_eq!(browser.text("document.getElementById('query').getAttribute('aria-invalid')").await, "true");
    browser.screenshot("error").await;
    browser.query("level:error").await;
    scene.total(5).await;
    browser.until("document.getElementById('query-error').hidden").await;
    scene.browser.close().await;
}

#[tokio::test]
async fn an_empty_page_says_what_to_do() {
    let Some(mut scene) = Scene::start("empty", |_| ()).await else { return };
    let browser = &scene.browser;
    browser.until("document.getElementById('empty').textContent.includes('weir up')").await;
    browser.screenshot("empty").await;
    scene.corpus.add(now(), "checkout", json!({"message": "the first"}));
    scene.index_more().await;
    scene.first_message("the first").await;
    let browser = &scene.browser;
    browser.until("document.getElementById('empty').hidden").await;
    browser.query("nothing-like-this").await;
    browser.until("document.getElementById('empty').textContent.includes('Nothing matches')").await;
    browser.screenshot("nothing").await;
    scene.browser.close().await;
}

/// What strangers write into logs in the hope that somebody's page believes it.
const HOSTILE: [&str; 12] = [
    "<script>globalThis.broken = 1</script>",
    "<img src=x onerror=\"globalThis.broken = 1\">",
    "<svg/onload=globalThis.broken=1>",
    "\"><svg onload=globalThis.broken=1>",
    "'\"--></style></script><script>globalThis.broken=1</script>",
    "<iframe srcdoc=\"<script>parent.broken=1</script>\"></iframe>",
    "javascript:globalThis.broken=1",
    "<a href=\"javascript:globalThis.broken=1\">click</a>",
    "${globalThis.broken = 1}{{constructor.constructor('globalThis.broken=1')()}}",
    "<template><script>globalThis.broken=1</script></template>",
    "\u{202e}txt.exe\u{2028}<b>bold</b>\u{0}\u{1b}[31mred",
    "__proto__",
];

#[tokio::test]
async fn hostile_text_stays_text_everywhere_and_runs_nothing() {
    let fill = |corpus: &mut Corpus| {
        for (number, text) in HOSTILE.iter().enumerate() {
            let mut fields = json!({"message": text, "log.level": "info", "error.stack_trace": format!("{text}\n\tat {text}"),
                "user.name": text, "url.path": text, "trace.id": text, "tags": [text]});
            // As the name of a field too; a dot would only nest it.
            let name = format!("attributes.{}", text.replace('.', "_"));
            fields.as_object_mut().unwrap().insert(name, json!(text));
            fields
                .as_object_mut()
                .unwrap()
                .insert("log.level".to_owned(), json!(if number % 2 == 0 { text } else { "error" }));
            corpus.add(now() - i64::try_from(number).unwrap(), "checkout", fields);
        }
    };
    let Some(scene) = Scene::start("hostile", fill).await else { return };
    let browser = &scene.browser;
    scene.total(HOSTILE.len() as u64).await;
    browser.until(&format!("document.querySelectorAll('.line').length === {}", HOSTILE.len())).await;
    browser.until("document.querySelectorAll('.field-list > li').length > 10").await;
    // Open every record and every field.
    browser.script("for (const line of document.querySelectorAll('.line')) line.click()").await;
    browser.until("document.querySelectorAll('.fields').length > 0").await;
    browser.script("for (const name of document.querySelectorAll('button.field-name')) name.click()").await;
    browser.until("document.querySelectorAll('.field-list .value-button').length > 5").await;
    for (number, text) in HOSTILE.iter().enumerate() {
        browser.until(&format!("(scroller.scrollTop = {number} * 400, true)")).await;
        let shown = "[...document.querySelectorAll('.fields .value')].map((value) => value.textContent)";
        let wanted = json!(text);
        browser.until(&format!("(scroller.scrollTop = (scroller.scrollTop + 300) % scroller.scrollHeight, {shown}.includes({wanted}))")).await;
    }
    browser.screenshot("hostile").await;
    // Highlighting, the error's place, a filter and the tail carry such text as well.
    browser.query("\"<script>globalThis.broken = 1</script>\"").await;
    browser.until("document.querySelectorAll('.line mark').length > 0").await;
    browser.query("(<img src=x onerror=globalThis.broken=1>").await;
    browser.until("!document.getElementById('query-error').hidden").await;
    scene.open("?q=%3Cscript%3EglobalThis.broken%3D1%3C/script%3E").await;
    let browser = &scene.browser;
    assert_eq!(
        browser.value("globalThis.broken === undefined && Object.prototype.broken === undefined").await,
        json!(true)
    );
    assert_eq!(
        browser
            .count(
                "main script, main iframe, main img, aside script, aside img, header script, #query-error img"
            )
            .await,
        0
    );
    assert_eq!(browser.value("violations").await, json!([]));
    scene.browser.close().await;
}

#[tokio::test]
async fn the_page_works_the_same_over_elasticsearch_and_opensearch() {
    for variable in ["WEIR_TEST_ELASTICSEARCH", "WEIR_TEST_OPENSEARCH"] {
        let Some(cluster) = Cluster::connect(variable, "the_page_over_a_cluster").await else { continue };
        let Some(browser) = Browser::start("the_page_over_a_cluster").await else { return };
        over_a_cluster(&cluster, &browser).await;
        browser.screenshot(&variable.to_lowercase()).await;
        browser.close().await;
        cluster.remove().await;
    }
}

async fn over_a_cluster(cluster: &Cluster, browser: &Browser) {
    let mut corpus = Corpus::new("cluster");
    add_shop(&mut corpus, 2_000, now(), 800 * SECOND);
    corpus.index_into(&cluster.index, cluster.documents()).await;
    cluster.refresh().await;
    let page = Page::serve(Arc::new(cluster.index.clone())).await;
    browser.open(&page.url).await;
    let total = |count: u64| {
        format!("document.getElementById('total').textContent.replace(/\\D/g, '') === '{count}'")
    };
    browser.until(&total(2_000)).await;
    browser.until("document.querySelectorAll('#histogram rect.bar').length > 50").await;
    browser.until("document.querySelectorAll('.field-list > li').length > 10").await;
    // To the last record, by cursor.
    browser
        .until("(scroller.scrollTop = scroller.scrollHeight, !document.getElementById('end').hidden)")
        .await;
    browser
        .until("[...document.querySelectorAll('.line')].some((line) => line.ariaRowIndex === '2000')")
        .await;
    browser.click("[aria-label='Filter for service.name: payment']").await;
    browser.until("[...document.querySelectorAll('.line .service')].every((service) => service.textContent === 'payment')").await;
    browser.click(".line").await;
    browser.until("document.querySelector('.fields')").await;
    let sequence = browser.text("[...document.querySelectorAll('.fields tr')].find((row) => row.querySelector('th').textContent === 'event.sequence').querySelector('.value').textContent").await;
    assert!(sequence.parse::<i64>().unwrap() >= SEQUENCE_BASE, "numbers beyond 2^53 stay exact");
    browser.query("(a OR").await;
    browser.until("!document.getElementById('query-error').hidden").await;
    browser.query("service:checkout \"placed by customer\"").await;
    browser.until("document.querySelector('.line mark')?.textContent === 'placed by customer'").await;
    browser.until("document.getElementById('live').dataset.status === 'on'").await;
    corpus.add(
        now(),
        "checkout",
        json!({"message": "placed by customer of the cluster", "log.level": "info"}),
    );
    corpus.index_into(&cluster.index, cluster.documents()).await;
    cluster.refresh().await;
    browser.until("document.querySelector('.line[aria-rowindex=\"1\"] .message').textContent === 'placed by customer of the cluster'").await;
}
