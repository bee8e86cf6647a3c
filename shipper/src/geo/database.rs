//! One database in memory, whatever its edition: City, Country, ASN and those that are laid out alike.
//! <https://maxmind.github.io/MaxMind-DB/>, <https://dev.maxmind.com/geoip/docs/databases/>

use std::net::IpAddr;
use std::path::Path;

use maxminddb::Reader;
use serde::Deserialize;
use serde_json::json;
use weir_record::Field;

use super::{Facts, OpenGeoError};

/// A database.
pub struct Database(Reader<Vec<u8>>);

/// What an edition may say of an address, as far as there are fields for it.
#[derive(Deserialize)]
struct Entry<'d> {
    #[serde(borrow, default)]
    continent: Place<'d>,
    #[serde(borrow, default)]
    country: Place<'d>,
    #[serde(borrow, default)]
    subdivisions: Vec<Place<'d>>,
    #[serde(borrow, default)]
    city: Place<'d>,
    location: Option<Location>,
    autonomous_system_number: Option<u32>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'d str>,
}

#[derive(Default, Deserialize)]
struct Place<'d> {
    #[serde(borrow)]
    iso_code: Option<&'d str>,
    #[serde(borrow, default)]
    names: Names<'d>,
}

#[derive(Default, Deserialize)]
struct Names<'d> {
    #[serde(borrow)]
    en: Option<&'d str>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Database {
    /// Reads it.
    pub fn open(path: &Path) -> Result<Database, OpenGeoError> {
        let unusable = |reason: String| OpenGeoError::Unusable { path: path.display().to_string(), reason };
        let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let reader = Reader::from_source(bytes)
            .map_err(|error| unusable(format!("it is no MaxMind database: {error}")))?;
        Ok(Database(reader))
    }

    /// Adds what it knows of an address. A damaged entry says nothing.
    pub fn add(&self, address: IpAddr, facts: &mut Facts) {
        let Ok(Some(entry)) = self.0.lookup(address).and_then(|found| found.decode::<Entry<'_>>()) else {
            return;
        };
        let region = entry.subdivisions.first().and_then(|place| place.names.en);
        let texts = [
            (Field::SourceGeoContinentName, entry.continent.names.en),
            (Field::SourceGeoCountryIsoCode, entry.country.iso_code),
            (Field::SourceGeoCountryName, entry.country.names.en),
            (Field::SourceGeoRegionName, region),
            (Field::SourceGeoCityName, entry.city.names.en),
            (Field::SourceAsOrganizationName, entry.autonomous_system_organization),
        ];
        for (field, text) in texts {
            facts.extend(text.map(|text| (field, json!(text).to_string())));
        }
        facts
            .extend(entry.autonomous_system_number.map(|number| (Field::SourceAsNumber, number.to_string())));
        if let Some(Location { latitude: Some(lat), longitude: Some(lon) }) = entry.location {
            facts.push((Field::SourceGeoLocation, json!({"lat": lat, "lon": lon}).to_string()));
        }
    }
}
