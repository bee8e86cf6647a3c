//! Who wrote a container's log: told by the file's path, and by the files that the engine keeps beside it.
//!
//! ```text
//! /var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log         Kubernetes
//! /var/log/containers/<pod>_<namespace>_<container>-<id>.log               Kubernetes, links to the above
//! /var/lib/docker/containers/<id>/<id>-json.log, config.v2.json            Docker
//! .../overlay-containers/<id>/userdata/ctr.log                             Podman, CRI-O
//! ```

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_record::Field;

use crate::service::says_nothing;

/// Most bytes of an engine's description of a container that are read.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Most links from a log's name to the file itself.
const LINKS_MAX: usize = 4;

/// What the path of a container's log, and the engine's files, say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    namespace: Option<String>,
    pod: Option<String>,
    pod_uid: Option<String>,
    kubernetes_name: Option<String>,
    id: Option<String>,
    name: Option<String>,
    image: Option<String>,
    /// Of the service, as the labels say.
    service: Option<String>,
}

impl Container {
    /// The container whose log is at `path`; none where the path is not that of a container's log.
    pub fn of(path: &Path) -> Option<Container> {
        let mut container = Container::default();
        let mut place = path.to_path_buf();
        for _ in 0..LINKS_MAX {
            container.read_path(&place);
            match link_target(&place) {
                Some(target) => place = target,
                None => break,
            }
        }
        if container == Container::default() {
            return None;
        }
        if container.id.is_none() {
            container.id = container.linked_id(path);
        }
        if let Some(description) = container.id.as_deref().and_then(|id| docker_description(&place, id)) {
            container.read_description(&description);
        }
        Some(container)
    }

    /// Whether it runs in a pod.
    pub fn is_in_pod(&self) -> bool {
        self.pod.is_some()
    }

    /// The name of its service: what the labels say, else the container's name, or the workload's where that says
    /// nothing.
    pub fn service(&self) -> Option<String> {
        let name = self.kubernetes_name.as_ref().or(self.name.as_ref());
        let speaking = name.filter(|name| !says_nothing(name));
        let workload = || self.pod.as_deref().map(|pod| workload_of(pod).to_owned());
        self.service.clone().or_else(|| speaking.cloned()).or_else(workload).or_else(|| name.cloned())
    }

    /// Its fields.
    pub fn fields(&self) -> impl Iterator<Item = (Field, &str)> {
        let all = [
            (Field::KubernetesNamespace, &self.namespace),
            (Field::KubernetesPodName, &self.pod),
            (Field::KubernetesPodUid, &self.pod_uid),
            (Field::KubernetesContainerName, &self.kubernetes_name),
            (Field::ContainerId, &self.id),
            (Field::ContainerName, if self.name.is_some() { &self.name } else { &self.kubernetes_name }),
            (Field::ContainerImageName, &self.image),
        ];
        all.into_iter().filter_map(|(field, value)| Some((field, value.as_deref()?)))
    }

    /// Takes what one name of the log says.
    fn read_path(&mut self, path: &Path) {
        let mut parts = path.iter().rev().map(|part| part.to_str().unwrap_or_default());
        let [file, parent, grandparent] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        if let (Some([namespace, pod, uid]), true) = (split_pod(grandparent), is_restart_log(file)) {
            self.namespace = Some(namespace.to_owned());
            self.pod = Some(pod.to_owned());
            self.pod_uid = Some(uid.to_owned());
            self.kubernetes_name = Some(parent.to_owned());
        } else if let Some((pod, namespace, name, id)) = split_link_name(file) {
            self.namespace = Some(namespace.to_owned());
            self.pod = Some(pod.to_owned());
            self.kubernetes_name = Some(name.to_owned());
            self.id = Some(id.to_owned());
        } else if is_id(parent) && file.strip_prefix(parent).is_some_and(|rest| rest.starts_with("-json.log"))
        {
            self.id = Some(parent.to_owned());
        } else if is_id(grandparent) && parent == "userdata" && file.starts_with("ctr.log") {
            self.id = Some(grandparent.to_owned());
        }
    }

