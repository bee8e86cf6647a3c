use std::ops::Bound;

use serde_json::json;

use super::*;
use crate::schema::Field;

fn field(field: Field, test: Test) -> Query {
    Query::Test(FieldPath::Schema(field), test)
}

fn is(schema: Field, value: &str) -> Query {
    field(schema, Test::Is(value.to_owned()))
}

fn text(words: &str) -> Query {
    Query::Or(vec![
        field(Field::Message, Test::Words(words.to_owned())),
        field(Field::ErrorMessage, Test::Words(words.to_owned())),
    ])
}

fn check(query: &str, expected: Query) {
    assert_eq!(Query::parse(query), Ok(expected), "{query}");
}

fn check_error(query: &str, position: usize, part: &str) {
    let error = Query::parse(query).expect_err(query);
    assert_eq!(error.position, position, "{query}: {error}");
    assert!(error.message.contains(part), "{query}: {error}");
}

fn check_match(query: &str, document: serde_json::Value, expected: bool) {
    let parsed = Query::parse(query).expect(query);
    assert_eq!(parsed.matches(&document), expected, "{query} on {document}");
}

#[test]
fn nothing_and_a_star_match_every_document() {
    check("", Query::All);
    check("  ", Query::All);
    check("*", Query::All);
    check("* level:error", is(Field::LogLevel, "error"));
}

#[test]
fn the_example_of_the_documentation_is_read() {
    let query = Query::parse(
        r#"level:error service:checkout "connection reset" status>=500 NOT path:/health trace.id:abc*"#,
    );
    let expected = Query::And(vec![
        is(Field::LogLevel, "error"),
        is(Field::ServiceName, "checkout"),
        text("connection reset"),
        field(Field::HttpResponseStatusCode, Test::Integers(Bound::Included(500), Bound::Unbounded)),
        Query::Not(Box::new(is(Field::UrlPath, "/health"))),
        field(Field::TraceId, Test::Like(Pattern::new([Piece::Text("abc".into()), Piece::Many]))),
    ]);
    assert_eq!(query, Ok(expected));
}

#[test]
fn two_equals_signs_behind_a_field_are_a_colon() {
    for query in ["log.level == \"error\"", "level==error", "level == error"] {
        check(query, is(Field::LogLevel, "error"));
    }
    check("a = b", Query::And(vec![text("a"), text("b")]));
    check_error("level ==", 8, "expected a value");
}

#[test]
fn not_binds_strongest_and_or_weakest() {
    let (a, b, c) = (text("aa"), text("bb"), text("cc"));
    let and = |parts: [Query; 2]| Query::And(parts.into());
    check("aa bb OR cc", Query::Or(vec![and([a.clone(), b.clone()]), c.clone()]));
    check("aa or bb and cc", Query::Or(vec![a.clone(), and([b.clone(), c.clone()])]));
    check("aa AND (bb || cc)", and([a.clone(), Query::Or(vec![b.clone(), c.clone()])]));
    check("not aa bb", and([Query::Not(Box::new(a.clone())), b.clone()]));
    check("-aa !bb", and([Query::Not(Box::new(a)), Query::Not(Box::new(b))]));
}

#[test]
fn a_field_takes_a_group_of_values() {
    check(
        "level:(error or WARN)",
        Query::Or(vec![is(Field::LogLevel, "error"), is(Field::LogLevel, "warning")]),
    );
    check(
        "status:(404 or >=500)",
        Query::Or(vec![
            field(Field::HttpResponseStatusCode, Test::Integers(Bound::Included(404), Bound::Included(404))),
            field(Field::HttpResponseStatusCode, Test::Integers(Bound::Included(500), Bound::Unbounded)),
        ]),
    );
}

#[test]
fn ranges_are_read_in_every_spelling() {
    let status = |lower, upper| field(Field::HttpResponseStatusCode, Test::Integers(lower, upper));
    for query in ["status>=500", "status >= 500", "status:>=500", "status:[500 TO *]", "status:[500 to *}"] {
        check(query, status(Bound::Included(500), Bound::Unbounded));
    }
    check("status:{400 TO 500}", status(Bound::Excluded(400), Bound::Excluded(500)));
    check("status<-1", status(Bound::Unbounded, Bound::Excluded(-1)));
    check(
        "duration>1.5s",
        field(Field::EventDuration, Test::Integers(Bound::Excluded(1_500_000_000), Bound::Unbounded)),
    );
    check(
        "time:2026-11-20",
        field(
            Field::Timestamp,
            Test::Moments(
                Bound::Included(1_795_132_800_000_000_000),
                Bound::Excluded(1_795_219_200_000_000_000),
            ),
        ),
    );
}

