//! The fields that all records of a file share.

use std::path::Path;

use weir_record::document::FieldSet;
use weir_record::json::push_string;
use weir_record::schema::LABELS;
use weir_record::stream::clean_dataset;
use weir_record::{Field, Group};

use super::container::Container;
use crate::service::service_of;
use crate::settings::SourceSettings;

/// The service of a stream of lines that nobody named, and that has no path.
const UNNAMED_SERVICE: &str = "unknown";

/// The service of a container that only its id is known of.
const UNNAMED_CONTAINER: &str = "container";

/// The dataset of pods' logs, as Elastic's own integration names it: short-lived workloads share one data stream.
const POD_DATASET: &str = "kubernetes.container_logs";

/// What all records of a file share.
pub struct SharedFields {
    /// Their fragment and dataset.
    pub group: Group,
    /// The schema fields that stand in the fragment; `service.name` only where it is configured.
    pub settled: FieldSet,
    /// The service, where the line itself names none.
    pub service: String,
    /// Whether the path is that of a container's log.
    pub is_of_container: bool,
}

/// The shared fields of the file at `path`; without a path, of a stream. `node`: the name of the Kubernetes node.
pub fn of_file(
    source: &SourceSettings,
    host: Option<&str>,
    node: Option<&str>,
    path: Option<&Path>,
) -> SharedFields {
    let mut fields = Vec::new();
    let mut settled: FieldSet = source.settled_fields().collect();
    if let Some(host) = host.filter(|_| !source.states_host()) {
        member(&mut fields, Field::HostName.name(), host);
    }
    let origin = source.origin.as_ref();
    if let Some(path) = origin.map(|origin| origin.name.as_str().into()).or(path.map(Path::to_string_lossy)) {
        member(&mut fields, Field::LogFilePath.name(), &path);
    }
    let container = path.filter(|_| origin.is_none()).and_then(Container::of);
    let is_in_pod = container.as_ref().is_some_and(Container::is_in_pod);
    let node = node.filter(|_| is_in_pod).map(|node| (Field::KubernetesNodeName, node));
    for (field, value) in container.iter().flat_map(Container::fields).chain(node) {
        member(&mut fields, field.name(), value);
        settled.insert(field);
    }
    let told: &[_] = if source.states_host() { &[] } else { &source.host_fields };
    for (field, value) in told {
        member(&mut fields, field.name(), value);
        settled.insert(*field);
    }
    if let Some(environment) = &source.environment {
        member(&mut fields, Field::ServiceEnvironment.name(), environment);
    }
    for (name, value) in &source.labels {
        member(&mut fields, &format!("{LABELS}.{name}"), value);
    }
    let shared_stream = is_in_pod && source.service.is_none();
    let dataset = if shared_stream { POD_DATASET.to_owned() } else { String::new() };
    let mut base = Group { dataset, fields: String::from_utf8_lossy(&fields).into_owned() };
    if let Some(pipeline) = &source.pipeline {
        base.set_pipeline(pipeline);
    }
    let service = source.service.clone().unwrap_or_else(|| match (origin, &container) {
        (Some(origin), _) => origin.service.clone(),
        (None, Some(container)) => container.service().unwrap_or_else(|| UNNAMED_CONTAINER.to_owned()),
        (None, None) => path.map_or_else(|| UNNAMED_SERVICE.to_owned(), service_of),
    });
    let group = with_service(&base, &service);
    SharedFields { group, settled, service, is_of_container: container.is_some() }
}

