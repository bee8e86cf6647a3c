//! What happens to log files, one function each.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::logrotate::Logrotate;
use super::stage::Stage;

/// Twenty rotations a second.
const FAST_ROTATION: Duration = Duration::from_millis(50);

/// Names that hold the time tell seconds at best: logrotate does not rotate to a name that is taken.
const LOGROTATE_PAUSE: Duration = Duration::from_millis(1100);

/// How many files the scenario of many files has.
const MANY_FILES: u64 = 200;

/// A line of this length is longer than any shipper's limit.
const LONG_LINE_BYTES: usize = 8 * 1024 * 1024;

/// One kind of trouble.
pub struct Scenario {
    /// As `--scenario` takes it.
    pub name: &'static str,
    /// What happens.
    pub story: &'static str,
    /// What it needs beyond files.
    pub needs: Needs,
    /// Makes it happen.
    pub play: fn(&mut Stage) -> anyhow::Result<()>,
}

/// What a scenario needs beyond files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A shipper that can be stopped and started from here.
    Control,
    /// Nothing; and it may destroy lines that nobody can have read.
    Destruction,
}

const fn scenario(
    name: &'static str,
    story: &'static str,
    needs: Needs,
    play: fn(&mut Stage) -> anyhow::Result<()>,
) -> Scenario {
    Scenario { name, story, needs, play }
}

/// All of them, in the order in which they run.
pub const SCENARIOS: [Scenario; 23] = [
    scenario("rename", "renamed and created anew, five times", Needs::Nothing, rename),
    scenario(
        "rename-behind",
        "renamed four times while the shipper is behind",
        Needs::Control,
        rename_behind,
    ),
    scenario("rename-fast", "renamed and created twenty times a second", Needs::Nothing, rename_fast),
    scenario("old-handle", "renamed, while the writer goes on in the old file", Needs::Nothing, old_handle),
    scenario("copytruncate", "copied and cut, while the shipper runs", Needs::Nothing, copytruncate),
    scenario(
        "copytruncate-behind",
        "copied and cut, while the shipper is behind",
        Needs::Control,
        copytruncate_behind,
    ),
    scenario(
        "copytruncate-stopped",
        "copied and cut, while the shipper is stopped",
        Needs::Control,
        copytruncate_stopped,
    ),
    scenario(
        "copytruncate-regrown",
        "cut while stopped, and larger than before at the start",
        Needs::Control,
        copytruncate_regrown,
    ),
    scenario(
        "copytruncate-racing",
        "copied and cut under a writer that never pauses",
        Needs::Destruction,
        copytruncate_racing,
    ),
    scenario(
        "same-head",
        "every file begins with the same 1,000 bytes, and is copied and cut",
        Needs::Nothing,
        same_head,
    ),
    scenario("compress", "renamed and compressed at once", Needs::Nothing, compress),
    scenario(
        "compress-behind",
        "renamed and compressed while the shipper is behind",
        Needs::Control,
        compress_behind,
    ),
    scenario(
        "compress-stopped",
        "renamed and compressed while the shipper is stopped, half read",
        Needs::Control,
        compress_stopped,
    ),
    scenario("delete-behind", "removed while the shipper is behind", Needs::Control, delete_behind),
    scenario("recreate", "removed and created anew, often with the same inode", Needs::Nothing, recreate),
    scenario("hard-link", "the same file under two names", Needs::Nothing, hard_link),
    scenario("symlink", "a symbolic link that is turned to another file", Needs::Nothing, turned_symlink),
    scenario(
        "slow-line",
        "written byte by byte, the shipper restarted in the middle of a line",
        Needs::Control,
        slow_line,
    ),
    scenario("long-line", "a line of 8 MiB between others", Needs::Nothing, long_line),
    scenario("many-files", "two hundred files", Needs::Nothing, many_files),
    scenario("restart", "the shipper restarted while files rotate", Needs::Control, restart),
    scenario("kill", "the shipper killed while files rotate", Needs::Control, kill),
    scenario("lost-state", "the shipper's state directory removed", Needs::Control, lost_state),
];

fn rename(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for _ in 0..5 {
        stage.write(stage.lines / 5)?;
        stage.rename()?;
    }
    Ok(stage.write(1)?)
}

