//! Walks a parsed TOML document section by section, and collects what is wrong with it instead of stopping.
//!
//! A section asks its [`Reader`] for each key by name, with the default. What was asked for is what is known: keys that
//! nobody asked for are faults, and the names that were asked for are the suggestions. So a key is added in one place.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{Fault, Located};
use crate::expand::expand;
use crate::secret::Secret;
use crate::source::Scalar;
use crate::suggest::nearest;

/// What a whole walk shares.
pub(crate) struct Context<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl<'e> Context<'e> {
    pub(crate) fn new(env: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self { env, faults: RefCell::default(), warnings: RefCell::default() }
    }

    /// Parses `text` and hands its top level to `read`. While the text is no TOML, only that is reported: what can be
    /// read of it would be half of what was meant.
    pub(crate) fn read_document<T>(&self, text: &str, read: impl FnOnce(&mut Reader<'_, '_>) -> T) -> T {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader::new(self, "the top level".into(), table.span(), table.into_inner());
        let out = read(&mut reader);
        reader.finish();
        if !errors.is_empty() {
            let faults = errors.iter().map(|e| Fault::new(e.span().unwrap_or(0..0), e.message()));
            *self.faults.borrow_mut() = faults.collect();
        }
        out
    }

    /// Faults and warnings of the walk.
    pub(crate) fn into_findings(self) -> (Vec<Fault>, Vec<Fault>) {
        (self.faults.into_inner(), self.warnings.into_inner())
    }

    fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }
}

/// A key and its value.
type Entry<'i> = (Located<String>, Spanned<DeValue<'i>>);

/// One table of the document.
pub(crate) struct Reader<'c, 'i> {
    context: &'c Context<'c>,
    /// As it is written: `[buffer]`.
    title: String,
    span: Range<usize>,
    /// What nobody asked for so far.
    entries: Vec<Entry<'i>>,
    /// What was asked for so far.
    known: Vec<&'static str>,
    /// What of it stood there.
    given: Vec<&'static str>,
}

impl<'c, 'i> Reader<'c, 'i> {
    fn new(context: &'c Context<'c>, title: String, span: Range<usize>, table: DeTable<'i>) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| (Located { span: key.span(), value: key.into_inner().into_owned() }, value))
            .collect();
        Self { context, title, span, entries, known: Vec::new(), given: Vec::new() }
    }

    /// Where the table's header stands.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Reports something wrong.
    pub(crate) fn fault(&self, fault: Fault) {
        self.context.fault(fault);
    }

    /// How many faults there are so far, in the whole document.
    pub(crate) fn faults(&self) -> usize {
        self.context.faults.borrow().len()
    }

