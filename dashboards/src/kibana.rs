//! What Kibana needs to show Weir's records: a data view, a saved search and a dashboard, and their import.
//!
//! Reference: elastic.co/docs/api, saved objects, `POST /api/saved_objects/_import`.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use weir_indexer::elasticsearch::Credentials;

/// The saved objects, one JSON object a line: data view `logs-*`, saved search and dashboard "Logs".
pub const OBJECTS: &str = include_str!("../kibana/weir.ndjson");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Kibana migrates what it imports, and is slow at it on its first day.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of an answer that is not understood is shown.
const ANSWER_SHOWN_MAX: usize = 300;

/// Where Kibana is.
#[derive(Clone, Debug, Default)]
pub struct KibanaSettings {
    /// Its address, with base path and space where it has them: `https://kibana:5601/s/operations`.
    pub url: String,
    /// Who asks; none where security is switched off.
    pub credentials: Option<Credentials>,
    /// Certificates, PEM, that are trusted besides the system's.
    pub certificates: Vec<u8>,
}

/// Why nothing, or not everything, was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The certificates or the HTTP client's set-up are wrong.
    #[error("cannot set up the connection to Kibana at {url}")]
    Client {
        /// Kibana's address.
        url: String,
        /// What is wrong.
        source: reqwest::Error,
    },
    /// No answer.
    #[error("Kibana at {url} does not answer")]
    Unreachable {
        /// Kibana's address.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The credentials are refused.
    #[error(
        "Kibana at {url} refuses the credentials (HTTP {status}): it needs a user who may manage saved objects"
    )]
    Denied {
        /// Kibana's address.
        url: String,
        /// 401 or 403.
        status: StatusCode,
    },
    /// Another answer than that of an import.
    #[error("{url} does not answer as Kibana does (HTTP {status}): {answer}")]
    Unexpected {
        /// Kibana's address.
        url: String,
        /// Its status.
        status: StatusCode,
        /// The beginning of its answer.
        answer: String,
    },
    /// Kibana took the file, but not all of its objects.
    #[error("Kibana at {url} did not import {}", list(failures))]
    Refused {
        /// Kibana's address.
        url: String,
        /// `type id: reason`, one for each object.
        failures: Vec<String>,
    },
}

impl ImportError {
    /// Whether the same import may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            ImportError::Unreachable { .. } => true,
            ImportError::Unexpected { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            ImportError::Client { .. } | ImportError::Denied { .. } | ImportError::Refused { .. } => false,
        }
    }
}

fn list(failures: &[String]) -> String {
    if failures.is_empty() { "all objects".to_owned() } else { failures.join("; ") }
}

/// The answer to an import. Its status is 200 also where objects were refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    success: bool,
    #[serde(default)]
    success_count: u64,
    #[serde(default)]
    errors: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(rename = "type")]
    kind: String,
}

/// Imports [`OBJECTS`], replacing older ones of the same ids. Returns how many objects Kibana took.
pub async fn import(settings: &KibanaSettings) -> Result<u64, ImportError> {
    let url = shown_url(&settings.url);
    let client = client(settings).map_err(|source| ImportError::Client { url: url.clone(), source })?;
    let unreachable =
        |source: reqwest::Error| ImportError::Unreachable { url: url.clone(), source: source.without_url() };
    let answer = request(&client, settings).send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.text().await.map_err(unreachable)?;
    read_answer(url, status, &body)
}

fn client(settings: &KibanaSettings) -> reqwest::Result<Client> {
    let mut builder = Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(IMPORT_TIMEOUT);
    for certificate in Certificate::from_pem_bundle(&settings.certificates)? {
        builder = builder.add_root_certificate(certificate);
    }
    builder.build()
}

fn request(client: &Client, settings: &KibanaSettings) -> RequestBuilder {
    // Kibana looks at the file's name: it has to end in .ndjson.
    let form = Form::new().part("file", Part::text(OBJECTS).file_name("weir.ndjson"));
    let request = client
        .post(format!("{}/api/saved_objects/_import?overwrite=true", settings.url.trim_end_matches('/')))
        .header("kbn-xsrf", "true")
        .multipart(form);
    match &settings.credentials {
        None => request,
        Some(Credentials::Basic { user, password }) => request.basic_auth(user, Some(password)),
        Some(Credentials::Bearer(token)) => request.bearer_auth(token),
        Some(Credentials::ApiKey(key)) => match HeaderValue::from_str(&format!("ApiKey {key}")) {
            Ok(mut value) => {
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            // Not a key at all: Kibana's refusal says so.
            Err(_) => request,
        },
    }
}

fn read_answer(url: String, status: StatusCode, body: &str) -> Result<u64, ImportError> {
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(ImportError::Denied { url, status });
    }
    let answer: Answer = match serde_json::from_str(body) {
        Ok(answer) if status.is_success() => answer,
        _ => {
            let answer = body.chars().take(ANSWER_SHOWN_MAX).collect();
            return Err(ImportError::Unexpected { url, status, answer });
        }
    };
    if answer.success {
        return Ok(answer.success_count);
    }
    let failures = answer
        .errors
        .iter()
        .map(|failure| format!("{} {}: {}", failure.kind, failure.id, failure.error.kind));
    Err(ImportError::Refused { url, failures: failures.collect() })
}

/// The address without user and password.
fn shown_url(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}