fn rename_behind(stage: &mut Stage) -> anyhow::Result<()> {
    stage.write(stage.lines / 5)?;
    stage.wait();
    stage.subject.pause()?;
    for _ in 0..4 {
        stage.write(stage.lines / 5)?;
        stage.rename()?;
    }
    stage.subject.resume()
}

fn rename_fast(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for _ in 0..60 {
        stage.write(stage.lines / 60)?;
        stage.rename()?;
        sleep(FAST_ROTATION);
    }
    Ok(())
}

fn old_handle(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for _ in 0..3 {
        stage.write(stage.lines / 6)?;
        stage.shift()?;
        stage.write(stage.lines / 12)?;
        stage.wait();
        stage.write(stage.lines / 12)?;
        stage.reopen("app.log")?;
    }
    Ok(stage.write(1)?)
}

fn copytruncate(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for round in 0..6 {
        stage.write(stage.lines / 6)?;
        if round % 2 == 0 {
            stage.wait();
        }
        stage.copytruncate()?;
    }
    Ok(stage.write(1)?)
}

fn copytruncate_behind(stage: &mut Stage) -> anyhow::Result<()> {
    for _ in 0..3 {
        stage.write(stage.lines / 6)?;
        stage.wait();
        stage.subject.pause()?;
        stage.write(stage.lines / 6)?;
        stage.copytruncate()?;
        stage.write(stage.lines / 12)?;
        stage.subject.resume()?;
    }
    Ok(())
}

fn copytruncate_stopped(stage: &mut Stage) -> anyhow::Result<()> {
    for _ in 0..2 {
        stage.write(stage.lines / 4)?;
        stage.wait();
        stage.subject.stop()?;
        stage.write(stage.lines / 8)?;
        stage.copytruncate()?;
        stage.write(stage.lines / 16)?;
        stage.subject.start()?;
    }
    Ok(())
}

fn copytruncate_regrown(stage: &mut Stage) -> anyhow::Result<()> {
    stage.write(stage.lines / 8)?;
    stage.wait();
    stage.subject.stop()?;
    stage.write(stage.lines / 8)?;
    stage.copytruncate()?;
    stage.write(stage.lines / 2)?;
    stage.subject.start()
}

