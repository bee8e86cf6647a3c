//! Templates: what lines of the same build have in common, mined as Drain does it.
//!
//! Lines are cut into parts by how they look. Lines with the same kinds of parts and the same text between them are of
//! one build; within a build, those that share enough words are of one template. A word that is the same in all lines
//! of a template is fixed, everything else varies. P. He et al., "Drain: An Online Log Parsing Approach with Fixed
//! Depth Tree", ICWS 2017.

use std::collections::BTreeMap;

use weir_shipper::drift::{Kind, parts};

/// Parts of a line; what follows is text.
const PARTS_MAX: usize = 60;

/// Of the words of a line that have to be the template's: one of this many, at least.
const WORDS_ALIKE: usize = 2;

/// Values of a part that are kept to tell what it is.
const VALUES_MAX: usize = 24;

/// Templates of one build; what fits none of them joins the first.
const TEMPLATES_MAX: usize = 64;

/// A line, cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'t> {
    /// All of it.
    pub text: &'t str,
    /// Its parts: the text before, the kind, the text.
    pub parts: Vec<(&'t str, Kind, &'t str)>,
    /// What follows the last part.
    pub end: &'t str,
}

impl<'t> Line<'t> {
    /// Cuts a line.
    pub fn new(text: &'t str) -> Line<'t> {
        let (mut cut, mut end) = (Vec::new(), 0);
        for part in parts(text, PARTS_MAX) {
            cut.push((&text[end..part.span.start], part.kind, &text[part.span.clone()]));
            end = part.span.end;
        }
        Line { text, parts: cut, end: &text[end..] }
    }

    fn build(&self) -> Build {
        let parts = self.parts.iter().map(|(before, kind, _)| (squeezed(before), *kind)).collect();
        Build { parts, end: squeezed(self.end) }
    }
}

/// What lines of one build share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Build {
    parts: Vec<(String, Kind)>,
    end: String,
}

/// Runs of blanks are one: columns are padded.
fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character != ' ' || !out.ends_with(' ') {
            out.push(character);
        }
    }
    out
}

/// One place of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text before it, runs of blanks as one.
    pub before: String,
    /// What stands there looks like.
    pub kind: Kind,
    /// Whether punctuation parts it from what stands beside it: a value of its own, no word of a text.
    pub is_value: bool,
    /// Different values, some of them.
    pub values: Vec<String>,
}

impl Place {
    /// The word that stands there in every line.
    pub fn fixed(&self) -> Option<&str> {
        match &self.values[..] {
            [word] if self.kind == Kind::Word && !self.is_value => Some(word),
            _ => None,
        }
    }

    fn new(before: String, kind: Kind) -> Place {
        Place { before, kind, is_value: false, values: Vec::new() }
    }

    fn add(&mut self, value: &str) {
        if self.values.len() < VALUES_MAX && !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
        }
    }
}

/// What some lines have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// In the order of the line.
    pub places: Vec<Place>,
    /// What follows the last place.
    pub end: String,
    /// Whether anything may follow.
    pub is_open: bool,
    /// Whether columns are padded with blanks.
    pub is_padded: bool,
    /// How many lines it was made of.
    pub lines: usize,
    /// One of them.
    pub example: String,
}

impl Template {
    fn new(line: &Line<'_>, build: &Build) -> Template {
        let mut places: Vec<Place> =
            build.parts.iter().map(|(before, kind)| Place::new(before.clone(), *kind)).collect();
        mark_values(&mut places, &build.end);
        let (end, example) = (build.end.clone(), line.text.to_owned());
        let mut template = Template { places, end, is_open: false, is_padded: false, lines: 0, example };
        template.add(line);
        template
    }

    fn is_like(&self, line: &Line<'_>) -> bool {
        let is_word = |place: &Place| place.kind == Kind::Word && !place.is_value && place.values.len() == 1;
        let words = self.places.iter().zip(&line.parts).filter(|(place, _)| is_word(place));
        let (mut all, mut alike) = (0, 0);
        for (place, (_, _, value)) in words {
            all += 1;
            alike += usize::from(place.values[0] == *value);
        }
        alike * WORDS_ALIKE >= all
    }

    fn add(&mut self, line: &Line<'_>) {
        self.lines += 1;
        self.is_padded |= line.text.contains("  ");
        for (place, (_, _, value)) in self.places.iter_mut().zip(&line.parts) {
            place.add(value);
        }
    }
}

fn mark_values(places: &mut [Place], end: &str) {
    let behind: Vec<String> =
        places.iter().skip(1).map(|place| place.before.clone()).chain([end.to_owned()]).collect();
    for (place, behind) in places.iter_mut().zip(behind) {
        let is_parted = place.before.ends_with(|last| last != ' ');
        let is_key = behind.starts_with(['=', ':']);
        place.is_value = !is_key && is_parted || behind.starts_with(['|', ',', ';', '\t', ']']);
    }
}

