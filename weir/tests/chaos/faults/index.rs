//! Faults of the index's server.

use rustix::process::Signal;
use serde_json::json;

use super::Play;
use crate::index::stream;
use crate::stage::{Server, lock};
use crate::support::request;
use crate::writers::SERVICES;

/// One node setting of a restart: real limits that make a real server refuse.
const SETTINGS: [&[&str]; 4] = [
    &[],
    &["thread_pool.write.size=1", "thread_pool.write.queue_size=1"],
    &["indexing_pressure.memory.limit=512kb"],
    &["http.max_content_length=128kb"],
];

/// One fault of the server.
pub fn fault(play: &mut Play<'_>, server: &Server) {
    match play.random.below(6) {
        0 => kill(play, server),
        1 | 2 => pause(play, server),
        _ => block(play, server),
    }
}

fn kill(play: &mut Play<'_>, server: &Server) {
    let mut node = lock(&server.node);
    let settings = play.random.choose(&SETTINGS);
    play.begin("index killed", &format!("then {settings:?}"));
    node.kill();
    play.hold();
    node.restart(settings);
    play.tell("started");
}

fn pause(play: &mut Play<'_>, server: &Server) {
    let length = play.length();
    play.begin("index stopped", &format!("for {length:.1?}"));
    let node = lock(&server.node);
    node.signal(Signal::STOP);
    play.clock.wait(length);
    node.signal(Signal::CONT);
    play.tell("goes on");
}

/// One data stream takes nothing: 403 for a write block, 429 for one by a full disk.
fn block(play: &mut Play<'_>, server: &Server) {
    let length = play.length();
    let service = play.random.choose(&SERVICES);
    let block = play.random.choose(&["write", "read_only_allow_delete"]);
    play.begin("stream blocked", &format!("{} by {block} for {length:.1?}", service.name));
    set_block(server, service.name, block, true);
    play.clock.wait(length);
    set_block(server, service.name, block, false);
    play.tell("takes documents");
}

/// A stream that is not there yet is not blocked.
fn set_block(server: &Server, service: &str, block: &str, on: bool) {
    let url = format!("{}/{}/_settings?ignore_unavailable=true", server.url, stream(service));
    let body = json!({ format!("index.blocks.{block}"): on }).to_string();
    let answer = request("PUT", &url, Some(&body));
    let accepted = matches!(answer, Some((200 | 404, _)));
    assert!(accepted, "the index does not take {body}: {answer:?}");
}