/// The name of this Kubernetes node, which the pod's manifest has to pass on (`fieldRef: spec.nodeName`).
pub fn node_name() -> Option<String> {
    std::env::var("NODE_NAME").ok().filter(|name| !name.is_empty())
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
    let dataset = if base.dataset == POD_DATASET { base.dataset.clone() } else { clean_dataset(service) };
    Group { dataset, fields: String::from_utf8_lossy(&fields).into_owned() }
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
        let group =
            of_file(&source, Some("web-1"), Some("node"), Some(Path::new("/var/log/check-out.log"))).group;
        let rest = r#""host.name":"web-1","log.file.path":"/var/log/check-out.log","service.environment":"production","labels.team":"pay\"ments""#;
        assert_eq!(group.fields, format!(r#"{rest},"service.name":"check-out""#));
        assert_eq!(group.dataset, "check_out");
        let other = with_service(&group, "Other");
        assert_eq!(other.fields, format!(r#"{rest},"service.name":"Other""#));
        assert_eq!(other.dataset, "other");
    }

    #[test]
    fn a_group_names_the_pipeline_of_its_source_whatever_the_service() {
        let mut source = SourceSettings::new(Vec::new());
        source.pipeline = Some("geo".into());
        let origin = Origin { name: "x".into(), service: "x".into(), host: LineHost::Stated };
        for origin in [None, Some(origin)] {
            source.origin = origin;
            let group = of_file(&source, None, None, None).group;
            let other = with_service(&group, "other");
            for (group, service) in [(&group, group.dataset.as_str()), (&other, "other")] {
                let (pipeline, fields) = Group::split_pipeline(&group.fields);
                assert_eq!(pipeline, Some("geo"));
                assert!(fields.ends_with(&format!(r#""service.name":"{service}""#)), "{fields}");
                let fields = format!("{{{fields}}}");
                serde_json::from_str::<serde_json::Value>(&fields).expect("an object");
            }
        }
    }

    #[test]
    fn records_of_a_journal_name_where_their_lines_came_from_and_the_shipper_only_where_it_wrote_them() {
        let mut source = SourceSettings::new(Vec::new());
        let journal = Some(Path::new("/var/lib/weir/journal/stdin/current.log"));
        let origin = |host| Origin { name: "stdin".into(), service: "stdin".into(), host };
        source.origin = Some(origin(LineHost::Here));
        let group = of_file(&source, Some("web-1"), None, journal).group;
        assert_eq!(group.fields, r#""host.name":"web-1","log.file.path":"stdin","service.name":"stdin""#);
        source.origin = Some(origin(LineHost::Stated));
        let group = of_file(&source, Some("web-1"), None, journal).group;
        assert_eq!(group.fields, r#""log.file.path":"stdin","service.name":"stdin""#);
        assert!(source.settled_fields().all(|field| field != Field::HostName));
    }

    #[test]
    fn a_group_describes_the_machine_that_its_lines_were_written_on() {
        let mut source = SourceSettings::new(Vec::new());
        source.host_fields = [(Field::CloudProvider, "aws".to_owned())].into();
        let shared = of_file(&source, Some("web-1"), None, None);
        assert!(shared.group.fields.contains(r#","cloud.provider":"aws","#), "{}", shared.group.fields);
        assert!(shared.settled.contains(Field::CloudProvider));
        source.origin = Some(Origin { name: "x".into(), service: "x".into(), host: LineHost::Stated });
        let shared = of_file(&source, Some("web-1"), None, None);
        assert!(!shared.group.fields.contains("cloud"), "{}", shared.group.fields);
        assert!(!shared.settled.contains(Field::CloudProvider));
    }

    #[test]
    fn a_pods_records_share_one_data_stream_unless_the_service_is_configured() {
        let path = "/var/log/pods/shop_checkout-x2x9z_8f4f3b0e-5b1c-4f0e-9d58-0f2f3c9a1b7d/api/0.log";
        let mut source = SourceSettings::new(Vec::new());
        let shared = of_file(&source, None, Some("node-7"), Some(Path::new(path)));
        assert_eq!(shared.group.dataset, "kubernetes.container_logs");
        assert!(
            shared.group.fields.contains(r#""kubernetes.node.name":"node-7""#),
            "{}",
            shared.group.fields
        );
        assert!(shared.group.fields.ends_with(r#","service.name":"api""#), "{}", shared.group.fields);
        assert!(shared.settled.contains(Field::KubernetesPodName) && shared.is_of_container);
        assert_eq!(with_service(&shared.group, "other").dataset, "kubernetes.container_logs");
        source.service = Some("payments".into());
        assert_eq!(of_file(&source, None, None, Some(Path::new(path))).group.dataset, "payments");
    }
}
