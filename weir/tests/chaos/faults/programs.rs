//! Faults of shippers and workers.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Play;
use crate::process::Process;
use crate::round::Weather;
use crate::stage::lock;

/// Longer than the time after which a live worker's claims are taken from it.
const STALL_OF_CLAIMS: Duration = Duration::from_secs(66);

/// The checkpoint of a shipper that has forgotten everything is there within this, unless Redis is away.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Of the end of a checkpoint, so many bytes may be damaged.
const DAMAGE_BYTES_MAX: u64 = 200;

/// The shipper that may lose what it knows: its services only rename.
const FORGETFUL: usize = 1;

#[derive(Clone, Copy)]
enum Fault {
    Kill,
    Pause,
    Stop,
    LoseState,
    DamageCheckpoint,
    FillDisk,
}

/// One fault of a shipper.
pub fn shipper(play: &mut Play<'_>, number: usize) {
    let process = &play.stage.shippers[number];
    let mut faults = vec![Fault::Pause, Fault::Stop];
    // Copied and cut files are those of the first shipper.
    if play.weather != Weather::Cut || number == FORGETFUL {
        faults.extend([Fault::Kill, Fault::Kill]);
    }
    if number == FORGETFUL {
        faults.push(Fault::DamageCheckpoint);
        if play.stage.has_small_disk {
            faults.push(Fault::FillDisk);
        }
        if play.weather == Weather::LoseState {
            faults.extend([Fault::LoseState; 3]);
        }
    }
    match play.random.choose(&faults) {
        Fault::LoseState => lose_state(play, process, number),
        Fault::DamageCheckpoint => damage_checkpoint(play, process, number),
        Fault::FillDisk => fill_disk(play, process, number),
        fault => any(play, process, fault),
    }
}

/// One fault of a worker.
pub fn worker(play: &mut Play<'_>, number: usize) {
    let process = &play.stage.workers[number];
    let fault = play.random.choose(&[Fault::Kill, Fault::Kill, Fault::Pause, Fault::Pause, Fault::Stop]);
    if matches!(fault, Fault::Pause) && play.clock.left() > STALL_OF_CLAIMS && play.random.below(3) == 0 {
        play.begin("process stalled", &format!("for {STALL_OF_CLAIMS:?}"));
        lock(process).signal(Signal::STOP);
        play.clock.wait(STALL_OF_CLAIMS);
        lock(process).signal(Signal::CONT);
        return play.tell("goes on");
    }
    any(play, process, fault);
}

fn any(play: &mut Play<'_>, process: &Mutex<Process>, fault: Fault) {
    let length = play.length();
    match fault {
        Fault::Pause => {
            play.begin("process stopped", &format!("for {length:.1?}"));
            lock(process).signal(Signal::STOP);
            play.clock.wait(length);
            lock(process).signal(Signal::CONT);
            return play.tell("goes on");
        }
        Fault::Stop => {
            play.begin("process terminated", &format!("for {length:.1?}"));
            let took = lock(process).stop();
            play.tell(format!("ended after {took:.1?}"));
        }
        _ => {
            play.begin("process killed", &format!("for {length:.1?}"));
            lock(process).kill();
        }
    }
    play.clock.wait(length);
    lock(process).start();
    play.tell("started");
}

/// Everything that it knows is removed while it is down. Meanwhile no file is rotated: what of rotated files nobody has
/// read is told by the log that stands under its own name.
fn lose_state(play: &mut Play<'_>, process: &Mutex<Process>, number: usize) {
    let _held = play.stage.names.write().unwrap_or_else(PoisonError::into_inner);
    play.begin("state lost", "");
    let state = play.stage.state(number);
    lock(process).kill();
    for entry in fs::read_dir(&state).expect("a state directory") {
        let path = entry.expect("an entry").path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.expect("it can be removed");
    }
    lock(process).start();
    let deadline = Instant::now() + CHECKPOINT_PATIENCE;
    while !state.join("checkpoint").exists() && Instant::now() < deadline {
        std::thread::sleep(POLL_INTERVAL);
    }
    play.tell("knows where its files are");
}

/// The end of the checkpoint is cut off, or overwritten with something else.
fn damage_checkpoint(play: &mut Play<'_>, process: &Mutex<Process>, number: usize) {
    lock(process).kill();
    let path = play.stage.state(number).join("checkpoint");
    let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let damaged = play.random.below(DAMAGE_BYTES_MAX).min(length);
    let cuts = play.random.below(2) == 0;
    play.begin("checkpoint damaged", &format!("{damaged} of {length} bytes, cut: {cuts}"));
    if length > 0 {
        damage(&path, length - damaged, damaged as usize, cuts).expect("a checkpoint can be damaged");
    }
    lock(process).start();
}

fn damage(path: &Path, from: u64, bytes: usize, cuts: bool) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    if cuts {
        file.set_len(from)
    } else {
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0x5a; bytes], from)
    }
}

/// The disk of the state directory has no room left; sometimes the shipper is killed meanwhile.
fn fill_disk(play: &mut Play<'_>, process: &Mutex<Process>, number: usize) {
    let kills = play.random.below(2) == 0;
    play.begin("disk full", if kills { "and killed" } else { "" });
    let path = play.stage.state(number).join("filler");
    let mut filler = fs::File::create(&path).expect("a file can be made");
    while filler.write_all(&[0; 4096]).is_ok() {}
    play.hold();
    if kills {
        lock(process).kill();
        lock(process).start();
        play.hold();
    }
    fs::remove_file(&path).expect("it can be removed");
    play.tell("the disk has room again");
}
