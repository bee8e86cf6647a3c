//! What is taken out of lines before they leave the host: four keys that a source and an input share.

use crate::document::{Fault, Located};
use crate::reader::Reader;
use crate::secret::Secret;

const KINDS: [&str; 3] = ["secrets", "email", "card"];

/// What to take out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RedactConfig {
    /// `redact` names `secrets`: bearer tokens, JSON web tokens, cloud keys, private keys, passwords. Default: no.
    pub secrets: bool,
    /// `redact` names `email`: e-mail addresses. Default: no.
    pub email: bool,
    /// `redact` names `card`: numbers of payment cards. Default: no.
    pub card: bool,
    /// `redact_fields`: names whose values go, wherever `name=value` or `"name": "value"` stands. Default: none.
    pub fields: Vec<String>,
    /// `redact_patterns`: regular expressions; their groups go, or all of a match. Default: none. Not checked here.
    pub patterns: Vec<Located<String>>,
    /// `redact_key`: a keyed hash stands in the place of what was taken out, so that equal values can be told to be
    /// equal. Default: none, a mask.
    pub key: Option<Located<Secret>>,
}

impl RedactConfig {
    pub(crate) fn read(source: &mut Reader<'_, '_>) -> Self {
        let mut read = Self {
            fields: source.texts("redact_fields").into_iter().map(|text| text.value).collect(),
            patterns: source.strings("redact_patterns"),
            key: source.secret("redact_key"),
            ..Self::default()
        };
        for kind in source.texts("redact") {
            match kind.value.as_str() {
                "secrets" => read.secrets = true,
                "email" => read.email = true,
                "card" => read.card = true,
                other => {
                    let fault = Fault::new(kind.span, format!("`{other}` is no value of `redact`"));
                    source.fault(fault.with_help(format!("known: {}", KINDS.join(", "))));
                }
            }
        }
        read
    }
}
