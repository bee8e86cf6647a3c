//! Where public addresses are, and whose, by MaxMind databases that the user has.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use weir_record::Field;

#[cfg(feature = "geoip")]
mod database;

#[cfg(not(feature = "geoip"))]
mod database {
    //! What stands for databases where reading them is not built in.

    use std::net::IpAddr;
    use std::path::Path;

    use super::{Facts, OpenGeoError};

    pub enum Database {}

    impl Database {
        pub fn open(_path: &Path) -> Result<Database, OpenGeoError> {
            Err(OpenGeoError::NotBuiltIn)
        }

        pub fn add(&self, _address: IpAddr, _facts: &mut Facts) {
            match *self {}
        }
    }
}

use database::Database;

/// What is known of an address: fields, and their values as JSON.
pub type Facts = Vec<(Field, String)>;

/// An address and its facts.
type Slot = Option<(IpAddr, Arc<Facts>)>;

/// Addresses whose facts are kept: clients come back, and a few make most requests.
const CACHE_SLOTS: usize = 4096;

/// The databases of a source.
pub struct Geo {
    databases: Vec<Database>,
    /// Each address has one slot, which the last one of those that share it holds.
    cache: Mutex<Box<[Slot]>>,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenGeoError {
    /// The small program is built without.
    #[error("this program cannot read GeoIP databases: use `weir ship` instead of weir-shipper")]
    NotBuiltIn,
    /// It is missing, or something else.
    #[error("{path}: {reason}")]
    Unusable {
        /// As configured.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Geo {
    /// Reads the databases (City, Country, ASN, or several of one file) into memory.
    ///
    /// # Errors
    /// A file is missing or no such database, or this program cannot read any.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Geo, OpenGeoError> {
        let databases = paths.iter().map(|path| Database::open(path.as_ref())).collect::<Result<_, _>>()?;
        Ok(Geo { databases, cache: Mutex::new(vec![None; CACHE_SLOTS].into()) })
    }

    /// What is known of `address`: nothing where it is none of the public internet.
    pub fn facts(&self, address: IpAddr) -> Arc<Facts> {
        let address = address.to_canonical();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = cache.get_mut(slot_of(address)) else { return Arc::default() };
        match slot {
            Some((known, facts)) if *known == address => Arc::clone(facts),
            _ => {
                let facts = Arc::new(self.look_up(address));
                *slot = Some((address, Arc::clone(&facts)));
                facts
            }
        }
    }

    fn look_up(&self, address: IpAddr) -> Facts {
        let mut facts = Facts::new();
        if is_public(address) {
            self.databases.iter().for_each(|database| database.add(address, &mut facts));
        }
        facts
    }
}

impl fmt::Debug for Geo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Geo({} databases)", self.databases.len())
    }
}

fn slot_of(address: IpAddr) -> usize {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    const SHIFT: u32 = u64::BITS - CACHE_SLOTS.trailing_zeros();
    let bits = match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
    };
    (bits.wrapping_mul(FACTOR) >> SHIFT) as usize
}

/// Whether an address may be of the public internet (RFC 6890 and what was added since).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || matches!(octets, [0, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..])
                || octets[0] >= 224)
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            segments[0] & 0xe000 == 0x2000 && segments[..2] != [0x2001, 0xdb8]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        let is_public = |text: &str| is_public(text.parse().expect("an address"));
        for address in ["8.8.8.8", "100.63.0.1", "198.17.0.1", "223.255.255.255", "2600::1", "2a00::"] {
            assert!(is_public(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(address), "{address}");
        }
    }

    #[cfg(not(feature = "geoip"))]
    #[test]
    fn the_small_program_says_which_one_can_read_databases() {
        let error = Geo::open(&["/nowhere.mmdb"]).expect_err("not built in");
        assert!(error.to_string().contains("`weir ship`"), "{error}");
    }
}
