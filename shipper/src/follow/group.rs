//! The fields that all records of a file share.

use std::path::Path;

use weir_record::json::push_string;
use weir_record::schema::LABELS;
use weir_record::stream::clean_dataset;
use weir_record::{Field, Group};

use crate::service::service_of;
use crate::settings::SourceSettings;

/// The service of a stream of lines that nobody named, and that has no path.
const UNNAMED_SERVICE: &str = "unknown";

/// The shared fields of the file at `path`; without a path, of a stream.
pub fn of_file(source: &SourceSettings, host: Option<&str>, path: Option<&Path>) -> Group {
    let mut fields = Vec::new();
    if let Some(host) = host.filter(|_| !source.states_host()) {
        member(&mut fields, Field::HostName.name(), host);
    }
    let origin = source.origin.as_ref();
    if let Some(path) = origin.map(|origin| origin.name.as_str().into()).or(path.map(Path::to_string_lossy)) {
        member(&mut fields, Field::LogFilePath.name(), &path);
    }
    if let Some(environment) = &source.environment {
        member(&mut fields, Field::ServiceEnvironment.name(), environment);
    }
    for (name, value) in &source.labels {
        member(&mut fields, &format!("{LABELS}.{name}"), value);
    }
    let base = Group { dataset: String::new(), fields: String::from_utf8_lossy(&fields).into_owned() };
    let guessed = || match origin {
        Some(origin) => origin.service.clone(),
        None => path.map_or_else(|| UNNAMED_SERVICE.to_owned(), service_of),
    };
    with_service(&base, &source.service.clone().unwrap_or_else(guessed))
}

/// The same fields for another service. `service.name` stands last, so that it is replaced by cutting.
pub fn with_service(base: &Group, service: &str) -> Group {
    let name = Field::ServiceName.name();
    let member_name = format!("\"{name}\":");
    let end = if base.fields.starts_with(&member_name) {
        0
    } else {
        base.fields.rfind(&format!(",{member_name}")).unwrap_or(base.fields.len())
    };
    let mut fields = base.fields.as_bytes()[..end].to_vec();
    member(&mut fields, name, service);
    Group { dataset: clean_dataset(service), fields: String::from_utf8_lossy(&fields).into_owned() }
}

fn member(fields: &mut Vec<u8>, name: &str, value: &str) {
    if !fields.is_empty() {
        fields.push(b',');
    }
    push_string(fields, name);
    fields.push(b':');
    push_string(fields, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{LineHost, Origin};

    #[test]
    fn a_group_holds_every_shared_field_once_and_another_service_replaces_the_first() {
        let mut source = SourceSettings::new(Vec::new());
        source.environment = Some("production".into());
        source.labels = vec![("team".into(), "pay\"ments".into())];
        let group = of_file(&source, Some("web-1"), Some(Path::new("/var/log/check-out.log")));
        let rest = r#""host.name":"web-1","log.file.path":"/var/log/check-out.log","service.environment":"production","labels.team":"pay\"ments""#;
        assert_eq!(group.fields, format!(r#"{rest},"service.name":"check-out""#));
        assert_eq!(group.dataset, "check_out");
        let other = with_service(&group, "Other");
        assert_eq!(other.fields, format!(r#"{rest},"service.name":"Other""#));
        assert_eq!(other.dataset, "other");
    }

    #[test]
    fn records_of_a_journal_name_where_their_lines_came_from_and_the_shipper_only_where_it_wrote_them() {
        let mut source = SourceSettings::new(Vec::new());
        let journal = Some(Path::new("/var/lib/weir/journal/stdin/current.log"));
        let origin = |host| Origin { name: "stdin".into(), service: "stdin".into(), host };
        source.origin = Some(origin(LineHost::Here));
        let group = of_file(&source, Some("web-1"), journal);
        assert_eq!(group.fields, r#""host.name":"web-1","log.file.path":"stdin","service.name":"stdin""#);
        source.origin = Some(origin(LineHost::Stated));
        let group = of_file(&source, Some("web-1"), journal);
        assert_eq!(group.fields, r#""log.file.path":"stdin","service.name":"stdin""#);
        assert!(source.settled_fields().all(|field| field != Field::HostName));
    }
}
