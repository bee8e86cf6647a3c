//! What the programs' counters say over all their lives, and how long the index stood still.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::index::number_in;
use super::stage::Stage;
use super::writers::Written;

/// How often everybody is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Whoever does not answer within this is away.
const TIMEOUT: Duration = Duration::from_millis(800);

/// Reads counters from the moment it is made until it is dropped.
pub struct Gauges {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// By program and counter: the sum of earlier lives, and what this one said last.
    counters: BTreeMap<(usize, String), (u64, u64)>,
    documents: u64,
    /// Since when there are so many documents.
    since: Option<Instant>,
    longest_stall: Duration,
}

impl State {
    fn take(&mut self, program: usize, text: &str) {
        for line in text.lines().filter(|line| line.starts_with("weir_")) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            if bare(name).ends_with("_total") {
                let (earlier, last) = self.counters.entry((program, name.to_owned())).or_default();
                if value < *last {
                    *earlier += *last;
                }
                *last = value;
            }
        }
    }

    fn take_documents(&mut self, documents: Option<u64>, written: u64) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let documents = documents.unwrap_or(self.documents);
        if documents == self.documents && documents < written {
            self.longest_stall = self.longest_stall.max(now - since);
        } else {
            self.documents = documents;
            self.since = Some(now);
        }
    }
}

impl Gauges {
    /// Begins to ask.
    pub fn start(stage: &Stage, written: Arc<Written>) -> Gauges {
        let state = Arc::<Mutex<State>>::default();
        let (ports, count) = (stage.metrics.clone(), stage.index.count_url());
        let task = stage.runtime().spawn(ask(Arc::clone(&state), ports, count, written));
        Gauges { state, task }
    }

    /// Each counter, over all programs and lives, as far as it was seen before each kill.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = BTreeMap::new();
        for ((_, name), (earlier, last)) in &state.counters {
            *sums.entry(bare(name).to_owned()).or_default() += earlier + last;
        }
        sums
    }

    /// The longest time in which nothing new could be found, although there was something.
    pub fn longest_stall(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).longest_stall
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Without its labels.
fn bare(name: &str) -> &str {
    name.split('{').next().unwrap_or(name)
}

async fn ask(state: Arc<Mutex<State>>, ports: Vec<u16>, count: String, written: Arc<Written>) {
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a client");
    let get = async |url: &str| client.get(url).send().await.ok()?.text().await.ok();
    loop {
        for (program, port) in ports.iter().enumerate() {
            if let Some(text) = get(&format!("http://127.0.0.1:{port}/metrics")).await {
                state.lock().unwrap_or_else(PoisonError::into_inner).take(program, &text);
            }
        }
        let documents = get(&count).await.and_then(|text| number_in(&text));
        let total = written.total();
        state.lock().unwrap_or_else(PoisonError::into_inner).take_documents(documents, total);
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_over_the_lives_of_a_program() {
        let mut state = State::default();
        state.take(0, "# HELP x\nweir_a_total 3\nweir_b 7\n");
        state.take(0, "weir_a_total 5\n");
        state.take(0, "weir_a_total 2\n");
        state.take(1, "weir_a_total{b=\"c\"} 1\nweir_a_total{b=\"d\"} 4\n");
        let sum: u64 = state.counters.values().map(|(earlier, last)| earlier + last).sum();
        assert_eq!(sum, 12);
    }
}
