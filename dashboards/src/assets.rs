//! The page's own files, embedded into the program.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "web/"]
struct Web;

/// Answers a file of the page; `/` is `index.html`. Browsers keep a copy and ask whether it is still the same.
pub(crate) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let (Some(file), Some(kind)) = (Web::get(path), content_type(path)) else {
        return (StatusCode::NOT_FOUND, "there is no such page here\n").into_response();
    };
    let tag = entity_tag(&file);
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let common = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if asked == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, kind)], file.data).into_response()
}

fn entity_tag(file: &EmbeddedFile) -> String {
    let hash: String =
        file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"")
}

fn content_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_has_a_content_type() {
        let mut files = 0;
        for path in Web::iter() {
            assert!(content_type(&path).is_some(), "{path}");
            files += 1;
        }
        assert!(files > 5, "{files}");
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_writes_no_markup_from_data() {
        for path in Web::iter() {
            let file = Web::get(&path).expect("listed");
            let text = String::from_utf8(file.data.into_owned()).expect("the page's files are text");
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in ["http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("]
            {
                assert!(!text.contains(forbidden), "{path} contains {forbidden}");
            }
        }
    }
}