#[test]
fn levels_are_compared_by_severity() {
    check(
        "level>=critical",
        Query::Or(["critical", "alert", "emergency", "fatal"].map(|level| is(Field::LogLevel, level)).into()),
    );
}

#[test]
fn unknown_fields_are_attributes_and_quotes_and_backslashes_protect() {
    let attribute = |path: &str, value: &str| {
        Query::Test(FieldPath::Attribute(path.to_owned()), Test::Is(value.to_owned()))
    };
    check("cart.id:7", attribute("cart.id", "7"));
    check("attributes.cart.id:7", attribute("cart.id", "7"));
    check("time_zone:Europe/Berlin", attribute("time_zone", "Europe/Berlin"));
    check(r#"key:"a \"b\" (c)""#, attribute("key", "a \"b\" (c)"));
    check(r"key:a\ b\*", attribute("key", "a b*"));
    check("key:a:b", attribute("key", "a:b"));
    check("key:((a:b))", attribute("key", "a:b"));
    check("labels.team:pay", Query::Test(FieldPath::Label("team".into()), Test::Is("pay".into())));
    check("http://example.com/x", text("http://example.com/x"));
    check("12:30", text("12:30"));
    check(r"level\:x", text("level:x"));
}

#[test]
fn errors_say_where_and_what_was_expected() {
    check_error("level:", 6, "expected a value for \"level\"");
    check_error("(a or b", 0, "not closed");
    check_error("ä b)", 3, "closes nothing");
    check_error("a AND", 5, "ends where");
    check_error("OR a", 0, "before OR");
    check_error("()", 1, "before this parenthesis");
    check_error("say \"hello", 4, "no partner");
    check_error("status:abc", 7, "whole number");
    check_error("status:[1 5]", 7, "[a TO b]");
    check_error("status:5*", 7, "is a number");
    check_error("ip:10.*", 3, "10.0.0.0/8");
    check_error("ip:10.0.0.0/33", 3, "is no address");
    check_error("message>5", 7, "is text");
    check_error("level>=loud", 5, "is no level");
    check_error("error.stack_trace:x", 18, "not searched");
    check_error("a.*:x", 0, "wildcard");
    check_error(&"(".repeat(60), 50, "levels deep");
    check_error(&"a ".repeat(1001), 2000, "at most 1000");
}

#[test]
fn one_document_is_matched_whatever_its_nesting() {
    let document = json!({
        "message": "Connection reset by peer", "log": {"level": "error"}, "tags": ["a", "b"],
        "source.ip": "10.1.2.3", "http.response.status_code": 503, "@timestamp": "2026-11-20T10:00:00.5Z",
        "attributes.cart": {"id": 7, "paid": false, "sum": 1.5}, "attributes.a.b": "x", "attributes.none": null,
    });
    for query in [
        "connection",
        "\"reset by\"",
        "conn*",
        "*set",
        "level:err",
        "tag:b",
        "ip:10.0.0.0/8",
        "status>500",
        "cart.id:7",
        "cart.id>6",
        "cart.paid:false",
        "cart.sum:1.50",
        "a.b:x",
        "cart:*",
        "NOT none:*",
        "time:2026-11-20T10:00",
        "a.b:[w TO y]",
        "cart.id:[6 TO 8}",
    ] {
        check_match(query, document.clone(), true);
    }
    for query in [
        "\"reset connection\"",
        "\"connection by\"",
        "onn",
        "level:info",
        "ip:10.1.2.4",
        "status>503",
        "cart.id:8",
        "a.b:X",
        "b:x",
        "nothing:*",
        "time>2026-11-20T10:00:00.5",
        "cart.id>a",
    ] {
        check_match(query, document.clone(), false);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_query_or_an_error_inside_it(text in "[a-z:()\"\\\\ *<>=\\[\\]{}!-]{0,40}|(level|AND|or|NOT|\\(|\\)|:|>|\"| |[a-z]\\*?|\\[1 TO 2\\]){0,20}") {
        if let Err(error) = Query::parse(&text) {
            proptest::prop_assert!(error.position <= text.chars().count());
        }
    }
}
