//! One connection to Redis that is made anew when it breaks.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, RedisError, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::scripts;
use crate::BufferError;

/// To connect, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request that Redis carries out at once is answered within this, even while it forks or is full of work.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Between the first two attempts to connect; doubled after each that fails.
const RECONNECT_AFTER_MIN: Duration = Duration::from_millis(50);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(2);

/// A connection, or the intention to have one.
pub(super) struct Link {
    client: Client,
    address: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Which connection it is: one that broke is dropped once, however many requests were on it.
    generation: u64,
    failures: u32,
    not_before: Option<Instant>,
}

impl Link {
    /// Reads the URL; does not connect.
    pub(super) fn new(url: &str) -> Result<Link, BufferError> {
        // The library's own words may hold the password.
        let invalid = |_: RedisError| BufferError::Url {
            reason: "it has to be redis://[[user]:password@]host[:port][/database], rediss://... (TLS), \
                     or unix:///path/of/the.sock"
                .to_owned(),
        };
        let info = url.into_connection_info().map_err(invalid)?;
        let address = info.addr().to_string();
        let settings = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(settings)).map_err(invalid)?;
        Ok(Link { client, address, state: Mutex::default() })
    }

    /// Another connection to the same place.
    pub(super) fn another(&self) -> Link {
        Link { client: self.client.clone(), address: self.address.clone(), state: Mutex::default() }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Which connection is in use: another number means that it broke in between.
    pub(super) async fn generation(&self) -> u64 {
        self.state.lock().await.generation
    }

    /// Sends the commands and returns their answers, none of which is an error. `timeout`: for the answers.
    pub(super) async fn query(
        &self,
        request: &'static str,
        commands: &Pipeline,
        timeout: Duration,
    ) -> Result<Vec<Value>, BufferError> {
        let mut answers = self.send(commands, timeout).await?;
        let unknown: Vec<usize> =
            (0..answers.len()).filter(|&index| is_unknown_script(&answers[index])).collect();
        if !unknown.is_empty() {
            tracing::warn!(address = %self.address, "redis forgot the scripts, loading them again");
            self.send(&scripts::load(), timeout).await?;
            let mut again = redis::pipe();
            for (index, command) in commands.cmd_iter().enumerate() {
                if unknown.contains(&index) {
                    again.add_command(command.clone());
                }
            }
            for (index, answer) in unknown.into_iter().zip(self.send(&again, timeout).await?) {
                answers[index] = answer;
            }
        }
        if answers.len() != commands.len() {
            return Err(self.unexpected(request, &Value::Array(answers)));
        }
        answers
            .into_iter()
            .map(|answer| answer.extract_error().map_err(|error| self.refused(error)))
            .collect()
    }

    /// An answer that does not belong to the request.
    pub(super) fn unexpected(&self, request: &'static str, answer: &Value) -> BufferError {
        let mut answer = format!("{answer:?}");
        answer.truncate(answer.floor_char_boundary(ANSWER_SHOWN_BYTES));
        BufferError::Unexpected { address: self.address.clone(), request, answer }
    }

    async fn send(&self, commands: &Pipeline, timeout: Duration) -> Result<Vec<Value>, BufferError> {
        let (mut connection, generation) = self.connection().await?;
        let sending = connection.send_packed_commands(commands, 0, commands.len());
        let result = match tokio::time::timeout(timeout, sending).await {
            Ok(result) => result,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        match result {
            Ok(answers) => Ok(answers),
            Err(error) if error.code().is_some() => Err(self.refused(error)),
            Err(source) => {
                self.forget(generation).await;
                Err(BufferError::Disconnected { address: self.address.clone(), source })
            }
        }
    }

    /// The connection, and its generation. Attempts to make one are paced here, so callers need not wait themselves.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), BufferError> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.generation));
        }
        if let Some(not_before) = state.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        match self.connect().await {
            Ok(connection) => {
                *state = State {
                    connection: Some(connection.clone()),
                    generation: state.generation + 1,
                    failures: 0,
                    not_before: None,
                };
                Ok((connection, state.generation))
            }
            Err(error) => {
                let wait = RECONNECT_AFTER_MIN.saturating_mul(1 << state.failures.min(10));
                state.not_before = Some(Instant::now() + wait.min(RECONNECT_AFTER_MAX));
                state.failures += 1;
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, BufferError> {
        // Requests have their own time limits: a claim waits on purpose.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let preparation = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            let info: Value =
                redis::cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap_or_default();
            let scripts = scripts::load();
            let loaded = connection.send_packed_commands(&scripts, 0, scripts.len()).await?;
            loaded.into_iter().try_for_each(|answer| answer.extract_error().map(drop))?;
            Ok((connection, info))
        };
        let result = match tokio::time::timeout(CONNECT_TIMEOUT, preparation).await {
            Ok(result) => result,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        };
        match result {
            Ok((connection, info)) => self.check_eviction_policy(&info).map(|()| connection),
            Err(error) if advice(&error).is_some() => Err(self.refused(error)),
            Err(source) => Err(BufferError::Connect { address: self.address.clone(), source }),
        }
    }

    /// Any other policy may throw away the whole stream at once. A server that hides it is taken at its word.
    fn check_eviction_policy(&self, info: &Value) -> Result<(), BufferError> {
        let Value::BulkString(text) = info else { return Ok(()) };
        let text = String::from_utf8_lossy(text);
        match text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")) {
            Some(policy) if policy != "noeviction" => {
                Err(BufferError::EvictionPolicy { address: self.address.clone(), policy: policy.to_owned() })
            }
            _ => Ok(()),
        }
    }

    async fn forget(&self, generation: u64) {
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.connection = None;
        }
    }

    fn refused(&self, source: RedisError) -> BufferError {
        let advice = advice(&source).unwrap_or("this is not known here; see its words");
        BufferError::Refused { address: self.address.clone(), advice, source }
    }
}