/// The templates of these lines, the most frequent first.
pub fn templates(lines: &[Line<'_>]) -> Vec<Template> {
    let mut builds: BTreeMap<Build, Vec<Template>> = BTreeMap::new();
    for line in lines {
        let build = line.build();
        let of_build = builds.entry(build.clone()).or_default();
        match of_build.iter().position(|template| template.is_like(line)) {
            Some(at) => of_build[at].add(line),
            None if of_build.len() >= TEMPLATES_MAX => of_build[0].add(line),
            None => of_build.push(Template::new(line, &build)),
        }
    }
    let mut templates: Vec<Template> = builds.into_values().flatten().collect();
    templates.sort_by_key(|template| std::cmp::Reverse(template.lines));
    templates
}

/// Lines of which nearly all begin alike: this share of those that are left goes on with the same part.
const ALIKE_PERCENT: usize = 90;

/// The longest beginning that most of these lines share, up to where their own text begins; none where they share none.
pub fn header(lines: &[Line<'_>]) -> Option<Template> {
    let mut alike: Vec<&Line<'_>> = lines.iter().collect();
    let mut places: Vec<Place> = Vec::new();
    while places.len() < PARTS_MAX {
        let at = places.len();
        let next = |line: &&Line<'_>| line.parts.get(at).map(|(before, kind, _)| (squeezed(before), *kind));
        let mut counts: BTreeMap<(String, Kind), usize> = BTreeMap::new();
        alike.iter().filter_map(&next).for_each(|part| *counts.entry(part).or_default() += 1);
        let Some((part, count)) = counts.into_iter().max_by_key(|(_, count)| *count) else { break };
        // The first part decides which lines the header is of; after it, losing lines has a price.
        if at > 0 && count * 100 < alike.len() * ALIKE_PERCENT {
            break;
        }
        alike.retain(|line| next(line).as_ref() == Some(&part));
        places.push(Place::new(part.0, part.1));
    }
    for line in &alike {
        places.iter_mut().zip(&line.parts).for_each(|(place, (_, _, value))| place.add(value));
    }
    mark_values(&mut places, "");
    let length = header_length(&places)?;
    // What parts the header from the text stands before the first part that is no longer of it.
    let end = alike.iter().find_map(|line| line.parts.get(length)).map_or("", |(before, _, _)| before);
    let end = places.get(length).map_or(end, |place| &place.before);
    let end = if end.starts_with(' ') || end.is_empty() { String::new() } else { squeezed(end) };
    places.truncate(length);
    let example = alike.first()?.text.to_owned();
    let is_padded = alike.iter().any(|line| line.text.contains("  "));
    Some(Template {
        places,
        end: end.trim_end().to_owned(),
        is_open: true,
        is_padded,
        lines: alike.len(),
        example,
    })
}

/// How many places are of the header: to the last that is no word of a text, or has punctuation behind it.
fn header_length(places: &[Place]) -> Option<usize> {
    let is_of_text = |at: usize| {
        let behind = places.get(at + 1).map_or("", |place| &place.before);
        places[at].kind == Kind::Word && behind.trim().is_empty()
    };
    let last = (0..places.len()).rev().find(|at| !is_of_text(*at))?;
    Some(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&'static str]) -> Vec<Line<'static>> {
        texts.iter().map(|text| Line::new(text)).collect()
    }

    #[test]
    fn words_that_stay_are_fixed_and_what_changes_varies() {
        let found = templates(&lines(&[
            "job 17 started by ann on 10.0.0.1",
            "job 18 started by bob on 10.0.0.2",
            "cache miss for key a",
            "job 19 started by eve on 10.0.0.3",
        ]));
        assert_eq!(found.iter().map(|template| template.lines).collect::<Vec<_>>(), [3, 1]);
        let fixed: Vec<Option<&str>> = found[0].places.iter().map(Place::fixed).collect();
        assert_eq!(fixed, [Some("job"), None, Some("started"), Some("by"), None, Some("on"), None]);
        assert_eq!(found[0].places[4].values, ["ann", "bob", "eve"]);
    }

    #[test]
    fn what_all_lines_begin_with_is_the_header() {
        let found = header(&lines(&[
            "#1 10.0.0.1 [a] the first thing",
            "#2 10.0.0.2 [b] another",
            "#3 10.0.0.3 [c] took 5 steps",
        ]));
        let header = found.expect("they begin alike");
        assert_eq!((header.places.len(), header.end.as_str(), header.lines), (3, "]", 3));
        assert_eq!(header_of_text(&["some words", "and others here"]), None);
    }

    fn header_of_text(texts: &[&'static str]) -> Option<Template> {
        header(&lines(texts))
    }
}
