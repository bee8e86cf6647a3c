//! Frames that cannot be decoded: tried again by whoever may know better, then kept as dead letters, bytes intact.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use weir_buffer::{Buffer, Claim, DELIVERIES_TOGETHER_MAX};
use weir_indexer::letter::FRAME_TARGET;
use weir_indexer::{DeadLetter, Index};
use weir_record::identity::line_hash;
use weir_record::{FileKey, RecordId, SourceId};

use crate::load::{Poison, now};
use crate::worker::Shared;
use crate::{deliver, letters};

/// How long a frame waits in the buffer whose letter the index does not take.
const LETTER_WAIT: Duration = Duration::from_secs(30);

/// Gives the frame back while another worker, or a newer one, may still read it; else makes it a dead letter.
pub(crate) async fn dispose<B: Buffer, I: Index>(shared: Arc<Shared<B, I>>, poison: Poison) {
    let Poison { claim, reason } = poison;
    if claim.deliveries < DELIVERIES_TOGETHER_MAX {
        shared.forget(std::slice::from_ref(&claim.id));
        if let Err(error) =
            shared.buffer.release(&shared.settings.name, std::slice::from_ref(&claim.id)).await
        {
            // It counts as stalled in a while, and comes again all the same.
            tracing::debug!(%error, "cannot give a frame back");
        }
        return;
    }
    let bytes = claim.bytes.len();
    tracing::error!(%reason, bytes, deliveries = claim.deliveries, "a frame cannot be read, and goes to the dead letters");
    let letter = DeadLetter {
        id: id_of(&claim),
        target: FRAME_TARGET.to_owned(),
        pipeline: None,
        document: Bytes::from(STANDARD.encode(&claim.bytes)),
        status: 0,
        reason: reason.to_string(),
        attempts: claim.deliveries,
        first_time: now(),
        time: now(),
        replays: 0,
    };
    if !letters::write(&shared, &[letter]).await.is_empty() {
        return deliver::park(&shared, std::slice::from_ref(&claim.id), LETTER_WAIT).await;
    }
    shared.counters.poison_frames.add(1);
    deliver::acknowledge(&shared, std::slice::from_ref(&claim.id)).await;
}

/// The same for the same bytes, so that the letter is stored once.
fn id_of(claim: &Claim) -> String {
    let nobody = FileKey { source: SourceId([0; 16]), file: [0; 16] };
    let (file, start) = claim.id.range().map_or((nobody, 0), |range| (range.file, range.start));
    let id = RecordId::new(&file, None, start, line_hash(&claim.bytes));
    String::from_utf8_lossy(&id.to_text()).into_owned()
}