fn copytruncate_racing(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for _ in 0..4 {
        stage.write(stage.lines / 8)?;
        // What the other thread writes between the copy and the cut is nowhere any more.
        let text = stage.text(stage.lines / 8);
        let path = stage.path("app.log");
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || append_line_by_line(&path, &text));
            stage.copytruncate()?;
            writer.join().map_err(|_| anyhow::anyhow!("the writer has crashed"))??;
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

fn append_line_by_line(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().append(true).open(path)?;
    text.split_inclusive('\n').try_for_each(|line| file.write_all(line.as_bytes()))
}

fn same_head(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    let head = format!("{}\n", "=".repeat(999));
    for round in 0..4 {
        stage.write_bytes(head.as_bytes())?;
        stage.write(stage.lines / 4)?;
        if round % 2 == 0 {
            stage.wait();
            stage.copytruncate()?;
        } else {
            stage.rename()?;
        }
    }
    Ok(())
}

fn compress(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for _ in 0..5 {
        stage.write(stage.lines / 5)?;
        stage.rename()?;
        stage.compress()?;
    }
    Ok(stage.write(1)?)
}

fn compress_behind(stage: &mut Stage) -> anyhow::Result<()> {
    stage.write(stage.lines / 4)?;
    stage.wait();
    stage.subject.pause()?;
    for _ in 0..3 {
        stage.write(stage.lines / 4)?;
        stage.rename()?;
        stage.compress()?;
    }
    stage.subject.resume()
}

fn compress_stopped(stage: &mut Stage) -> anyhow::Result<()> {
    for _ in 0..2 {
        stage.write(stage.lines / 4)?;
        stage.wait();
        stage.subject.stop()?;
        stage.write(stage.lines / 8)?;
        stage.rename()?;
        stage.compress()?;
        stage.write(stage.lines / 8)?;
        stage.subject.start()?;
    }
    Ok(())
}

fn delete_behind(stage: &mut Stage) -> anyhow::Result<()> {
    for _ in 0..3 {
        stage.write(stage.lines / 6)?;
        stage.wait();
        stage.subject.pause()?;
        stage.write(stage.lines / 6)?;
        fs::remove_file(stage.path("app.log"))?;
        stage.reopen("app.log")?;
        stage.subject.resume()?;
    }
    Ok(())
}

fn recreate(stage: &mut Stage) -> anyhow::Result<()> {
    for _ in 0..20 {
        stage.write(stage.lines / 20)?;
        stage.wait();
        fs::remove_file(stage.path("app.log"))?;
        stage.reopen("app.log")?;
    }
    Ok(())
}

fn hard_link(stage: &mut Stage) -> anyhow::Result<()> {
    stage.write(stage.lines / 2)?;
    fs::hard_link(stage.path("app.log"), stage.path("same.log"))?;
    Ok(stage.write(stage.lines / 2)?)
}

fn turned_symlink(stage: &mut Stage) -> anyhow::Result<()> {
    let link = stage.path("current.log");
    for (target, lines) in [("a.data", 2), ("b.data", 2)] {
        // Turned by renaming a new link over the old one, as deployments do.
        let new = stage.path("new-link");
        stage.write_to(target, stage.lines / lines / 2)?;
        symlink(target, &new)?;
        fs::rename(&new, &link)?;
        stage.write_to(target, stage.lines / lines / 2)?;
        stage.wait();
    }
    Ok(())
}

fn slow_line(stage: &mut Stage) -> anyhow::Result<()> {
    stage.write(stage.lines / 10)?;
    for _ in 0..3 {
        let line = stage.text(1);
        let (first, second) = line.as_bytes().split_at(line.len() / 2);
        for byte in first {
            stage.write_bytes(std::slice::from_ref(byte))?;
        }
        stage.subject.stop()?;
        stage.subject.start()?;
        for byte in second {
            stage.write_bytes(std::slice::from_ref(byte))?;
        }
        stage.write(stage.lines / 10)?;
    }
    Ok(())
}

fn long_line(stage: &mut Stage) -> anyhow::Result<()> {
    for _ in 0..3 {
        stage.write(stage.lines / 6)?;
        stage.write_bytes(&vec![b'x'; LONG_LINE_BYTES])?;
        stage.write_bytes(b"\n")?;
        stage.write(stage.lines / 6)?;
    }
    Ok(())
}

fn many_files(stage: &mut Stage) -> anyhow::Result<()> {
    for round in 0..2 {
        for number in 0..MANY_FILES {
            stage.write_to(&format!("app-{number}.log"), (stage.lines / MANY_FILES / 2).max(1) + round)?;
        }
    }
    Ok(())
}

/// The shipper gets to know the directory: what was rotated before its very first start is not its business.
fn meet(stage: &mut Stage) -> anyhow::Result<()> {
    stage.write(1)?;
    stage.wait();
    Ok(())
}

fn restart(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for round in 0..6 {
        stage.write(stage.lines / 12)?;
        stage.subject.stop()?;
        stage.write(stage.lines / 12)?;
        if round % 2 == 0 {
            stage.rename()?;
        }
        stage.subject.start()?;
    }
    Ok(())
}

fn kill(stage: &mut Stage) -> anyhow::Result<()> {
    meet(stage)?;
    for round in 0..6 {
        stage.write(stage.lines / 12)?;
        // Wherever it happens to be: at its start, reading, or with all done.
        sleep(Duration::from_millis(stage.below(300)));
        stage.subject.kill()?;
        if round % 2 == 0 {
            stage.rename()?;
        }
        stage.write(stage.lines / 12)?;
        stage.subject.start()?;
    }
    Ok(())
}

fn lost_state(stage: &mut Stage) -> anyhow::Result<()> {
    stage.write(stage.lines / 2)?;
    stage.wait();
    stage.subject.stop()?;
    stage.subject.forget()?;
    stage.subject.start()?;
    Ok(stage.write(stage.lines / 2)?)
}

/// Rotates with the real logrotate, by the user's own directives, under a writer that opens its file for every write.
pub fn logrotate(stage: &mut Stage, logrotate: &Logrotate) -> anyhow::Result<()> {
    meet(stage)?;
    for _ in 0..5 {
        stage.write(stage.lines / 10)?;
        logrotate.rotate(&stage.path("app.log"))?;
        sleep(LOGROTATE_PAUSE);
        stage.reopen("app.log")?;
        stage.write(stage.lines / 10)?;
    }
    Ok(())
}
