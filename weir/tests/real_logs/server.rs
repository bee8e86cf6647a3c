//! A real server of a test's own, as a user without rights, in a directory of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use weir_buffer::testing::free_port;

use crate::support::{Ended, Program, skip, text, until_or, write};

/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

/// Where a server lives: its directory, which it may write, and its port.
pub struct Home {
    pub directory: TempDir,
    pub port: u16,
}

impl Home {
    /// A home for a server, if all of these programs are installed; the test is skipped where one is not.
    pub fn of(programs: &[&str]) -> Option<Home> {
        if let Some(missing) = programs.iter().find(|program| find(program).is_none()) {
            skip(&format!("{missing} is not installed"));
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        if is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Some(Home { directory, port: free_port() })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory as text, for configurations.
    pub fn root(&self) -> &str {
        text(self.directory.path())
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write(self.directory.path(), name, content)
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// The command of a program that runs here, without the rights of root: servers refuse them.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(find(program).expect("looked for before"));
        command.args(arguments).current_dir(self.directory.path()).env("LC_ALL", "C").stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ended {
        Ended::from(self.command(program, arguments).output().unwrap())
    }

    /// Starts a server, and waits until it listens on the port.
    pub fn serve(&self, command: Command) -> Program {
        let server = Program::start(command);
        until_or(
            "the server listens",
            || TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            || format!("{}\n{}", server.stdout(), server.stderr()),
        );
        server
    }

    /// Sends these bytes, and waits until the server has closed the connection.
    pub fn send(&self, request: &[u8]) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(request).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
    }
}

pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Where a program is. Debian keeps servers beside the usual path, PostgreSQL's in a directory of its version.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut directories = std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_owned()])
        .chain(versions.map(|version| version.path().join("bin")));
    directories.find_map(|directory| Some(directory.join(program)).filter(|path| path.is_file()))
}
