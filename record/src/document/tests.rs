use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn write(fill: impl FnOnce(&mut DocumentWriter)) -> String {
    let (mut out, mut scratch) = (b"before".to_vec(), DocumentScratch::default());
    let mut writer = DocumentWriter::new(&mut out, &mut scratch, b"", FieldSet::weir_only());
    fill(&mut writer);
    let length = writer.finish();
    assert_eq!(out.len(), 6 + length);
    String::from_utf8(out.split_off(6)).expect("UTF-8")
}

#[test]
fn a_document_is_flat_dotted_members() {
    let fragment = write(|writer| {
        writer.timestamp(Timestamp::from_nanos(1_000_000, 3).expect("valid"));
        writer.string(Field::Message, "a \"b\"");
        writer.level(Level::Error);
        writer.attribute_string("user.tier", "gold");
        writer.tag(Tag::Truncated);
    });
    assert_eq!(
        fragment,
        r#""@timestamp":"1970-01-01T00:00:00.001Z","message":"a \"b\"","log.level":"error","attributes.user.tier":"gold","tags":["truncated"]"#
    );
}

#[test]
fn a_field_is_written_once_and_weirs_own_never_by_a_line() {
    let fragment = write(|writer| {
        assert!(writer.string(Field::Message, "first"));
        assert!(!writer.string(Field::Message, "second"));
        assert!(!writer.integer(Field::LogOffset, 7));
    });
    assert_eq!(fragment, r#""message":"first""#);
}

#[test]
fn members_are_written_together_or_those_that_are_not_taken() {
    let members =
        Members::new([(Field::SyslogPriority, "34".to_owned()), (Field::LogLevel, "\"error\"".to_owned())]);
    let with_first = |first: fn(&mut DocumentWriter<'_>) -> bool| {
        write(|writer| {
            assert!(first(writer));
            writer.prepared(&members);
            assert!(!writer.string(Field::LogLevel, "other"));
        })
    };
    let both = r#""log.syslog.priority":34,"log.level":"error""#;
    assert_eq!(with_first(|_| true), both);
    assert_eq!(with_first(|writer| writer.string(Field::Message, "x")), format!(r#""message":"x",{both}"#));
    let taken = with_first(|writer| writer.level(Level::Info));
    assert_eq!(taken, r#""log.level":"info","log.syslog.priority":34"#);
}

#[test]
fn repeated_and_unusable_keys_are_mended() {
    let fragment = write(|writer| {
        for key in ["a", "a", "a", "", ".", "x..y", " ", "end."] {
            writer.attribute(key).push(b'1');
        }
    });
    assert_eq!(
        fragment,
        r#""attributes.a":1,"attributes.a_2":1,"attributes.a_3":1,"attributes._":1,"attributes._._":1,"attributes.x._.y":1,"attributes.__2":1,"attributes.end._":1"#
    );
}

#[test]
fn tags_of_the_line_and_of_weir_stand_together() {
    let fragment = write(|writer| {
        writer.line_tags(br#""a","b""#);
        writer.tag(Tag::InvalidUtf8);
    });
    assert_eq!(fragment, r#""tags":["a","b","invalid_utf8"]"#);
}

#[test]
fn reset_leaves_no_trace() {
    let fragment = write(|writer| {
        writer.string(Field::Message, "json?");
        writer.attribute_string("k", "v");
        writer.tag(Tag::Truncated);
        writer.reset();
        writer.attribute_string("k", "w");
    });
    assert_eq!(fragment, r#""attributes.k":"w""#);
}

#[test]
fn a_member_is_copied_unless_its_key_has_to_be_mended() {
    let fragment = write(|writer| {
        assert!(writer.attribute_member(AttributeKey::new(b"a"), br#"a": [1, 2]"#));
        assert!(!writer.attribute_member(AttributeKey::new(b"a"), br#"a":2"#));
        assert!(!writer.attribute_member(AttributeKey::new(b"a."), br#"a.":2"#));
        writer.attribute("a").push(b'3');
    });
    assert_eq!(fragment, r#""attributes.a": [1, 2],"attributes.a_2":3"#);
}

proptest! {
    #[test]
    fn any_keys_and_values_make_valid_json_without_repeats(pairs in prop::collection::vec(("\\PC{0,5}|[a-c.]{0,3}|_2", "\\PC*"), 0..20)) {
        let fragment = write(|writer| {
            for (key, value) in &pairs {
                writer.attribute_string(key, value);
            }
        });
        let document = format!("{{{fragment}}}");
        let read: HashMap<String, Value> = serde_json::from_str(&document).expect("valid JSON");
        prop_assert_eq!(read.len(), pairs.len());
    }
}
