//! Inputs that are not files, with the programs that really send to them: what was received is what arrives, once.

mod http;
mod journald;
mod stdin;
mod support;
mod syslog;