    /// Whether one of these keys stood there; all of them have been asked for.
    pub(crate) fn asked_and_given(&self, keys: &[&'static str]) -> bool {
        self.given.iter().any(|key| keys.contains(key))
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, _)| name.value == key)?;
        self.given.push(key);
        Some(self.entries.remove(at).1)
    }

    fn wrong_type(&self, key: &str, expected: &str, value: &Spanned<DeValue<'_>>) {
        let found = value.get_ref().type_str();
        self.fault(Fault::new(value.span(), format!("`{key}` is {expected}, not a value of type {found}")));
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in &self.entries {
            let help = match nearest(&key.value, &self.known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let message = format!("unknown key `{}` in {}", key.value, self.title);
            self.fault(Fault::new(key.span.clone(), message).with_help(help));
        }
    }

    /// A table `[key]`; absent, it reads as an empty one.
    pub(crate) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'_, 'i>) -> T) -> T {
        let (span, table) = match self.take(key) {
            None => (0..0, DeTable::new()),
            Some(value) => match (value.span(), value.into_inner()) {
                (span, DeValue::Table(table)) => (span, table),
                (span, other) => {
                    self.wrong_type(key, "a table", &Spanned::new(span.clone(), other));
                    (span, DeTable::new())
                }
            },
        };
        let mut reader = Reader::new(self.context, format!("[{key}]"), span, table);
        let out = read(&mut reader);
        reader.finish();
        out
    }

    /// What stands in a table `{ .. }` whose keys are free.
    fn entries_of(&mut self, key: &'static str) -> Vec<Entry<'i>> {
        self.section(key, |table| std::mem::take(&mut table.entries))
    }

    /// Any number of tables `[[key]]`.
    pub(crate) fn sections<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Reader<'_, '_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let title = match self.title.strip_prefix("[[").and_then(|title| title.strip_suffix("]]")) {
            Some(parent) => format!("[[{parent}.{key}]]"),
            None => format!("[[{key}]]"),
        };
        let span = value.span();
        let tables = match value.into_inner() {
            DeValue::Array(items) => items.into_iter().collect(),
            DeValue::Table(_) => {
                let message = format!("there may be several `{key}`: each is a table of a list");
                self.fault(Fault::new(span, message).with_help(format!("write {title}")));
                return Vec::new();
            }
            other => vec![Spanned::new(span, other)],
        };
        let mut out = Vec::with_capacity(tables.len());
        for table in tables {
            match (table.span(), table.into_inner()) {
                (span, DeValue::Table(table)) => {
                    let mut reader = Reader::new(self.context, title.clone(), span, table);
                    out.push(read(&mut reader));
                    reader.finish();
                }
                (span, other) => self.wrong_type(key, "a list of tables", &Spanned::new(span, other)),
            }
        }
        out
    }

    /// A string exactly as it stands, `${VAR}` included.
    pub(crate) fn verbatim(&mut self, key: &'static str) -> Option<Located<String>> {
        let value = self.take(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(key, "a string", &value);
            return None;
        };
        Some(Located { value: text.to_owned(), span: value.span() })
    }

    /// A string, with its variables expanded.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<Located<String>> {
        let text = self.verbatim(key)?;
        self.expanded(text)
    }

    fn expanded(&self, text: Located<String>) -> Option<Located<String>> {
        match expand(&text.value, self.context.env) {
            Ok(value) => Some(Located { value, span: text.span }),
            Err((message, help)) => {
                self.fault(Fault { span: text.span, message, help });
                None
            }
        }
    }

    /// A string, or a list of strings.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<Located<String>> {
        self.strings(key).into_iter().filter_map(|text| self.expanded(text)).collect()
    }

    /// A string or a list of strings, exactly as they stand.
    pub(crate) fn strings(&mut self, key: &'static str) -> Vec<Located<String>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let span = value.span();
        let items = match value.into_inner() {
            DeValue::Array(items) => items.into_iter().collect(),
            single => vec![Spanned::new(span, single)],
        };
        let text = |item: Spanned<DeValue<'_>>| match item.get_ref().as_str() {
            Some(text) => Some(Located { value: text.to_owned(), span: item.span() }),
            None => {
                self.wrong_type(key, "a string or a list of strings", &item);
                None
            }
        };
        items.into_iter().filter_map(text).collect()
    }

    /// A string that `parse` understands.
    pub(crate) fn parsed<T, E: ToString>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(Fault::new(text.span, error.to_string()));
                None
            }
        }
    }

    /// A path; relative ones are relative to the working directory.
    pub(crate) fn path(&mut self, key: &'static str, default: &str) -> PathBuf {
        self.text(key).map_or_else(|| default.into(), |text| text.value.into())
    }

    /// One of some names.
    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, names: &[(&'static str, T)]) -> Option<T> {
        let text = self.verbatim(key)?;
        self.one_of(key, text, names)
    }

    /// One of some names, read already; its variables are expanded.
    pub(crate) fn one_of<T: Copy>(
        &self,
        key: &'static str,
        text: Located<String>,
        names: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.expanded(text)?;
        if let Some((_, value)) = names.iter().find(|(name, _)| *name == text.value) {
            return Some(*value);
        }
        let known: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        let help = match nearest(&text.value, &known) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("known: {}", known.join(", ")),
        };
        self.fault(Fault::new(text.span, format!("`{}` is no value of `{key}`", text.value)).with_help(help));
        None
    }

    /// Whether the key is there, and is a table.
    pub(crate) fn is_table(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, value)| name.value == key && value.get_ref().is_table())
    }

    /// A table of strings exactly as they stand.
    pub(crate) fn verbatim_table(&mut self, key: &'static str) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for (name, value) in self.entries_of(key) {
            match value.get_ref().as_str() {
                Some(text) => out.push((name.value, text.to_owned())),
                None => self.wrong_type(&name.value, "a string", &value),
            }
        }
        out
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.take(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(key, "true or false", &value);
            default
        })
    }

    /// True, false, or nothing at all.
    pub(crate) fn optional_flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, "true or false", &value);
        }
        flag
    }

    /// A whole number within a range.
    pub(crate) fn number(&mut self, key: &'static str, range: RangeInclusive<u16>, default: u16) -> u16 {
        let Some(value) = self.take(key) else { return default };
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong_type(key, "a whole number", &value);
            return default;
        };
        match number.as_str().parse().ok().filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let message = format!("`{key}` is a number from {} to {}", range.start(), range.end());
                self.fault(Fault::new(value.span(), message));
                default
            }
        }
    }

    /// A table of strings, `{ team = "payments" }`.
    pub(crate) fn string_table(&mut self, key: &'static str) -> Vec<(String, String)> {
        let entries = self.entries_of(key);
        let mut out = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            match value.get_ref().as_str() {
                Some(text) => {
                    let text = self.expanded(Located { value: text.to_owned(), span: value.span() });
                    out.extend(text.map(|text| (name.value, text.value)));
                }
                None => self.wrong_type(&name.value, "a string", &value),
            }
        }
        out
    }

    /// A table of numbers within a range, `{ checkout = 4, batch = 0.5 }`.
    pub(crate) fn decimal_table(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
    ) -> Vec<(String, f64)> {
        let entries = self.entries_of(key);
        let mut out = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let number = match value.get_ref() {
                DeValue::Integer(number) => number.as_str().parse().ok(),
                DeValue::Float(number) => number.as_str().parse().ok(),
                _ => None,
            };
            match number.filter(|number| range.contains(number)) {
                Some(number) => out.push((name.value, number)),
                None => {
                    let message = format!("`{key}` are numbers from {} to {}", range.start(), range.end());
                    self.fault(Fault::new(value.span(), message));
                }
            }
        }
        out
    }

    /// A table of scalars; nested tables are joined to names with dots.
    pub(crate) fn scalar_table(&mut self, key: &'static str) -> Vec<(String, Scalar)> {
        let entries = self.entries_of(key);
        let mut out = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            self.flatten(name.value, value, &mut out);
        }
        out
    }

    fn flatten(&self, name: String, value: Spanned<DeValue<'_>>, out: &mut Vec<(String, Scalar)>) {
        let scalar = match value.get_ref() {
            DeValue::String(text) => Some(Scalar::Text(text.to_string())),
            DeValue::Boolean(flag) => Some(Scalar::Boolean(*flag)),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(Scalar::Integer)
            }
            DeValue::Float(number) => number.as_str().parse().ok().map(Scalar::Float),
            DeValue::Table(_) => {
                if let DeValue::Table(table) = value.into_inner() {
                    for (key, value) in table {
                        self.flatten(format!("{name}.{}", key.get_ref()), value, out);
                    }
                }
                return;
            }
            DeValue::Datetime(_) | DeValue::Array(_) => None,
        };
        match scalar {
            Some(scalar) => out.push((name, scalar)),
            None => self.wrong_type(&name, "a string, a number, true or false", &value),
        }
    }

    /// `{ file = "..." }`, `{ env = "..." }`, or the secret itself, which is warned of.
    pub(crate) fn secret(&mut self, key: &'static str) -> Option<Located<Secret>> {
        let at = self.entries.iter().position(|(name, _)| name.value == key);
        let value = &self.entries.get(at.unwrap_or(usize::MAX)).map(|(_, value)| value);
        if let Some(DeValue::Table(_)) = value.map(Spanned::get_ref) {
            return self.section(key, Self::secret_reference);
        }
        let text = self.verbatim(key)?;
        if !text.value.contains("${") {
            let help = "write { file = \"...\" } or { env = \"...\" }";
            let warning =
                Fault::new(text.span.clone(), format!("`{key}` stands in the configuration itself"));
            self.context.warnings.borrow_mut().push(warning.with_help(help));
        }
        let text = self.expanded(text)?;
        Some(Located { value: Secret::inline(text.value), span: text.span })
    }

    fn secret_reference(reference: &mut Reader<'_, '_>) -> Option<Located<Secret>> {
        let span = reference.span();
        let secret = match (reference.text("file"), reference.text("env")) {
            (Some(file), None) => Secret::file(file.value),
            (None, Some(env)) => {
                let value = (reference.context.env)(&env.value);
                Secret::variable(env.value, value)
            }
            _ => {
                let message = format!("{} names either a file or an environment variable", reference.title);
                let help = "write { file = \"...\" } or { env = \"...\" }";
                reference.fault(Fault::new(span, message).with_help(help));
                return None;
            }
        };
        Some(Located { value: secret, span })
    }
}
