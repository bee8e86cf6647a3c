//! `${VAR}` and `${VAR:-default}` inside strings.

/// Replaces each `${VAR}` by the variable's value, and `${VAR:-default}` by `default` when the variable is unset or
/// empty, as a shell does. `$${` stands for the two characters `${`. Any other `$` stays. The error says what is wrong,
/// and what to write instead.
pub(crate) fn expand(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, (String, Option<String>)> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let Some((variable, after)) = rest[at + 2..].split_once('}') else {
            return Err(("`${` without its `}`".into(), Some("write `$${` for a literal `${`".into())));
        };
        out.push_str(&value(variable, env)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(variable: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, (String, Option<String>)> {
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err((
            format!("`${{{variable}}}` does not name an environment variable"),
            Some("write `${NAME}`, `${NAME:-default}`, or `$${` for a literal `${`".into()),
        ));
    }
    match (env(name), default) {
        (Some(value), _) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.into()),
        (Some(empty), None) => Ok(empty),
        (None, None) => Err((
            format!("the environment variable `{name}` is not set"),
            Some(format!("set it, or write `${{{name}:-default}}`")),
        )),
    }
}
