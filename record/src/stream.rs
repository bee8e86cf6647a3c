//! Names of data streams (ECS, `data_stream.*`): `<type>-<dataset>-<namespace>`.

/// Longest dataset, in bytes.
pub const DATASET_BYTES_MAX: usize = 100;

/// The dataset of a name that leaves nothing usable.
pub const DATASET_DEFAULT: &str = "generic";

/// Makes a dataset of any name: lower case, `-` and whatever an index name or a path could trip over become `_`, at
/// most [`DATASET_BYTES_MAX`] bytes; never empty, and never beginning with `_` or `.`.
pub fn clean_dataset(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' })
        .skip_while(|c| matches!(c, '_' | '.'))
        .take(DATASET_BYTES_MAX)
        .collect();
    while clean.contains("..") {
        clean = clean.replace("..", ".");
    }
    if clean.is_empty() { DATASET_DEFAULT.to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_a_dataset() {
        let check = |name: &str, expected: &str| assert_eq!(clean_dataset(name), expected, "{name:?}");
        check("checkout", "checkout");
        check("Check-Out", "check_out");
        check("kubernetes.container_logs", "kubernetes.container_logs");
        check("../../etc/passwd", "etc_passwd");
        check("größe", "gr__e");
        check("", "generic");
        check("-", "generic");
        check(&"x".repeat(300), &"x".repeat(100));
    }
}
