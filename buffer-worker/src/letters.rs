//! Dead letters: what was refused for good is kept, whatever else happens.

use weir_buffer::Buffer;
use weir_indexer::{DeadLetter, Index, Outcome};

use crate::backoff::Backoff;
use crate::worker::Shared;

/// Attempts that an index which answers gets; then whoever has the letters keeps them where they are.
const ATTEMPTS_MAX: u32 = 4;

/// Writes letters. Waits for an index that does not answer; one that answers, and takes some of them not, is asked a
/// few times. Answers what is left: places in `letters`, and what the index says.
pub(crate) async fn write<B: Buffer, I: Index>(
    shared: &Shared<B, I>,
    letters: &[DeadLetter],
) -> Vec<(usize, String)> {
    let mut backoff = Backoff::new();
    let mut left: Vec<(usize, String)> = (0..letters.len()).map(|place| (place, String::new())).collect();
    let mut attempts = 0;
    while attempts < ATTEMPTS_MAX && !left.is_empty() {
        shared.gate.pass().await;
        let these: Vec<DeadLetter> =
            left.iter().filter_map(|(place, _)| letters.get(*place).cloned()).collect();
        match shared.index.dead_letters(&these).await {
            Ok(outcomes) => {
                shared.gate.works();
                attempts += 1;
                let is_blocked = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Blocked { .. }));
                left = unwritten(left, &outcomes);
                if is_blocked {
                    break;
                }
            }
            Err(error) => {
                shared.gate.fails(&error);
            }
        }
        if !left.is_empty() {
            shared.gate.wait(backoff.next(None)).await;
        }
    }
    left
}

/// A letter without an outcome is left too: it is stored once in any case.
fn unwritten(letters: Vec<(usize, String)>, outcomes: &[Outcome]) -> Vec<(usize, String)> {
    let mut outcomes = outcomes.iter();
    let open = |(place, _): (usize, String)| match outcomes.next() {
        Some(outcome) if outcome.is_stored() => None,
        Some(Outcome::Retry { reason } | Outcome::Blocked { reason } | Outcome::Rejected { reason, .. }) => {
            Some((place, reason.clone()))
        }
        _ => Some((place, "no answer".to_owned())),
    };
    letters.into_iter().filter_map(open).collect()
}
