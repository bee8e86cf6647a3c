//! The body of a request: read within bounds, decompressed within bounds, cut into lines.

use std::io::Read as _;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::input::line::push_message;

/// Largest body, before and after decompression: above what agents send (Logstash 20 MB, Vector 10 MB, Fluent Bit 2 MB).
pub(super) const BODY_BYTES_MAX: usize = 32 << 20;

/// A body has to have come within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is larger than [`BODY_BYTES_MAX`].
    #[error("the body has more than {BODY_BYTES_MAX} bytes: send less at once")]
    TooLarge,
    /// It did not come, or not whole.
    #[error("the body did not come")]
    Broken,
    /// It is compressed in a way that is not known here.
    #[error("the content encoding is not known here: use gzip or none")]
    Encoding,
    /// It is not what its encoding says.
    #[error("the body cannot be decompressed")]
    Damaged,
}

impl BodyError {
    /// What it is answered with.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Broken => StatusCode::REQUEST_TIMEOUT,
            BodyError::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::Damaged => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body as it came.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, BodyError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
        return Err(BodyError::TooLarge);
    }
    // One byte more tells a body that is too large from one that broke off.
    match timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_limit(&error) => Err(BodyError::TooLarge),
        Ok(Err(_)) | Err(_) => Err(BodyError::Broken),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("limit"))
}

/// Undoes the content encoding.
pub(super) fn decode(headers: &HeaderMap, body: Vec<u8>) -> Result<Vec<u8>, BodyError> {
    let encoding =
        headers.get(header::CONTENT_ENCODING).map_or(Some("identity"), |value| value.to_str().ok());
    match encoding.unwrap_or_default() {
        "identity" | "" => Ok(body),
        "gzip" | "x-gzip" => {
            let mut decoded = Vec::new();
            let limit = BODY_BYTES_MAX as u64 + 1;
            let read = MultiGzDecoder::new(&body[..]).take(limit).read_to_end(&mut decoded);
            read.map_err(|_| BodyError::Damaged)?;
            if decoded.len() > BODY_BYTES_MAX { Err(BodyError::TooLarge) } else { Ok(decoded) }
        }
        _ => Err(BodyError::Encoding),
    }
}

/// Lines, or the elements of a JSON array: one line each.
pub(super) fn lines(body: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(body.len() + 1);
    let elements =
        body.trim_ascii_start().starts_with(b"[").then(|| serde_json::from_slice::<Vec<&RawValue>>(body));
    if let Some(Ok(elements)) = elements {
        for element in elements {
            // Between tokens a newline is a blank like any other; inside strings there is none.
            push_message(element.get().replace(['\n', '\r'], " ").as_bytes(), &mut lines);
        }
    } else {
        for line in body.split(|&byte| byte == b'\n') {
            push_message(line, &mut lines);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_body_is_lines_or_an_array() {
        let check = |body: &str, expected: &str| {
            assert_eq!(String::from_utf8(lines(body.as_bytes())).expect("text"), expected);
        };
        check("a\r\n\nb", "a\nb\n");
        check("{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":2}\n");
        check(" [{\"a\":\n1},\n\"text\"]", "{\"a\": 1}\n\"text\"\n");
        check("[not JSON]\n", "[not JSON]\n");
        check("", "");
    }

    #[test]
    fn a_bomb_is_refused_and_so_is_what_is_damaged_or_unknown() {
        let pack = |bytes: usize| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(&vec![b'x'; bytes]).expect("packed");
            encoder.finish().expect("packed")
        };
        let with = |encoding: &'static str, body: Vec<u8>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static(encoding));
            decode(&headers, body)
        };
        assert_eq!(with("gzip", pack(1000)).expect("decoded").len(), 1000);
        assert!(matches!(with("gzip", pack(BODY_BYTES_MAX + 1)), Err(BodyError::TooLarge)));
        let damaged = with("gzip", b"no gzip".to_vec());
        assert!(matches!(damaged, Err(BodyError::Damaged)));
        assert!(matches!(with("br", Vec::new()), Err(BodyError::Encoding)));
    }
}
