//! Faults of the networks before Redis and before the index.

use std::time::Duration;

use super::Play;
use crate::proxy::{Answer, Fault, Heal, Proxy};
use crate::stage::Server;

/// One fault of the network before Redis.
pub fn redis(play: &mut Play<'_>) {
    let (name, fault) = connection(play);
    happen(play, &play.stage.redis_network, name, fault);
}

/// One fault of the network before the index, or of a server that refuses.
pub fn index(play: &mut Play<'_>, server: &Server) {
    let (name, fault) = if play.random.below(2) == 0 { connection(play) } else { refusal(play) };
    happen(play, &server.network, name, fault);
}

fn connection(play: &mut Play<'_>) -> (&'static str, Fault) {
    let random = &mut play.random;
    match random.below(6) {
        0 => ("network cut", Fault::Cut),
        1 => ("network silent", Fault::Silence),
        2 => ("network slow to answer", Fault::Latency(Duration::from_millis(20 + random.below(480)))),
        3 => ("network of single bytes", Fault::Trickle),
        4 => ("network narrow", Fault::Slow(4_000 + random.below(60_000) as u32)),
        _ => ("answers cut off", Fault::ResetAnswer(random.below(2_000))),
    }
}

fn refusal(play: &mut Play<'_>) -> (&'static str, Fault) {
    let status = play.random.choose(&[429, 500, 502, 503, 504]);
    match play.random.below(4) {
        0 => ("answers garbled", Fault::Answer(Answer::Garbled)),
        1 => ("documents refused", Fault::Answer(Answer::Items(play.random.choose(&[429, 503])))),
        _ => ("requests refused", Fault::Answer(Answer::Status(status))),
    }
}

fn happen(play: &mut Play<'_>, network: &Proxy, name: &'static str, fault: Fault) {
    let length = play.length();
    let heal = play.random.choose(&[Heal::Resume, Heal::Reset, Heal::Forget]);
    play.begin(name, &format!("{fault:?} for {length:.1?}, then {heal:?}"));
    network.begin(fault);
    play.clock.wait(length);
    network.end(heal);
    play.tell("works");
}
