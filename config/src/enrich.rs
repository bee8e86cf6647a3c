//! What is added to records beside what their lines say.

use crate::document::{Fault, Located};
use crate::reader::Reader;

/// Keys that a source and an input share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnrichConfig {
    /// `pipeline`: the ingest pipeline of Elasticsearch or OpenSearch that these records go through. Default: none, the
    /// index's own. Set it for what the steps of `shape` cannot do. Not checked here.
    pub pipeline: Option<Located<String>>,
    /// `geoip`: MaxMind databases (`.mmdb`) that tell where a `source.ip` is, and whose. Default: none. Not opened here.
    pub geoip: Vec<Located<String>>,
}

impl EnrichConfig {
    pub(crate) fn read(source: &mut Reader<'_, '_>) -> Self {
        Self { pipeline: source.text("pipeline"), geoip: source.texts("geoip") }
    }
}

const METADATA: [&str; 2] = ["cloud", "os"];

/// `metadata`: what every record says of the machine that it was written on. Default: its name alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetadataConfig {
    /// `cloud`: the instance and its place, from what cloud-init has found out. Default: no.
    pub cloud: bool,
    /// `os`: the name and version of the operating system, and the architecture. Default: no.
    pub os: bool,
}

impl MetadataConfig {
    pub(crate) fn read(root: &mut Reader<'_, '_>) -> Self {
        let mut read = Self::default();
        for name in root.texts("metadata") {
            match name.value.as_str() {
                "cloud" => read.cloud = true,
                "os" => read.os = true,
                other => {
                    let fault = Fault::new(name.span, format!("`{other}` is no value of `metadata`"));
                    root.fault(fault.with_help(format!("known: {}", METADATA.join(", "))));
                }
            }
        }
        read
    }
}
