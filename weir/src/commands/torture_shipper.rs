//! `weir torture-shipper`: the shipper under torture, in a process of its own that can be killed. It ships into a
//! buffer in memory and prints what arrives there, each record after the `_id` that it would have in the index. What
//! was printed is acknowledged.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use weir_buffer::{Buffer as _, Claim, Consumer as _, MemoryBuffer};
use weir_process::{bad_use, stop_signal};
use weir_record::SourceId;
use weir_record::frame::Decoder;
use weir_shipper::cli::host_name;
use weir_shipper::settings::DELETED_BYTES_MAX;
use weir_shipper::{Limits, Mode, ShipSettings, Shipper, SourceSettings, Timing};

const BUFFER_BYTES: u64 = 64 * 1024 * 1024;
const CLAIM_FRAMES: usize = 256;
const CLAIM_BYTES: usize = 8 * 1024 * 1024;
const CLAIM_WAIT: Duration = Duration::from_millis(100);

/// The shipper of `weir torture`.
#[derive(Args)]
pub struct TortureShipperArgs {
    /// Directory of the checkpoint
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// What to follow
    #[arg(value_name = "PATH|GLOB", required = true)]
    paths: Vec<String>,
}

/// Ships and prints until it is told to stop.
pub async fn run(arguments: TortureShipperArgs) -> anyhow::Result<ExitCode> {
    let shipper = Shipper::new(ShipSettings {
        state: arguments.state,
        source: SourceId::from_name("torture"),
        host: host_name(),
        sources: vec![SourceSettings::new(arguments.paths)],
        mode: Mode::Follow,
        timing: Timing::default(),
        limits: Limits::default(),
        deleted_bytes_max: DELETED_BYTES_MAX,
    })
    .map_err(bad_use)?;
    let buffer = Arc::new(MemoryBuffer::new(BUFFER_BYTES));
    let shipped = {
        let printing = print(&buffer);
        let shipping = shipper.run(Arc::clone(&buffer), stop_signal());
        tokio::select! {
            printed = printing => return printed,
            shipped = shipping => shipped,
        }
    };
    shipped?;
    Ok(ExitCode::SUCCESS)
}

async fn print(buffer: &MemoryBuffer) -> anyhow::Result<ExitCode> {
    let mut consumer = buffer.consumer("torture").await?;
    let mut decoder = Decoder::new()?;
    loop {
        let claims = consumer.claim(CLAIM_FRAMES, CLAIM_BYTES, CLAIM_WAIT).await?;
        let mut out = Vec::new();
        for claim in &claims {
            records(&mut decoder, claim, &mut out)?;
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()?;
        drop(stdout);
        let ids: Vec<_> = claims.into_iter().map(|claim| claim.id).collect();
        buffer.acknowledge(&ids).await?;
    }
}

fn records(decoder: &mut Decoder, claim: &Claim, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let frame = decoder.decode(&claim.bytes)?;
    for record in frame.records() {
        out.extend_from_slice(&frame.id(&record).to_text());
        out.push(b'\t');
        out.extend_from_slice(record.document);
        out.push(b'\n');
    }
    Ok(())
}