/// How much of an unexpected answer is shown: it may hold a frame.
const ANSWER_SHOWN_BYTES: usize = 200;

fn is_unknown_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// Whether Redis says that the stream or its group is not there.
pub(super) fn is_unknown_group(error: &BufferError) -> bool {
    matches!(error, BufferError::Refused { source, .. } if source.code() == Some("NOGROUP"))
}

/// What a refusal of Redis means, and what to do; none where the error is not a refusal.
fn advice(error: &RedisError) -> Option<&'static str> {
    // Scripts of older servers wrap the error of a command in one of their own.
    let text = error.to_string();
    let code = error.code().unwrap_or_default();
    let means = |word: &str| code == word || text.contains(&format!("-{word} "));
    ADVICE.iter().find(|(word, _)| means(word)).map(|(_, advice)| *advice).or_else(|| {
        if error.kind() == redis::ErrorKind::AuthenticationFailed {
            Some(LOGIN_ADVICE)
        } else if text.contains("max number of clients") {
            Some("it has no room for another client; raise its maxclients")
        } else {
            error.code().map(|_| "this is not known here; see its words")
        }
    })
}

const LOGIN_ADVICE: &str = "it does not take this user and password; give them as redis://user:password@host";

const ADVICE: [(&str, &str); 11] = [
    ("OOM", "it is out of memory; raise its maxmemory, or lower the buffer's max_bytes"),
    ("LOADING", "it is loading its data, and will be there soon"),
    ("READONLY", "it is a read-only replica; give the address of the primary"),
    ("MISCONF", "it cannot write to its disk, and takes no writes until it can; see its log"),
    ("NOAUTH", "it wants a password; give it as redis://:password@host"),
    ("WRONGPASS", LOGIN_ADVICE),
    ("NOPERM", "the user lacks the right to a command or key that Weir needs"),
    ("DENIED", "it is in protected mode: set a password there, or bind it to the loopback address"),
    ("MASTERDOWN", "it is a replica that lost its primary"),
    ("CLUSTERDOWN", "its cluster is down"),
    ("BUSY", "it is busy with another client's script"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_without_repeating_its_password() {
        for url in
            ["http://user:geheim@host", "redis://:geheim@host:port", "geheim", "redis://:geheim@host/x"]
        {
            let error = Link::new(url).err().expect(url).to_string();
            assert!(error.contains("redis://") && !error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn the_address_of_each_kind_of_url_is_shown_without_the_password() {
        let address = |url: &str| Link::new(url).expect(url).address().to_owned();
        assert_eq!(address("redis://user:geheim@example.net:6380/3"), "example.net:6380");
        assert_eq!(address("rediss://:geheim@example.net"), "example.net:6379");
        assert_eq!(address("unix:///run/redis.sock?pass=geheim"), "/run/redis.sock");
        assert_eq!(address("redis+unix:///run/redis.sock"), "/run/redis.sock");
    }
}
