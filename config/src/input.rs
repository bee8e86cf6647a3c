//! `[[input]]`: what is received instead of read from files.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::document::{Fault, Located};
use crate::enrich::EnrichConfig;
use crate::format::Format;
use crate::multiline::Multiline;
use crate::reader::Reader;
use crate::redact::RedactConfig;
use crate::secret::Secret;
use crate::sections::{address, size};
use crate::shape::ShapeConfig;
use crate::source::check_timezone;

/// Smallest bound of a journal, in bytes: a request or two.
const JOURNAL_BYTES_MIN: u64 = 1 << 20;

/// One `[[input]]`: exactly one of `stdin`, `syslog`, `http` and `journald`, and what its lines are.
#[derive(Debug, Clone, PartialEq)]
pub struct InputConfig {
    /// What is listened to.
    pub kind: InputKind,
    /// `service`: value of `service.name`. Default: what the line states, else the input's name. Set it when all that is
    /// received is one service's.
    pub service: Option<String>,
    /// `format`: what a line is. Default: `syslog` for syslog, `journald` for the journal, else `auto`.
    pub format: Option<Format>,
    /// `multiline`: how lines are joined to one record. Default: `none` for syslog and the journal, whose messages are
    /// whole, else `auto`.
    pub multiline: Option<Multiline>,
    /// `timezone`: of time stamps without a zone, as in `[[source]]`. Default `local`.
    pub timezone: Located<String>,
    /// `environment`: value of `service.environment`. Default: none.
    pub environment: Option<String>,
    /// `labels`: constant `labels.*` of every record. Default: none.
    pub labels: BTreeMap<String, String>,
    /// `pipeline`, `geoip`: what is added to records. Default: nothing.
    pub enrich: EnrichConfig,
    /// `redact`, `redact_fields`, `redact_patterns`, `redact_key`: what is taken out of lines. Default: nothing.
    pub redact: RedactConfig,
    /// `[[input.shape]]`: what is done to parsed records, in this order. Default: nothing.
    pub shape: Vec<ShapeConfig>,
    /// `drop`: queries; a record that matches one is dropped and counted. Default: none. Not checked here.
    pub drop: Vec<Located<String>>,
    /// `max_bytes`: what may wait on disk, under `state`, to be indexed. Default 1 GiB. Above it the input refuses, or
    /// stops reading. Raise it to bridge longer outages.
    pub max_bytes: u64,
}

/// What an input receives from.
#[derive(Debug, Clone, PartialEq)]
pub enum InputKind {
    /// `stdin = true`: what is piped into the program.
    Stdin,
    /// `syslog = "udp://127.0.0.1:5514"`, `"tcp://..."` or `"tls://..."`.
    Syslog(SyslogConfig),
    /// `http = "127.0.0.1:9881"`: Elasticsearch's bulk protocol, and lines.
    Http(HttpConfig),
    /// `journald = true`: the journal of systemd.
    Journald(JournaldConfig),
}

/// Where syslog messages come in.
#[derive(Debug, Clone, PartialEq)]
pub struct SyslogConfig {
    /// How.
    pub transport: Transport,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// `cert`, `key` and `client_ca`: for `tls://`, and only there.
    pub tls: Option<TlsConfig>,
}

/// How syslog messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram, one message (RFC 5426).
    Udp,
    /// A stream, messages counted or ended by a newline (RFC 6587).
    Tcp,
    /// The same, encrypted (RFC 5425).
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        })
    }
}

/// Who this server is, and whom it trusts.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsConfig {
    /// `cert`: PEM file of the certificate and those above it.
    pub cert: PathBuf,
    /// `key`: PEM file of its private key.
    pub key: PathBuf,
    /// `client_ca`: PEM file of the authority that signed the senders' certificates. Default: none, any sender is taken.
    pub client_ca: Option<PathBuf>,
}

/// How agents send by HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// `token`: what senders have to show, as `Authorization: Bearer TOKEN`. Default: none.
    pub token: Option<Secret>,
    /// `allow_remote`: whether other machines may send although there is no `token`. Default false.
    pub allow_remote: bool,
}

/// What is read of the journal of systemd.
#[derive(Debug, Clone, PartialEq)]
pub struct JournaldConfig {
    /// `units`: only these; patterns as `journalctl --unit` knows them. Default: everything.
    pub units: Vec<String>,
    /// `journalctl`: the program. Default `journalctl`.
    pub program: PathBuf,
    /// `arguments`: further arguments of it, such as `--directory=/var/log/journal/remote`. Default: none.
    pub arguments: Vec<String>,
}

impl InputConfig {
    /// Standard input, all else default: what a pipe or `-` on the command line means.
    pub fn stdin() -> Self {
        Self {
            kind: InputKind::Stdin,
            service: None,
            format: None,
            multiline: None,
            timezone: Located::from("local".to_owned()),
            environment: None,
            labels: BTreeMap::new(),
            enrich: EnrichConfig::default(),
            redact: RedactConfig::default(),
            shape: Vec::new(),
            drop: Vec::new(),
            max_bytes: 1 << 30,
        }
    }

