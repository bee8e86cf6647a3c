//! One connection to Redis that is made anew when it breaks, and follows what it is for when that moves.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisError, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::target::{Node, Target};
use super::{advice, scripts};
use crate::BufferError;

/// A request that Redis carries out at once is answered within this, even while it forks or is full of work.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Between the first two attempts to connect; doubled after each that fails.
const RECONNECT_AFTER_MIN: Duration = Duration::from_millis(50);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(2);

/// How often one request is sent again because it has to go elsewhere, or wants its scripts loaded.
const REMEDIES_MAX: usize = 5;

/// A connection, or the intention to have one.
pub(super) struct Link {
    target: Arc<Target>,
    /// A key that the server has to hold: where the nodes of a cluster share them out.
    key: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Which connection it is: one that broke is dropped once, however many requests were on it.
    generation: u64,
    /// The node of the cluster that had the key last.
    owner: Option<Node>,
    failures: u32,
    not_before: Option<Instant>,
}

/// What has to be done before a command is sent again.
#[derive(PartialEq)]
enum Remedy {
    LoadScripts,
    /// The key is at another node now.
    Move(Node),
    /// The key is on its way to another node: ask there, this once.
    Ask(Node),
}

impl Link {
    /// Does not connect.
    pub(super) fn new(target: Arc<Target>, key: &str) -> Link {
        Link { target, key: key.to_owned(), state: Mutex::default() }
    }

    /// Another connection to the same place.
    pub(super) fn another(&self) -> Link {
        Link::new(self.target.clone(), &self.key)
    }

    pub(super) fn address(&self) -> &str {
        self.target.address()
    }

    /// Which connection is in use: another number means that it broke in between.
    pub(super) async fn generation(&self) -> u64 {
        self.state.lock().await.generation
    }

    /// Whether a request would first have to wait for the next attempt to connect.
    pub(super) async fn is_broken(&self) -> bool {
        let state = self.state.lock().await;
        state.connection.is_none() && state.not_before.is_some_and(|time| time > Instant::now())
    }

    /// Sends the commands and returns their answers, none of which is an error. `timeout`: for the answers.
    pub(super) async fn query(
        &self,
        request: &'static str,
        commands: &Pipeline,
        timeout: Duration,
    ) -> Result<Vec<Value>, BufferError> {
        let mut answers = self.send(commands, timeout).await?;
        for _ in 0..REMEDIES_MAX {
            let Some(remedy) = answers.iter().find_map(|answer| self.remedy(answer)) else { break };
            let ailing: Vec<usize> = (0..answers.len())
                .filter(|&index| self.remedy(&answers[index]).as_ref() == Some(&remedy))
                .collect();
            let fresh = self.send_again(remedy, &pick(commands, &ailing), timeout).await?;
            for (index, answer) in ailing.into_iter().zip(fresh) {
                answers[index] = answer;
            }
        }
        if answers.len() != commands.len() {
            return Err(self.unexpected(request, &Value::Array(answers)));
        }
        let answers: Result<Vec<Value>, RedisError> = answers.into_iter().map(Value::extract_error).collect();
        match answers {
            Ok(answers) => Ok(answers),
            Err(error) => {
                // Behind a name or a sentinel there may be another primary by now.
                if matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "CLUSTERDOWN")) {
                    self.state.lock().await.connection = None;
                }
                Err(self.refused(error))
            }
        }
    }

    /// An answer that does not belong to the request.
    pub(super) fn unexpected(&self, request: &'static str, answer: &Value) -> BufferError {
        let mut answer = format!("{answer:?}");
        answer.truncate(answer.floor_char_boundary(ANSWER_SHOWN_BYTES));
        BufferError::Unexpected { address: self.address().to_owned(), request, answer }
    }

    async fn send_again(
        &self,
        remedy: Remedy,
        commands: &Pipeline,
        timeout: Duration,
    ) -> Result<Vec<Value>, BufferError> {
        match remedy {
            Remedy::LoadScripts => {
                tracing::warn!(address = %self.address(), "redis forgot the scripts, loading them again");
                self.send(&scripts::load(), timeout).await?;
                self.send(commands, timeout).await
            }
            Remedy::Move(node) => {
                tracing::info!(address = %self.address(), host = %node.host, port = node.port, "the slot is at another node now");
                let mut state = self.state.lock().await;
                state.connection = None;
                state.owner = Some(node);
                drop(state);
                self.send(commands, timeout).await
            }
            Remedy::Ask(node) => {
                let mut connection = self.target.connect_node(&node).await?;
                let mut asking = redis::pipe();
                for command in commands.cmd_iter() {
                    asking.cmd("ASKING").add_command(command.clone());
                }
                let answers = self.await_answers(&mut connection, &asking, timeout).await?;
                Ok(answers.into_iter().skip(1).step_by(2).collect())
            }
        }
    }

    async fn send(&self, commands: &Pipeline, timeout: Duration) -> Result<Vec<Value>, BufferError> {
        let (mut connection, generation) = self.connection().await?;
        let result = self.await_answers(&mut connection, commands, timeout).await;
        if matches!(result, Err(BufferError::Disconnected { .. })) {
            self.forget(generation).await;
        }
        result
    }

    async fn await_answers(
        &self,
        connection: &mut MultiplexedConnection,
        commands: &Pipeline,
        timeout: Duration,
    ) -> Result<Vec<Value>, BufferError> {
        let sending = connection.send_packed_commands(commands, 0, commands.len());
        let result = match tokio::time::timeout(timeout, sending).await {
            Ok(result) => result,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        result.map_err(|error| match error.code() {
            Some(_) => self.refused(error),
            None => BufferError::Disconnected { address: self.address().to_owned(), source: error },
        })
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
        match self.target.connect(&self.key, state.owner.as_ref()).await {
            Ok((connection, owner)) => {
                *state = State {
                    connection: Some(connection.clone()),
                    generation: state.generation + 1,
                    owner: owner.or(state.owner.take()),
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

    async fn forget(&self, generation: u64) {
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.connection = None;
        }
    }

    fn remedy(&self, answer: &Value) -> Option<Remedy> {
        let Value::ServerError(error) = answer else { return None };
        let node = || Node::parse(error.details()?.split_ascii_whitespace().nth(1)?, "");
        match error.code() {
            "NOSCRIPT" => Some(Remedy::LoadScripts),
            "MOVED" if self.target.is_cluster() => node().map(Remedy::Move),
            "ASK" if self.target.is_cluster() => node().map(Remedy::Ask),
            _ => None,
        }
    }

    fn refused(&self, source: RedisError) -> BufferError {
        let advice = advice::of(&source).unwrap_or(advice::UNKNOWN);
        BufferError::Refused { address: self.address().to_owned(), advice, source }
    }
}

/// How much of an unexpected answer is shown: it may hold a frame.
const ANSWER_SHOWN_BYTES: usize = 200;

/// Some commands of a pipeline.
fn pick(commands: &Pipeline, indexes: &[usize]) -> Pipeline {
    let mut picked = redis::pipe();
    for (index, command) in commands.cmd_iter().enumerate() {
        if indexes.contains(&index) {
            picked.add_command(command.clone());
        }
    }
    picked
}

/// Whether Redis says that the stream or its group is not there.
pub(super) fn is_unknown_group(error: &BufferError) -> bool {
    matches!(error, BufferError::Refused { source, .. } if source.code() == Some("NOGROUP"))
}
