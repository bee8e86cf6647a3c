//! Where clients are, from databases that the tests write themselves.
#![cfg(feature = "geoip")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weir_config::Config;
use weir_shipper::cli::source_settings;
use weir_shipper::geo::Geo;
use weir_shipper::parse::{Parser, ParserSettings};

/// Appends a value as the format encodes it (<https://maxmind.github.io/MaxMind-DB/>, "Output Data Section"): text,
/// doubles, maps with the integers that they are known to hold, and arrays, each shorter than 285.
fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            control(3, 8, out);
            out.extend_from_slice(&number.as_f64().expect("a double").to_be_bytes());
        }
        Value::Object(members) => {
            control(7, members.len(), out);
            for (name, member) in members {
                encode(&Value::from(name.as_str()), out);
                match (name.as_str(), member.as_u64()) {
                    ("build_epoch", Some(number)) => integer(9, &number.to_be_bytes(), out),
                    ("node_count" | "autonomous_system_number", Some(number)) => {
                        integer(6, &number.to_be_bytes()[4..], out);
                    }
                    (_, Some(number)) => integer(5, &number.to_be_bytes()[6..], out),
                    (_, None) => encode(member, out),
                }
            }
        }
        Value::Array(items) => {
            control(11, items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
        other => panic!("{other} is not needed here"),
    }
}

fn integer(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    control(kind, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Type and size; types above 7 stand in a byte of their own.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let short = if size < 29 { size as u8 } else { 29 };
    out.push(if kind <= 7 { kind << 5 | short } else { short });
    if kind > 7 {
        out.push(kind - 7);
    }
    if size >= 29 {
        out.push(u8::try_from(size - 29).expect("short"));
    }
}

/// A database whose tree of 128 bits leads from each network's first bits to its entry.
fn write_database(path: &Path, networks: &[(&str, u8, Value)]) {
    const EMPTY: u32 = u32::MAX;
    const ENTRY: u32 = 1 << 31;
    let mut nodes = vec![[EMPTY; 2]];
    let (mut data, mut offsets) = (Vec::new(), Vec::new());
    for (address, bits, value) in networks {
        offsets.push(data.len());
        encode(value, &mut data);
        let address: IpAddr = address.parse().expect("an address");
        // IPv4 stands below ::/96.
        let (address, bits) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), bits + 96),
            IpAddr::V6(address) => (address.to_bits(), *bits),
        };
        let mut node = 0;
        for depth in 0..bits {
            let side = (address >> (127 - depth) & 1) as usize;
            if depth == bits - 1 {
                nodes[node][side] = ENTRY | (offsets.len() - 1) as u32;
            } else {
                if nodes[node][side] == EMPTY {
                    nodes[node][side] = nodes.len() as u32;
                    nodes.push([EMPTY; 2]);
                }
                node = nodes[node][side] as usize;
            }
        }
    }
    let count = nodes.len() as u32;
    let mut bytes = Vec::new();
    for record in nodes.iter().flatten() {
        let number = match *record {
            EMPTY => count,
            entry if entry & ENTRY != 0 => count + 16 + offsets[(entry & !ENTRY) as usize] as u32,
            node => node,
        };
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&data);
    bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let about = json!({
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_795_132_800_u32,
        "database_type": "Test", "description": {"en": "of a test"}, "ip_version": 6, "languages": ["en"],
        "node_count": count, "record_size": 32,
    });
    encode(&about, &mut bytes);
    std::fs::write(path, bytes).expect("written");
}

/// A database of places, and one of networks' owners.
fn databases(directory: &Path) -> [PathBuf; 2] {
    let city = json!({
        "continent": {"code": "EU", "names": {"de": "Europa", "en": "Europe"}},
        "country": {"iso_code": "DE", "names": {"en": "Germany"}},
        "subdivisions": [{"iso_code": "BE", "names": {"en": "State of Berlin"}}],
        "city": {"names": {"en": "Berlin"}},
        "location": {"latitude": 52.5, "longitude": 13.25, "time_zone": "Europe/Berlin"},
    });
    let country = json!({"country": {"iso_code": "SE", "names": {"en": "Sweden \"north\""}}});
    let asn = json!({"autonomous_system_number": 64_496, "autonomous_system_organization": "Example Net"});
    let paths = [directory.join("city.mmdb"), directory.join("asn.mmdb")];
    let private = json!({"country": {"iso_code": "XX"}});
    write_database(&paths[0], &[("9.9.0.0", 16, city), ("2a00:1::", 32, country), ("10.0.0.0", 8, private)]);
    write_database(&paths[1], &[("9.9.9.0", 24, asn)]);
    paths
}