    pub(crate) fn read(input: &mut Reader<'_, '_>) -> Option<Self> {
        let kind = read_kind(input);
        let default = Self::stdin();
        let timezone = input.text("timezone").unwrap_or(default.timezone);
        check_timezone(input, &timezone);
        let rest = Self {
            kind: InputKind::Stdin,
            service: input.text("service").map(|text| text.value),
            format: input.choice("format", Format::NAMES),
            multiline: Multiline::read(input),
            timezone,
            environment: input.text("environment").map(|text| text.value),
            labels: input.string_table("labels").into_iter().collect(),
            enrich: EnrichConfig::read(input),
            redact: RedactConfig::read(input),
            shape: input.sections("shape", ShapeConfig::read).into_iter().flatten().collect(),
            drop: input.strings("drop"),
            max_bytes: size(input, "max_bytes", JOURNAL_BYTES_MIN, u64::MAX, default.max_bytes),
        };
        Some(Self { kind: kind?, ..rest })
    }
}

/// Every key of every kind is asked for, so that each is known and a wrong one is found even beside another fault.
fn read_kind(input: &mut Reader<'_, '_>) -> Option<InputKind> {
    let stdin = input.flag("stdin", false).then_some(InputKind::Stdin);
    let syslog = read_syslog(input).map(InputKind::Syslog);
    let http = read_http(input).map(InputKind::Http);
    let journald = read_journald(input).map(InputKind::Journald);
    let mut kinds: Vec<_> = [stdin, syslog, http, journald].into_iter().flatten().collect();
    let kind = kinds.pop();
    let message = match (&kind, kinds.is_empty()) {
        (Some(_), true) => return kind,
        // What was given and is wrong has its own fault.
        (None, _) if input.asked_and_given(&["syslog", "http"]) => return None,
        (None, _) => "this input receives from nowhere",
        (Some(_), false) => "an input receives from one place: write an [[input]] for each",
    };
    let help = "add one of stdin = true, syslog = \"udp://127.0.0.1:5514\", http = \"127.0.0.1:9881\", journald = true";
    input.fault(Fault::new(input.span(), message).with_help(help));
    None
}

fn read_syslog(input: &mut Reader<'_, '_>) -> Option<SyslogConfig> {
    let listen = input.parsed("syslog", |text| {
        let fault = || format!("`{text}` is no place for syslog: write \"udp://127.0.0.1:5514\", \"tcp://...\" or \"tls://...\"");
        let (scheme, listen) = text.split_once("://").ok_or_else(fault)?;
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return Err(fault()),
        };
        let listen = listen.trim_end_matches('/').parse::<SocketAddr>().map_err(|_| fault())?;
        Ok((transport, listen))
    });
    let tls = read_tls(input, listen.map(|(transport, _)| transport));
    let (transport, listen) = listen?;
    (transport != Transport::Tls || tls.is_some()).then_some(SyslogConfig { transport, listen, tls })
}

fn read_tls(input: &mut Reader<'_, '_>, transport: Option<Transport>) -> Option<TlsConfig> {
    let (cert, key) = (input.text("cert"), input.text("key"));
    let client_ca = input.text("client_ca");
    if transport == Some(Transport::Tls) {
        let (Some(cert), Some(key)) = (cert, key) else {
            let fault = Fault::new(input.span(), "a tls:// input needs a `cert` and its `key`");
            input.fault(
                fault.with_help("add cert = \"/etc/weir/server.pem\" and key = \"/etc/weir/server.key\""),
            );
            return None;
        };
        let client_ca = client_ca.map(|path| path.value.into());
        return Some(TlsConfig { cert: cert.value.into(), key: key.value.into(), client_ca });
    }
    for unused in [cert, key, client_ca].into_iter().flatten() {
        input.fault(Fault::new(unused.span, "only syslog over tls:// has certificates"));
    }
    None
}

fn read_http(input: &mut Reader<'_, '_>) -> Option<HttpConfig> {
    let listen = address(input, "http");
    let token = input.secret("token");
    let allow_remote = input.flag("allow_remote", false);
    let Some(listen) = listen else {
        if let Some(token) = token {
            input.fault(Fault::new(token.span, "only `http` has a token"));
        }
        return None;
    };
    if !listen.ip().is_loopback() && token.is_none() && !allow_remote {
        let message = format!("everybody who reaches {listen} could send records");
        let help = "add a token = { file = \"...\" }, or allow_remote = true, or listen on 127.0.0.1";
        input.fault(Fault::new(input.span(), message).with_help(help));
    }
    Some(HttpConfig { listen, token: token.map(|token| token.value), allow_remote })
}

fn read_journald(input: &mut Reader<'_, '_>) -> Option<JournaldConfig> {
    let is_wanted = input.flag("journald", false);
    let config = JournaldConfig {
        units: input.texts("units").into_iter().map(|unit| unit.value).collect(),
        program: input.path("journalctl", "journalctl"),
        arguments: input.texts("arguments").into_iter().map(|argument| argument.value).collect(),
    };
    is_wanted.then_some(config)
}
