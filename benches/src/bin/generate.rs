//! Writes the inputs of the measurements: the same bytes for the same arguments, on every machine.
//!
//! `generate json|access LINES > FILE`: workload A, JSON lines of about 327 bytes with 11 keys and random 128-bit trace
//! ids; workload B, combined access-log lines of about 200 bytes.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use weir_record::Timestamp;

/// Events of the workloads are this far apart, in nanoseconds.
const STEP_NANOS: i64 = 1_000_000;

/// 2026-11-01T00:00:00Z.
const FIRST_NANOS: i64 = 1_793_491_200_000_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let line: fn(&mut dyn Write, &mut Random, i64) -> io::Result<()> =
        match arguments.first().map(String::as_str) {
            Some("json") => json_line,
            Some("access") => access_line,
            _ => return usage(),
        };
    let Some(lines) = arguments.get(1).and_then(|lines| lines.parse::<i64>().ok()) else { return usage() };
    match write_lines(line, lines) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: generate json|access LINES > FILE");
    ExitCode::from(2)
}

fn write_lines(line: fn(&mut dyn Write, &mut Random, i64) -> io::Result<()>, lines: i64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for number in 0..lines {
        line(&mut out, &mut random, number)?;
    }
    out.flush()
}

fn json_line(out: &mut dyn Write, random: &mut Random, number: i64) -> io::Result<()> {
    const LEVELS: [&str; 8] = ["info", "info", "info", "info", "debug", "debug", "warn", "error"];
    const METHODS: [&str; 4] = ["GET", "GET", "POST", "PUT"];
    const STATUSES: [u16; 6] = [200, 200, 200, 201, 404, 500];
    let time = moment(number, 6);
    let (level, method, status) = (random.pick(&LEVELS), random.pick(&METHODS), random.pick(&STATUSES));
    let (user, order, millis) = (random.below(100_000), random.below(1_000_000), random.below(2_000));
    let (trace_high, trace_low, span) = (random.next(), random.next(), random.next());
    writeln!(
        out,
        "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"logger\":\"com.example.shop.OrderController\",\"message\":\"handled {method} request for order {order}\",\"trace_id\":\"{trace_high:016x}{trace_low:016x}\",\"span_id\":\"{span:016x}\",\"http_method\":\"{method}\",\"status\":{status},\"duration_ms\":{millis},\"user_id\":\"u-{user}\",\"path\":\"/v1/orders/{order}\"}}"
    )
}

fn access_line(out: &mut dyn Write, random: &mut Random, number: i64) -> io::Result<()> {
    const METHODS: [&str; 4] = ["GET", "GET", "GET", "POST"];
    const STATUSES: [u16; 8] = [200, 200, 200, 200, 304, 301, 404, 500];
    const AGENTS: [&str; 2] = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0",
    ];
    let second = number * STEP_NANOS / 1_000_000_000;
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let (method, status, agent) = (random.pick(&METHODS), random.pick(&STATUSES), random.pick(&AGENTS));
    let (a, b, item, bytes) =
        (random.below(256), random.below(256), random.below(100_000), random.below(60_000));
    writeln!(
        out,
        "10.20.{a}.{b} - - [01/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"{method} /shop/items/{item}?ref=home HTTP/1.1\" {status} {bytes} \"https://shop.example/list\" \"{agent}\""
    )
}

fn moment(number: i64, digits: u8) -> Timestamp {
    Timestamp::from_nanos(FIRST_NANOS + number * STEP_NANOS + 123_000, digits).expect("after 1970")
}

/// xorshift64* (Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
