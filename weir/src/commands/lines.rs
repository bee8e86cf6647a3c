//! Lines of a file or of stdin as documents, exactly as the shipper, the frame and the worker would make them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use weir_indexer::{Batch, DocumentSettings};
use weir_record::frame::Decoder;
use weir_record::{FileIdentity, FileKey, FrameBuilder, SourceId};
use weir_shipper::SourceSettings;
use weir_shipper::follow::nanos_now;
use weir_shipper::follow::records::{Assembler, AtEnd, RecordCounts, Sink, WINDOW_BYTES_MAX};
use weir_shipper::parse::Detection;
use weir_shipper::shape::Cut;

/// Bytes that are looked at together: room for the longest line, and for what a container's lines are made of.
const WINDOW_BYTES: usize = WINDOW_BYTES_MAX;

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Records made.
    pub records: u64,
    /// Lines read.
    pub lines: u64,
    /// Records that no parser understood.
    pub not_understood: u64,
    /// Records that a rule of `drop` dropped.
    pub dropped: u64,
    /// Records that a step of `shape` has cut, in the order of [`Cut::ALL`].
    pub cut: [u64; Cut::ALL.len()],
    /// The format of the first lines.
    pub detection: Option<Detection>,
}

/// Reads `input` to its end and hands every document to `take`. `host`: left out where none.
pub fn documents(
    input: &mut dyn Read,
    source: &SourceSettings,
    host: Option<&str>,
    path: Option<&Path>,
    take: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Summary> {
    let mut pipeline = Pipeline::new(source, host, path)?;
    let mut window = vec![0; WINDOW_BYTES];
    let (mut filled, mut offset, mut lines) = (0, 0u64, 0u64);
    loop {
        let read = fill(input, &mut window[filled..])?;
        lines += memchr::memchr_iter(b'\n', &window[filled..filled + read]).count() as u64;
        filled += read;
        let ends = filled < window.len();
        let at_end = if ends { AtEnd::All } else { AtEnd::Wait };
        if ends && filled > 0 && window[filled - 1] != b'\n' {
            lines += 1;
        }
        let taken = pipeline.take(&window[..filled], offset, at_end, take)?;
        anyhow::ensure!(
            taken > 0 || ends,
            "a line is longer than {WINDOW_BYTES} bytes: `weir ship` cuts it, this command does not"
        );
        window.copy_within(taken..filled, 0);
        filled -= taken;
        offset += taken as u64;
        if ends {
            let RecordCounts { records, not_understood, dropped, cut, .. } = pipeline.assembler.counts();
            let detection = pipeline.assembler.detection();
            return Ok(Summary { records, lines, not_understood, dropped, cut, detection });
        }
    }
}

/// Opens a file for [`documents`].
pub fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path)
        .map_err(|error| weir_process::bad_use(format!("cannot read {}: {error}", path.display())))
}

struct Pipeline {
    assembler: Assembler,
    builder: FrameBuilder,
    decoder: Decoder,
    batch: Batch,
}

impl Pipeline {
    fn new(source: &SourceSettings, host: Option<&str>, path: Option<&Path>) -> anyhow::Result<Pipeline> {
        let nobody = FileIdentity { device: 0, inode: 0, birth_nanos: 0, generation: 0 };
        let key = FileKey::new(SourceId::from_name(""), &nobody);
        Ok(Pipeline {
            assembler: Assembler::new(source, host, path),
            builder: FrameBuilder::new(key, 0, 0)?,
            decoder: Decoder::new()?,
            batch: Batch::new(DocumentSettings::default()),
        })
    }

    fn take(
        &mut self,
        bytes: &[u8],
        offset: u64,
        at_end: AtEnd,
        take: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let (now, mut frames) = (nanos_now(), Vec::new());
        let mut sink = Sink { builder: &mut self.builder, frames: &mut frames, read_time: now };
        let taken = self.assembler.take(bytes, offset, at_end, &mut sink);
        self.builder.finish(offset + taken.bytes as u64, now, &mut frames);
        for frame in &frames {
            self.batch.clear();
            self.batch.push(&self.decoder.decode(&frame.bytes)?, now);
            for item in self.batch.items() {
                take(self.batch.document(item))?;
            }
        }
        Ok(taken.bytes)
    }
}

fn fill(input: &mut dyn Read, mut room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while !room.is_empty() {
        match input.read(room) {
            Ok(0) => break,
            Ok(read) => {
                filled += read;
                room = &mut room[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