    /// The id of a pod's container: from the link to its log that the kubelet makes in `containers`, beside `pods`.
    fn linked_id(&self, log: &Path) -> Option<String> {
        let links = log.ancestors().nth(4)?.join("containers");
        let name = self.kubernetes_name.as_deref()?;
        let start = format!("{}_{}_{name}-", self.pod.as_deref()?, self.namespace.as_deref()?);
        fs::read_dir(links).ok()?.filter_map(Result::ok).find_map(|entry| {
            let id = entry.file_name().to_str()?.strip_prefix(&start)?.strip_suffix(".log")?.to_owned();
            (is_id(&id) && link_target(&entry.path())? == log).then_some(id)
        })
    }

    /// Takes what Docker's `config.v2.json` says.
    fn read_description(&mut self, description: &Value) {
        let text = |pointer: &str| description.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let label = |name: &str| {
            description
                .pointer("/Config/Labels")
                .and_then(|labels| labels.get(name)?.as_str())
                .map(str::to_owned)
        };
        self.name = text("/Name").map(|name| name.trim_start_matches('/').to_owned());
        self.image = text("/Config/Image");
        self.service = label("com.docker.compose.service").or_else(|| label("com.docker.swarm.service.name"));
        self.namespace = self.namespace.take().or_else(|| label("io.kubernetes.pod.namespace"));
        self.pod = self.pod.take().or_else(|| label("io.kubernetes.pod.name"));
        self.pod_uid = self.pod_uid.take().or_else(|| label("io.kubernetes.pod.uid"));
        self.kubernetes_name = self.kubernetes_name.take().or_else(|| label("io.kubernetes.container.name"));
    }
}

