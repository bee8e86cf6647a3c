//! The user's own logrotate configuration, turned on the files of torture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Directives that run programs or change owners: they belong to the real service.
const LEFT_OUT: [&str; 4] = ["su", "olddir", "create", "mail"];

/// Blocks of shell commands.
const SCRIPTS: [&str; 6] = ["postrotate", "prerotate", "firstaction", "lastaction", "preremove", "endscript"];

/// Directives to rotate by.
#[derive(Clone, Debug)]
pub struct Logrotate {
    directives: String,
    directory: PathBuf,
}

impl Logrotate {
    /// Takes the directives of the first block of the configuration at `path`; scripts, owners and other directories
    /// are left out, and that is said. `directory`: for logrotate's state.
    pub fn read(path: &Path, directory: PathBuf) -> anyhow::Result<Logrotate> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (directives, left_out) = directives(&text);
        if !left_out.is_empty() {
            eprintln!("of {}, these directives are left out: {}", path.display(), left_out.join(", "));
        }
        Ok(Logrotate { directives, directory })
    }

    /// Rotates the file at `path` now, however young or small it is.
    pub fn rotate(&self, path: &Path) -> anyhow::Result<()> {
        let configuration = self.directory.join("logrotate.conf");
        // The directory may be writable by others, as /tmp is: without `su` logrotate would refuse to work there.
        let text = format!("\"{}\" {{\n{}}}\n", path.display(), self.directives);
        fs::write(&configuration, text)?;
        let output = Command::new("logrotate")
            .arg("--force")
            .arg("--state")
            .arg(self.directory.join("logrotate.state"))
            .arg(&configuration)
            .output()
            .context("cannot run logrotate: is it installed?")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "logrotate has failed: {}", complaint.trim());
        Ok(())
    }
}

/// The directives between the first braces (or all of them), and the names of those that are left out.
fn directives(text: &str) -> (String, Vec<String>) {
    let block = text.split_once('{').map_or(text, |(_, rest)| rest.split('}').next().unwrap_or(rest));
    let (mut kept, mut left_out) = (String::new(), Vec::new());
    let mut in_script = false;
    for line in block.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split_whitespace().next().unwrap_or_default();
        let is_script = SCRIPTS.contains(&name);
        if is_script || in_script || LEFT_OUT.contains(&name) {
            if name != "endscript" && !in_script {
                left_out.push(name.to_owned());
            }
            in_script = if is_script { name != "endscript" } else { in_script };
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    (kept, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directives_of_the_first_block_are_kept_without_scripts_and_owners() {
        let text = "# nginx\n/var/log/nginx/*.log {\n  daily\n  rotate 14\n  compress\n  create 0640 www-data adm\n  postrotate\n    kill -USR1 1\n  endscript\n  sharedscripts\n}\n";
        let (kept, left_out) = directives(text);
        assert_eq!(kept, "daily\nrotate 14\ncompress\nsharedscripts\n");
        assert_eq!(left_out, ["create", "postrotate"]);
        assert_eq!(directives("copytruncate\nrotate 3\n").0, "copytruncate\nrotate 3\n");
    }
}
