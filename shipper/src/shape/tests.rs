//! Steps on documents as the parser writes them.

use serde_json::json;

use super::*;
use crate::parse::Format;

const LINE: &str = r#""@timestamp":"2026-11-21T10:00:00.000Z","message":"hello","log.level":"info","attributes.zone":"eu","attributes.size":"12","attributes.csv":"a, b","attributes.inner":"{\"msg\":\"deep\",\"level\":\"warn\",\"n\":1}""#;
const SHARED: &str = r#""host.name":"web-1","service.name":"shop""#;
const SECOND: i64 = 1_000_000_000;

fn path(name: &str) -> FieldPath {
    FieldPath::resolve(name).expect("a field")
}

fn step(action: Action) -> Step {
    Step { when: None, action }
}

fn shape_at(shaper: &mut Shaper, fragment: &str, read_time: i64) -> Shaped {
    shaper.shape(&Incoming { fragment: fragment.as_bytes(), shared: SHARED, hash: 7, read_time })
}

fn shaped(actions: Vec<Action>) -> Value {
    let steps: Vec<Step> = actions.into_iter().map(step).collect();
    let fragment = shape_at(&mut Shaper::new(&steps), LINE, 0).fragment.expect("it goes on");
    serde_json::from_str(&format!("{{{}}}", String::from_utf8(fragment).expect("UTF-8"))).expect("JSON")
}

#[test]
fn fields_are_renamed_copied_set_removed_and_kept() {
    let document = shaped(vec![
        Action::Rename(path("zone"), path("attributes.region")),
        Action::Copy(path("size"), path("http.response.body.bytes")),
        Action::Set(path("url.domain"), Template::read("{service.name}.{region}.{{x").expect("a template")),
        Action::Remove(vec!["attributes.c*".into()]),
    ]);
    assert_eq!(document["attributes.region"], "eu");
    assert_eq!(
        (&document["http.response.body.bytes"], &document["attributes.size"]),
        (&json!(12), &json!("12"))
    );
    assert_eq!(document["url.domain"], "shop.eu.{x");
    assert!(document.get("attributes.csv").is_none() && document.get("attributes.zone").is_none());
    let document = shaped(vec![Action::Keep(vec!["attributes.zone".into()])]);
    assert_eq!(document.as_object().expect("an object").len(), 3, "{document}");
}

#[test]
fn what_does_not_fit_stays_where_it_was() {
    let document = shaped(vec![
        Action::Rename(path("zone"), path("source.ip")),
        Action::Convert(path("zone"), Type::Long),
        Action::Set(path("labels.x"), Template::read("{nothing}").expect("a template")),
    ]);
    assert_eq!(document["attributes.zone"], "eu");
    assert!(document.get("source.ip").is_none() && document.get("labels.x").is_none());
}

#[test]
fn values_are_converted_changed_and_split() {
    let document = shaped(vec![
        Action::Convert(path("size"), Type::Long),
        Action::Upper(path("zone")),
        Action::Lower(path("message")),
        Action::Split(path("csv"), ",".into()),
    ]);
    assert_eq!(
        (&document["attributes.size"], &document["attributes.zone"], &document["attributes.csv"]),
        (&json!(12), &json!("EU"), &json!(["a", "b"]))
    );
}

#[test]
fn a_field_is_parsed_again_as_if_it_were_a_line() {
    let settings = ParserSettings { format: Format::Json, ..ParserSettings::default() };
    let parse = |field: &str| Action::Parse(path(field), Box::new(settings.clone()));
    let document = shaped(vec![parse("inner")]);
    assert_eq!((&document["message"], &document["log.level"]), (&json!("deep"), &json!("warning")));
    assert_eq!(document["attributes.n"], 1);
    assert_eq!(document["@timestamp"], "2026-11-21T10:00:00.000Z");
    assert!(document.get("attributes.inner").is_none());
    // What is not understood stays.
    assert_eq!(shaped(vec![parse("zone")])["attributes.zone"], "eu");
    // A text without a message of its own does not take the record's.
    let set = Action::Set(path("pairs"), Template::read("k=v x=y").expect("a template"));
    let settings = ParserSettings { format: Format::Logfmt, ..ParserSettings::default() };
    let document = shaped(vec![set, Action::Parse(path("pairs"), Box::new(settings))]);
    assert_eq!((&document["message"], &document["attributes.k"]), (&json!("hello"), &json!("v")));
}

#[test]
fn a_time_that_is_set_is_the_records_time() {
    let steps =
        [step(Action::Set(path("@timestamp"), Template::read("2026-01-01T00:00:00Z").expect("a template")))];
    let shaped = shape_at(&mut Shaper::new(&steps), LINE, 0);
    assert_eq!(shaped.time, Some(1_767_225_600 * SECOND));
}

#[test]
fn conditions_see_the_shared_fields_too() {
    let drop = |when: &str| Step { when: Some(Query::parse(when).expect("a query")), action: Action::Drop };
    let goes_on = |when: &str| shape_at(&mut Shaper::new(&[drop(when)]), LINE, 0).fragment.is_ok();
    assert!(!goes_on("service:shop level:info"));
    assert!(goes_on("service:other"));
}

#[test]
fn records_are_routed_sampled_limited_and_told_of() {
    let route = [step(Action::Route(Template::read("audit_{zone}").expect("a template")))];
    assert_eq!(shape_at(&mut Shaper::new(&route), LINE, 0).route.as_deref(), Some("audit_eu"));
    assert!(shape_at(&mut Shaper::new(&[step(Action::Sample(0.0))]), LINE, 0).fragment.is_err());

    let limit = Action::RateLimit { limit: 2, window: SECOND, per: Some(path("zone")) };
    let mut shaper = Shaper::new(&[step(limit)]);
    let passed = (0..10).filter(|n| shape_at(&mut shaper, LINE, *n).fragment.is_ok()).count();
    assert_eq!(passed, 2);
    let next = shape_at(&mut shaper, LINE, 2 * SECOND);
    assert!(next.fragment.is_ok());
    let notice = String::from_utf8(next.notices[0].clone()).expect("UTF-8");
    assert!(notice.contains("weir: 8 records of eu were cut by the rate limit"), "{notice}");
    assert!(notice.contains("\"attributes.weir.cut\":8"), "{notice}");
}

#[test]
fn repeats_go_once_and_are_counted() {
    let mut shaper = Shaper::new(&[step(Action::Deduplicate(SECOND))]);
    let other = LINE.replace("hello", "bye");
    let passed: Vec<bool> =
        [LINE, LINE, &other, LINE, &other].map(|line| shape_at(&mut shaper, line, 1).fragment.is_ok()).into();
    assert_eq!(passed, [true, false, true, false, false]);
    let notices = shape_at(&mut shaper, LINE, 5 * SECOND).notices;
    let texts: Vec<String> =
        notices.into_iter().map(|text| String::from_utf8(text).expect("UTF-8")).collect();
    assert!(texts[0].contains("1 records of info bye were repeated"), "{texts:?}");
    assert!(texts[1].contains("2 records of info hello were repeated"), "{texts:?}");
}

#[test]
fn a_template_is_checked_when_it_is_read() {
    assert!(Template::read("{open").is_err());
    assert!(Template::read("{a*}").is_err());
    assert!(is_writable(&path("log.level")) && is_writable(&path("x")));
    assert!(!is_writable(&path("host.name")) && !is_writable(&path("log.offset")));
}
