//! What differs between a template as the server has it and as it should be.
//!
//! Servers give templates back in other words: settings nested or dotted, with or without `index.`, every value as
//! text, fields of objects under `properties`. So both are made flat and plain before they are compared.

use std::collections::BTreeMap;

use serde_json::Value;

/// What servers add by themselves.
const ADDED: &[&str] = &["template.lifecycle.enabled"];

/// One line for each difference; none where `existing` is as `wanted`.
pub(super) fn between(existing: Option<&Value>, wanted: &Value) -> Vec<String> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    if let Some(existing) = existing {
        flatten(String::new(), unwrapped(existing), &mut old);
    }
    flatten(String::new(), wanted, &mut new);
    let mut lines: Vec<String> = new
        .iter()
        .filter_map(|(path, value)| match old.get(path) {
            None => Some(format!("+ {path}: {value}")),
            Some(before) if before != value => Some(format!("~ {path}: {before} -> {value}")),
            Some(_) => None,
        })
        .collect();
    let is_surplus = |path: &&String| {
        path.starts_with("template.") && !new.contains_key(*path) && !ADDED.contains(&path.as_str())
    };
    lines.extend(old.keys().filter(is_surplus).map(|path| format!("- {path}: {}", old[path])));
    lines
}

/// The template within an answer that names it.
fn unwrapped(answer: &Value) -> &Value {
    let named = || answer.as_object().filter(|answer| answer.len() == 1)?.values().next();
    answer
        .pointer("/component_templates/0/component_template")
        .or_else(|| answer.pointer("/index_templates/0/index_template"))
        // ILM answers {"name": {"policy": ..}}, ISM {"_id": .., "policy": ..}.
        .or_else(|| answer.get("policy").map(|_| answer))
        .or_else(|| named().filter(|inner| inner.get("policy").is_some()))
        .unwrap_or(answer)
}

fn flatten(path: String, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let inner = match (path.as_str(), name.as_str()) {
                    ("", name) => name.to_owned(),
                    // Settings are the same with and without it; fields of objects and fields with dots in their names.
                    ("template.settings", "index") => path.clone(),
                    (path, "properties") if path.starts_with("template.mappings") => path.to_owned(),
                    (path, name) => format!("{path}.{}", name.strip_prefix("index.").unwrap_or(name)),
                };
                flatten(inner, value, into);
            }
        }
        Value::String(text) => drop(into.insert(path, text.clone())),
        other => drop(into.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_in_other_words_is_no_difference() {
        let wanted = json!({
            "version": 2, "composed_of": ["a"], "data_stream": {},
            "template": {
                "settings": {"index": {"mode": "logsdb", "mapping.total_fields.limit": 1000}},
                "mappings": {"properties": {"log.level": {"type": "keyword"}}, "date_detection": false},
            },
        });
        let existing = json!({"index_templates": [{"name": "n", "index_template": {
            "version": 2, "composed_of": ["a"], "data_stream": {"hidden": false}, "created_date": "x",
            "template": {
                "settings": {"index": {"mode": "logsdb", "mapping": {"total_fields": {"limit": "1000"}}}},
                "mappings": {"properties": {"log": {"properties": {"level": {"type": "keyword"}}}}, "date_detection": false},
                "lifecycle": {"enabled": true},
            },
        }}]});
        assert_eq!(between(Some(&existing), &wanted), Vec::<String>::new());
    }

    #[test]
    fn what_is_new_changed_or_gone_is_one_line_each() {
        let wanted = json!({"version": 2, "template": {"settings": {"index.codec": "best"}}});
        let existing = json!({"version": 1, "template": {"settings": {"index": {"mode": "x"}}}});
        assert_eq!(
            between(Some(&existing), &wanted),
            ["+ template.settings.codec: best", "~ version: 1 -> 2", "- template.settings.mode: x"]
        );
        assert_eq!(between(None, &json!({"version": 2})), ["+ version: 2"]);
    }
}
