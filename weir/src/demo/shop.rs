//! What the demo services say: one request at a time.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The services' log files.
pub const SERVICES: [&str; 4] = ["gateway.log", "checkout.log", "inventory.log", "payments.log"];

const GATEWAY: usize = 0;
const CHECKOUT: usize = 1;
const INVENTORY: usize = 2;
const PAYMENTS: usize = 3;

const PRODUCTS: [&str; 6] =
    ["espresso-machine", "notebook", "rain-jacket", "desk-lamp", "tea-kettle", "headphones"];
const PAGES: [&str; 6] = ["/", "/products", "/products/42", "/search?q=lamp", "/static/app.js", "/api/cart"];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Version/19.1 Mobile Safari/604.1",
    "curl/8.14.1",
];

/// The state of the story.
pub struct Shop {
    random: Random,
    orders: u64,
}

/// The lines of one moment: an index into [`SERVICES`], and whole lines.
type Lines = Vec<(usize, String)>;

impl Shop {
    /// The same `seed` tells the same story.
    pub fn new(seed: u64) -> Shop {
        Shop { random: Random(seed | 1), orders: 1000 }
    }

    /// A pause around `mean`.
    pub fn pause(&mut self, mean: Duration) -> Duration {
        mean * (self.random.below(200) as u32) / 100
    }

    /// What happens at one moment: mostly somebody looks at a page, every third buys.
    pub fn request(&mut self, at: SystemTime) -> Lines {
        if self.random.below(3) > 0 && self.orders > 1000 { self.visit(at) } else { self.checkout(at) }
    }

    fn visit(&mut self, at: SystemTime) -> Lines {
        let page = self.random.pick(&PAGES);
        let status = if self.random.below(40) == 0 { 404 } else { 200 };
        let bytes = 300 + self.random.below(40_000);
        vec![(GATEWAY, self.access_line(at, "GET", page, status, bytes))]
    }

    fn checkout(&mut self, at: SystemTime) -> Lines {
        self.orders += 1;
        let order = self.orders;
        let trace = format!("{:016x}{:016x}", self.random.next(), self.random.next());
        let user = 100 + self.random.below(900);
        let product = self.random.pick(&PRODUCTS);
        let cents = 500 + self.random.below(30_000);
        let trouble = self.random.below(25);
        let mut lines = vec![
            (CHECKOUT, self.json_line(at, "info", "checkout started", &trace, &format!(r#","order_id":{order},"user_id":{user},"items":[{{"product":"{product}","quantity":1}}]"#))),
            (INVENTORY, self.java_line(at, "INFO", &trace, "ReservationService", &format!("Reserving 1 x {product} for order {order}"))),
        ];
        match trouble {
            0 => lines.extend(self.sold_out(at, &trace, order, product)),
            1 => lines.extend(self.card_declined(at, &trace, order, cents)),
            _ => lines.extend(self.paid(at, &trace, order, cents)),
        }
        lines
    }

    fn paid(&mut self, at: SystemTime, trace: &str, order: u64, cents: u64) -> Lines {
        let millis = 20 + self.random.below(180);
        let level = if millis > 180 { "warn" } else { "info" };
        vec![
            (
                PAYMENTS,
                format!(
                    "time={} level={level} msg=\"payment captured\" order={order} amount={}.{:02} currency=EUR duration={millis}ms trace_id={trace}\n",
                    iso(at, 3),
                    cents / 100,
                    cents % 100
                ),
            ),
            (
                CHECKOUT,
                self.json_line(
                    at,
                    "info",
                    "order placed",
                    trace,
                    &format!(r#","order_id":{order},"total_cents":{cents},"duration_ms":{}"#, millis + 31),
                ),
            ),
            (GATEWAY, self.access_line(at, "POST", "/api/checkout", 201, 312)),
        ]
    }

    fn card_declined(&mut self, at: SystemTime, trace: &str, order: u64, cents: u64) -> Lines {
        vec![
            (PAYMENTS, format!("time={} level=error msg=\"card declined by issuer\" order={order} amount={}.{:02} currency=EUR code=51 duration=412ms trace_id={trace}\n", iso(at, 3), cents / 100, cents % 100)),
            (CHECKOUT, self.json_line(at, "error", "payment failed", trace, &format!(r#","order_id":{order},"error":{{"type":"PaymentDeclined","message":"card declined by issuer"}}"#))),
            (GATEWAY, self.access_line(at, "POST", "/api/checkout", 402, 87)),
        ]
    }

    fn sold_out(&mut self, at: SystemTime, trace: &str, order: u64, product: &str) -> Lines {
        let head = self.java_line(
            at,
            "ERROR",
            trace,
            "ReservationService",
            &format!("Reservation failed for order {order}"),
        );
        let line = 40 + self.random.below(90);
        let stack = format!(
            "com.example.inventory.OutOfStockException: no {product} left\n\
             \tat com.example.inventory.Stock.take(Stock.java:{line})\n\
             \tat com.example.inventory.ReservationService.reserve(ReservationService.java:118)\n\
             \tat java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1144)\n\
             Caused by: org.postgresql.util.PSQLException: ERROR: new row violates check constraint \"stock_not_negative\"\n\
             \tat org.postgresql.core.v3.QueryExecutorImpl.receiveErrorResponse(QueryExecutorImpl.java:2733)\n\
             \t... 12 more\n"
        );
        vec![
            (INVENTORY, head + &stack),
            (
                CHECKOUT,
                self.json_line(
                    at,
                    "error",
                    "checkout failed: out of stock",
                    trace,
                    &format!(r#","order_id":{order},"product":"{product}""#),
                ),
            ),
            (GATEWAY, self.access_line(at, "POST", "/api/checkout", 409, 64)),
        ]
    }

    fn json_line(&mut self, at: SystemTime, level: &str, message: &str, trace: &str, more: &str) -> String {
        let span = self.random.next();
        format!(
            "{{\"time\":\"{}\",\"level\":\"{level}\",\"msg\":\"{message}\",\"service\":\"checkout\",\"trace_id\":\"{trace}\",\"span_id\":\"{span:016x}\"{more}}}\n",
            iso(at, 6)
        )
    }

    fn java_line(&mut self, at: SystemTime, level: &str, trace: &str, class: &str, message: &str) -> String {
        let (span, thread) = (self.random.next(), self.random.below(8) + 1);
        let at = iso(at, 3);
        format!(
            "{at}  {level:<5} [inventory,{trace},{span:016x}] 4711 --- [nio-8080-exec-{thread}] c.e.inventory.{class} : {message}\n"
        )
    }

    fn access_line(&mut self, at: SystemTime, method: &str, path: &str, status: u16, bytes: u64) -> String {
        let address = format!("203.0.113.{}", self.random.below(250) + 1);
        let when = timestamp(at).to_zoned(TimeZone::UTC).strftime("%d/%b/%Y:%H:%M:%S %z");
        let agent = self.random.pick(&AGENTS);
        format!(
            "{address} - - [{when}] \"{method} {path} HTTP/1.1\" {status} {bytes} \"https://shop.example/\" \"{agent}\"\n"
        )
    }
}

fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn iso(at: SystemTime, digits: usize) -> String {
    format!("{:.digits$}", timestamp(at))
}

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators"): good enough for a story.
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

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }
}
