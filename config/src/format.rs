//! The formats of lines, by the names that the configuration and `weir parse --format` take.

use std::fmt;
use std::str::FromStr;

macro_rules! formats {
    ($($(#[$attribute:meta])* $variant:ident $name:literal,)*) => {
        /// How a file's lines are written.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Format { $($(#[$attribute])* $variant,)* }

        impl Format {
            /// Every format, in the order in which they are documented.
            pub const ALL: &'static [Format] = &[$(Format::$variant,)*];

            /// Every format and its name.
            pub const NAMES: &'static [(&'static str, Format)] = &[$(($name, Format::$variant),)*];

            /// The name in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Format::$variant => $name,)* }
            }
        }
    };
}

// A new format: its line here, its name in weir.toml, its parser in the shipper's `parse::dispatch`.
formats! {
    /// Found out by itself, line by line where the file is mixed.
    #[default]
    Auto "auto",
    /// A JSON object a line, in any logger's dialect.
    Json "json",
    /// `key=value` pairs.
    Logfmt "logfmt",
    /// Access log with referrer and user agent, and what servers add behind them.
    Combined "combined",
    /// Access log (NCSA).
    Common "common",
    /// Access log of Envoy and Istio.
    Envoy "envoy",
    /// HTTP and TCP log of HAProxy.
    Haproxy "haproxy",
    /// Access log of Amazon's load balancers.
    Elb "elb",
    /// Server access log of Amazon S3.
    S3 "s3",
    /// Squid's native access log.
    Squid "squid",
    /// Error log of nginx.
    NginxError "nginx_error",
    /// Error log of Apache.
    ApacheError "apache_error",
    /// Syslog, RFC 3164 and RFC 5424, with or without `<PRI>`.
    Syslog "syslog",
    /// ArcSight's Common Event Format.
    Cef "cef",
    /// QRadar's Log Event Extended Format.
    Leef "leef",
    /// W3C extended log (IIS, CloudFront): `#Fields` names the columns.
    W3c "w3c",
    /// Values separated by commas, semicolons or bars, with a header or named columns.
    Csv "csv",
    /// Values separated by tabs, with a header or named columns.
    Tsv "tsv",
    /// Lines in the wrapping of containerd, CRI-O and Podman; what they hold is found out.
    Cri "cri",
    /// Lines in the wrapping of Docker's `json-file`; what they hold is found out.
    Docker "docker",
    /// The journal of systemd, as `journalctl --output=json` or `--output=export` writes it.
    Journald "journald",
    /// Kubernetes' and Google's text log.
    Klog "klog",
    /// Android's log, as logcat shows it.
    Logcat "logcat",
    /// Redis and Valkey.
    Redis "redis",
    /// PostgreSQL, with any of the usual prefixes.
    Postgresql "postgresql",
    /// Error log and slow log of MySQL and MariaDB.
    Mysql "mysql",
    /// MongoDB before 4.4, which writes JSON.
    Mongodb "mongodb",
    /// RabbitMQ.
    Rabbitmq "rabbitmq",
    /// Kafka, Hadoop, HDFS and Spark.
    Hadoop "hadoop",
    /// OpenStack's services.
    Openstack "openstack",
    /// Queries that CoreDNS answered, and its other lines.
    Coredns "coredns",
    /// Celery's workers.
    Celery "celery",
    /// Debian's package manager.
    Dpkg "dpkg",
    /// Plain lines with stack traces: log4j, logback, java.util.logging, Spring Boot.
    Java "java",
    /// Python's logging, with tracebacks.
    Python "python",
    /// Go's log, zap, and etcd's former log, with panics.
    Go "go",
    /// Lines of JavaScript programs, with errors and their stacks.
    Node "node",
    /// Rust's tracing and env_logger, with panics.
    Rust "rust",
    /// Ruby's Logger, with exceptions.
    Ruby "ruby",
    /// .NET's console, Serilog, NLog and log4net, with exceptions.
    Dotnet "dotnet",
    /// PHP's own log and Monolog, with exceptions.
    Php "php",
    /// Any text; a time stamp, a level and what else is usual at its start are recognised.
    Plain "plain",
}

/// The name is none of a format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {name:?}: use one of{}", Format::ALL.iter().map(|format| format!(" {format}")).collect::<String>())]
pub struct FormatError {
    /// What was asked for.
    pub name: String,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Format, FormatError> {
        let known = Format::ALL.iter().copied().find(|format| format.as_str() == name);
        known.ok_or_else(|| FormatError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_their_formats() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(*format));
        }
        assert!("yaml".parse::<Format>().expect_err("unknown").to_string().contains("yaml"));
    }
}