fn document(parser: &mut Parser, line: &str) -> Map<String, Value> {
    let mut fragment = Vec::new();
    parser.parse(line.as_bytes(), 0, 0, &mut fragment);
    serde_json::from_str(&format!("{{{}}}", String::from_utf8_lossy(&fragment))).expect("an object")
}

fn geo(document: &Map<String, Value>) -> Value {
    let is_geo = |name: &str| name.starts_with("source.geo.") || name.starts_with("source.as.");
    document
        .iter()
        .filter(|(name, _)| is_geo(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[test]
fn a_public_client_is_located_by_each_database_that_knows_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let geoip = Geo::open(&databases(directory.path())).expect("databases");
    let settings = ParserSettings { geo: Some(Arc::new(geoip)), ..ParserSettings::default() };
    let mut parser = Parser::new(&settings);
    let mut of = |client: &str| {
        let line = format!(r#"{client} - - [20/Nov/2026:21:39:19 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#);
        geo(&document(&mut parser, &line))
    };
    let berlin = json!({
        "source.geo.continent_name": "Europe", "source.geo.country_iso_code": "DE",
        "source.geo.country_name": "Germany", "source.geo.region_name": "State of Berlin",
        "source.geo.city_name": "Berlin", "source.geo.location": {"lat": 52.5, "lon": 13.25},
    });
    let mut owned = berlin.clone();
    owned["source.as.number"] = json!(64_496);
    owned["source.as.organization.name"] = json!("Example Net");
    // Twice: the second answer is remembered.
    for _ in 0..2 {
        assert_eq!(of("9.9.1.1"), berlin);
        assert_eq!(of("9.9.9.9"), owned);
        let sweden =
            json!({"source.geo.country_iso_code": "SE", "source.geo.country_name": "Sweden \"north\""});
        assert_eq!(of("2a00:1::7"), sweden);
        for unknown in ["9.8.1.1", "2a00:2::7", "10.1.2.3", "client.example.org"] {
            assert_eq!(of(unknown), json!({}), "{unknown}");
        }
    }
}

#[test]
fn what_a_line_says_of_its_client_counts_more_than_a_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let geoip = Geo::open(&databases(directory.path())).expect("databases");
    let mut parser = Parser::new(&ParserSettings { geo: Some(Arc::new(geoip)), ..ParserSettings::default() });
    let line = r#"{"msg":"x","source":{"ip":"9.9.1.1","geo":{"city_name":"Potsdam"}}}"#;
    let found = document(&mut parser, line);
    assert_eq!(found["source.geo.city_name"], "Potsdam");
    assert_eq!(found["source.geo.country_iso_code"], "DE");
}

#[test]
fn a_configuration_names_databases_and_a_wrong_one_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let paths = databases(directory.path());
    let settings = |geoip: &Path| {
        let toml = format!("[[source]]\npaths = [\"/x\"]\ngeoip = {:?}", geoip.display().to_string());
        let config = Config::from_toml(&toml, Path::new("weir.toml"), &|_| None).expect("a configuration");
        source_settings(&config.sources[0])
    };
    assert!(settings(&paths[0]).expect("settings").geo.is_some());
    let none = directory.path().join("none.mmdb");
    let error = settings(&none).expect_err("missing").to_string();
    assert!(error.contains("none.mmdb"), "{error}");
    std::fs::write(&none, "no database").expect("written");
    let error = settings(&none).expect_err("no database").to_string();
    assert!(error.contains("no MaxMind database"), "{error}");
}
