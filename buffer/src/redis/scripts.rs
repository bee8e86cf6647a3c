//! The scripts that Redis runs: each request is atomic there, whatever happens to us.

use std::sync::LazyLock;

/// One script and its hash.
pub(super) struct Script {
    code: &'static str,
    sha: LazyLock<String>,
}

macro_rules! script {
    ($($file:literal)+) => {{
        const CODE: &str = concat!($(include_str!($file)),+);
        Script { code: CODE, sha: LazyLock::new(|| redis::Script::new(CODE).get_hash().to_owned()) }
    }};
}

pub(super) static PUSH: Script = script!("entry.lua" "push.lua");
pub(super) static ACKNOWLEDGE: Script = script!("entry.lua" "common.lua" "acknowledge.lua");
pub(super) static RECLAIM: Script = script!("entry.lua" "reclaim.lua");
pub(super) static HOLD: Script = script!("entry.lua" "hold.lua");
pub(super) static PARK: Script = script!("entry.lua" "park.lua");
pub(super) static REWIND: Script = script!("entry.lua" "common.lua" "rewind.lua");
pub(super) static LIVE: Script = script!("live.lua");
pub(super) static MEND: Script = script!("entry.lua" "common.lua" "mend.lua");
pub(super) static CHECK: Script = script!("entry.lua" "common.lua" "check.lua");
pub(super) static PRUNE: Script = script!("entry.lua" "common.lua" "prune.lua");
pub(super) static GROUP: Script = script!("entry.lua" "group.lua");
pub(super) static LEDGER: Script = script!("entry.lua" "common.lua" "ledger.lua");

pub(super) static PENDING: Script = script!("entry.lua" "pending.lua");

static ALL: [&Script; 13] = [
    &PUSH,
    &ACKNOWLEDGE,
    &RECLAIM,
    &HOLD,
    &PARK,
    &REWIND,
    &LIVE,
    &MEND,
    &CHECK,
    &PRUNE,
    &GROUP,
    &LEDGER,
    &PENDING,
];

impl Script {
    /// `EVALSHA sha count keys...`, to which the arguments are added. `bytes`: about how many those have.
    pub(super) fn call(&self, keys: &[&str], bytes: usize) -> redis::Cmd {
        let mut command = redis::Cmd::with_capacity(16 + keys.len(), 512 + bytes);
        command.arg("EVALSHA").arg(self.sha.as_str()).arg(keys.len()).arg(keys);
        command
    }
}

/// Loads all of them.
pub(super) fn load() -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for script in ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.code);
    }
    pipeline
}
