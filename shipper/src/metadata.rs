//! What is known of the machine without asking anybody: files that it has, read once.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use weir_config::MetadataConfig;
use weir_record::Field;

/// What cloud-init has found out, without its secrets.
/// <https://docs.cloud-init.io/en/latest/explanation/instancedata.html>
const INSTANCE_DATA: &str = "/run/cloud-init/instance-data.json";

/// <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// A file that is larger is none of these.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A longer value is none that anybody would search for.
const VALUE_BYTES_MAX: usize = 256;

/// Fields of the machine, and their values; the same for all records.
pub type HostFields = Arc<[(Field, String)]>;

/// The fields that are wanted, as far as they are known.
pub fn host_fields(wanted: MetadataConfig) -> HostFields {
    let mut fields = Vec::new();
    if wanted.cloud {
        fields.extend(read(Path::new(INSTANCE_DATA)).map(|text| cloud(&text)).unwrap_or_default());
    }
    if wanted.os {
        let release = OS_RELEASE.iter().find_map(|path| read(Path::new(path)));
        fields.extend(operating_system(&release.unwrap_or_default()));
        let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
        fields.push((Field::HostArchitecture, machine));
    }
    fields.retain(|(_, value)| !value.is_empty() && value.len() <= VALUE_BYTES_MAX);
    fields.into()
}

/// The text of a small file; none where it is missing, larger, or no text.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).ok()?;
    (text.len() as u64 <= FILE_BYTES_MAX).then_some(text)
}

/// Of cloud-init's instance data; nothing where the machine is in no cloud.
fn cloud(text: &str) -> Vec<(Field, String)> {
    let data: Value = serde_json::from_str(text).unwrap_or_default();
    let of_v1 = |name: &str| data["v1"][name].as_str().filter(|value| !value.is_empty());
    let provider = match of_v1("cloud_name") {
        None | Some("unknown" | "none" | "nocloud" | "configdrive") => return Vec::new(),
        Some("gce") => "gcp",
        Some(other) => other,
    };
    let fields = [
        (Field::CloudProvider, Some(provider)),
        (Field::CloudRegion, of_v1("region")),
        (Field::CloudAvailabilityZone, of_v1("availability_zone")),
        (Field::CloudInstanceId, of_v1("instance_id")),
        (Field::CloudMachineType, machine_type(&data["ds"]["meta_data"])),
    ];
    fields.into_iter().filter_map(|(field, value)| Some((field, value?.to_owned()))).collect()
}

/// Each cloud calls it differently; Google writes a path.
fn machine_type(meta_data: &Value) -> Option<&str> {
    const PLACES: [&str; 5] =
        ["/instance-type", "/instance_type", "/machine-type", "/shape", "/imds/compute/vmSize"];
    let found = PLACES.iter().find_map(|place| meta_data.pointer(place)?.as_str())?;
    found.rsplit('/').next()
}

fn operating_system(release: &str) -> Vec<(Field, String)> {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        let quoted = line.trim();
        Some(quoted.trim_matches(['"', '\'']).replace('\\', ""))
    };
    let fields = [(Field::HostOsName, "NAME"), (Field::HostOsVersion, "VERSION_ID")];
    fields.into_iter().filter_map(|(field, key)| Some((field, value(key)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(Field, String)], expected: &[(Field, &str)]) {
        let fields: Vec<_> = fields.iter().map(|(field, value)| (*field, value.as_str())).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn an_instance_says_where_it_is() {
        let aws = r#"{"base64_encoded_keys":[],"v1":{"availability_zone":"eu-central-1b","cloud_name":"aws","instance_id":"i-0a1","region":"eu-central-1","machine":"x86_64"},
                      "ds":{"meta_data":{"instance-type":"t3.small"}}}"#;
        let expected = [
            (Field::CloudProvider, "aws"),
            (Field::CloudRegion, "eu-central-1"),
            (Field::CloudAvailabilityZone, "eu-central-1b"),
            (Field::CloudInstanceId, "i-0a1"),
            (Field::CloudMachineType, "t3.small"),
        ];
        check(&cloud(aws), &expected);
        let azure = r#"{"v1":{"availability_zone":null,"cloud_name":"azure","region":"westeurope"},"ds":{"meta_data":{"imds":{"compute":{"vmSize":"Standard_B2s"}}}}}"#;
        let expected = [
            (Field::CloudProvider, "azure"),
            (Field::CloudRegion, "westeurope"),
            (Field::CloudMachineType, "Standard_B2s"),
        ];
        check(&cloud(azure), &expected);
        let google = r#"{"v1":{"cloud_name":"gce"},"ds":{"meta_data":{"machine-type":"projects/1/machineTypes/e2-micro"}}}"#;
        check(&cloud(google), &[(Field::CloudProvider, "gcp"), (Field::CloudMachineType, "e2-micro")]);
    }

    #[test]
    fn a_machine_in_no_cloud_says_nothing() {
        for text in ["", "[]", "{\"v1\":7}", r#"{"v1":{"cloud_name":"unknown","instance_id":"nocloud"}}"#] {
            check(&cloud(text), &[]);
        }
    }

    #[test]
    fn an_operating_system_has_a_name_and_mostly_a_version() {
        let debian =
            "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\n";
        let expected = [(Field::HostOsName, "Debian GNU/Linux"), (Field::HostOsVersion, "13")];
        check(&operating_system(debian), &expected);
        check(&operating_system("NAME=Arch\n"), &[(Field::HostOsName, "Arch")]);
        check(&operating_system(""), &[]);
    }

    #[test]
    fn a_file_that_is_missing_or_too_large_is_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("instance-data.json");
        assert_eq!(read(&path), None);
        std::fs::write(&path, vec![b' '; FILE_BYTES_MAX as usize]).expect("written");
        assert_eq!(read(&path).map(|text| text.len() as u64), Some(FILE_BYTES_MAX));
        std::fs::write(&path, vec![b' '; FILE_BYTES_MAX as usize + 1]).expect("written");
        assert_eq!(read(&path), None);
    }

    #[test]
    fn only_what_is_wanted_is_said() {
        assert!(host_fields(MetadataConfig::default()).is_empty());
        let fields = host_fields(MetadataConfig { cloud: false, os: true });
        assert!(fields.iter().any(|(field, value)| *field == Field::HostArchitecture && !value.is_empty()));
        assert!(fields.iter().all(|(field, _)| field.name().starts_with("host.")), "{fields:?}");
    }
}
