//! What a refusal of Redis means, and what to do.

use redis::RedisError;

/// What is said where nothing better is known.
pub(super) const UNKNOWN: &str = "this is not known here; see its words";

const LOGIN: &str = "it does not take this user and password; give the right ones under [buffer], or as \
                     redis://user:password@host";

const ADVICE: [(&str, &str); 14] = [
    ("OOM", "it is out of memory; raise its maxmemory, or lower the buffer's max_bytes"),
    ("LOADING", "it is loading its data, and will be there soon"),
    ("READONLY", "it is a read-only replica; give the address of the primary"),
    ("MISCONF", "it cannot write to its disk, and takes no writes until it can; see its log"),
    ("NOAUTH", "it wants a password; give it under [buffer], or as redis://:password@host"),
    ("WRONGPASS", LOGIN),
    ("NOPERM", "the user lacks the right to a command or key that Weir needs; see deploy/redis-acl.conf"),
    ("DENIED", "it is in protected mode: set a password there, or bind it to the loopback address"),
    ("MASTERDOWN", "it is a replica that lost its primary"),
    ("CLUSTERDOWN", "its cluster is down"),
    ("TRYAGAIN", "its cluster is moving the slot of this buffer"),
    ("MOVED", "it is a node of a cluster; write redis-cluster:// in place of redis://"),
    ("CROSSSLOT", "it is a node of a cluster; write redis-cluster:// in place of redis://"),
    ("BUSY", "it is busy with another client's script"),
];

/// None where the error is not a refusal.
pub(super) fn of(error: &RedisError) -> Option<&'static str> {
    // Scripts of older servers wrap the error of a command in one of their own.
    let text = error.to_string();
    let code = error.code().unwrap_or_default();
    let means = |word: &str| code == word || text.contains(&format!("-{word} "));
    ADVICE.iter().find(|(word, _)| means(word)).map(|(_, advice)| *advice).or_else(|| {
        if error.kind() == redis::ErrorKind::AuthenticationFailed {
            Some(LOGIN)
        } else if text.contains("max number of clients") {
            Some("it has no room for another client; raise its maxclients")
        } else {
            error.code().map(|_| UNKNOWN)
        }
    })
}