/// What Docker keeps beside the log of the container `id`; none where it is missing, too large or no JSON.
fn docker_description(log: &Path, id: &str) -> Option<Value> {
    let directory = log.parent().filter(|directory| directory.ends_with(id))?;
    let file = File::open(directory.join("config.v2.json")).ok()?;
    if file.metadata().ok()?.len() > CONFIG_BYTES_MAX {
        return None;
    }
    let mut text = Vec::new();
    file.take(CONFIG_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn link_target(path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path).ok()?;
    Some(if target.is_absolute() { target } else { path.parent()?.join(target) })
}

/// `<namespace>_<pod>_<uid>`: none of the three may hold an underscore. The uid is a UUID, of a static pod a hash.
fn split_pod(directory: &str) -> Option<[&str; 3]> {
    let mut parts = directory.split('_');
    let split = [parts.next()?, parts.next()?, parts.next()?];
    let is_uid =
        split[2].len() >= 32 && split[2].bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (parts.next().is_none() && is_uid && split.iter().all(|part| !part.is_empty())).then_some(split)
}

/// `0.log`, `12.log.20261121-100000`.
fn is_restart_log(file: &str) -> bool {
    file.split_once(".log").is_some_and(|(restarts, _)| {
        !restarts.is_empty() && restarts.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `<pod>_<namespace>_<container>-<id>.log`.
fn split_link_name(file: &str) -> Option<(&str, &str, &str, &str)> {
    let (name, id) = file.strip_suffix(".log")?.rsplit_once('-')?;
    let mut parts = name.split('_');
    let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && is_id(id)).then_some((pod, namespace, container, id))
}

/// Whether a name is an engine's id of a container.
fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `checkout-7d9f8b6c5d-x2x9z` and `checkout-x2x9z` -> `checkout`, `kafka-0` -> `kafka`. Kubernetes makes these endings
/// of letters that make no words. <https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go>
fn workload_of(pod: &str) -> &str {
    let is_made = |part: &str| part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte));
    let Some((name, last)) = pod.rsplit_once('-') else { return pod };
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return name;
    }
    if last.len() != 5 || !is_made(last) {
        return pod;
    }
    match name.rsplit_once('-') {
        Some((workload, hash)) if (8..=10).contains(&hash.len()) && is_made(hash) => workload,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const POD: &str = "shop_checkout-7d9f8b6c5d-x2x9z_8f4f3b0e-5b1c-4f0e-9d58-0f2f3c9a1b7d";

    fn fields(path: &Path) -> Vec<String> {
        let container = Container::of(path).expect("a container's log");
        let mut fields: Vec<String> =
            container.fields().map(|(field, value)| format!("{}={value}", field.name())).collect();
        fields.extend(container.service().map(|service| format!("service={service}")));
        fields
    }

    #[test]
    fn a_pods_log_names_its_container_by_its_path_alone() {
        let expected = [
            "kubernetes.namespace=shop",
            "kubernetes.pod.name=checkout-7d9f8b6c5d-x2x9z",
            "kubernetes.pod.uid=8f4f3b0e-5b1c-4f0e-9d58-0f2f3c9a1b7d",
            "kubernetes.container.name=api",
            "container.name=api",
            "service=api",
        ];
        for name in ["0.log", "3.log.20261121-100000", "3.log.20261121-100000.gz"] {
            assert_eq!(fields(Path::new(&format!("/var/log/pods/{POD}/api/{name}"))), expected);
        }
        let named = fields(Path::new(&format!("/var/log/pods/{POD}/app/0.log")));
        assert_eq!(named.last().expect("a service"), "service=checkout");
    }

    #[test]
    fn the_links_name_tells_the_id_and_the_links_target_the_pods_uid() {
        let root = tempfile::tempdir().expect("a directory");
        let logs = root.path().join(format!("pods/{POD}/api"));
        let links = root.path().join("containers");
        fs::create_dir_all(&logs).expect("made");
        fs::create_dir_all(&links).expect("made");
        let link = links.join(format!("checkout-7d9f8b6c5d-x2x9z_shop_api-{ID}.log"));
        fs::write(logs.join("0.log"), "").expect("written");
        symlink(logs.join("0.log"), &link).expect("linked");
        let by_link = fields(&link);
        assert!(by_link.contains(&format!("container.id={ID}")), "{by_link:?}");
        assert!(by_link.contains(&"kubernetes.pod.uid=8f4f3b0e-5b1c-4f0e-9d58-0f2f3c9a1b7d".into()));
        assert_eq!(fields(&logs.join("0.log")), by_link, "both names tell the same");
    }

    #[test]
    fn dockers_description_is_read_where_it_is_there() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join(ID);
        fs::create_dir(&directory).expect("made");
        let log = directory.join(format!("{ID}-json.log"));
        assert_eq!(fields(&log), [format!("container.id={ID}")]);
        let description = r#"{"Name":"/shop-checkout-1","Config":{"Image":"shop/checkout:1.2","Labels":
            {"com.docker.compose.service":"checkout"}}}"#;
        fs::write(directory.join("config.v2.json"), description).expect("written");
        let expected = [
            format!("container.id={ID}"),
            "container.name=shop-checkout-1".into(),
            "container.image.name=shop/checkout:1.2".into(),
            "service=checkout".into(),
        ];
        assert_eq!(fields(&log), expected);
        assert_eq!(fields(&directory.join(format!("{ID}-json.log.1"))), expected);
        fs::write(directory.join("config.v2.json"), "{damaged").expect("written");
        assert_eq!(fields(&log), expected[..1]);
    }

    #[test]
    fn other_paths_are_no_containers() {
        for path in [
            "/var/log/syslog",
            "/var/log/app/0.log",
            "/var/log/pods/shop_checkout/api/0.log",
            "/var/log/containers/checkout_shop_api-short.log",
            "/srv/a_b_8f4f3b0e-5b1c-4f0e-9d58-0f2f3c9a1b7d/app/app.log",
        ] {
            assert_eq!(Container::of(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn a_pods_name_tells_its_workload() {
        let check = |pod, expected| assert_eq!(workload_of(pod), expected);
        check("checkout-7d9f8b6c5d-x2x9z", "checkout");
        check("node-exporter-x2x9z", "node-exporter");
        check("kafka-0", "kafka");
        check("standalone", "standalone");
        check("my-tools", "my-tools");
    }
}
