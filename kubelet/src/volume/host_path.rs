//! Paths of the host, with the checks that `type` asks for. Upstream: `volume/hostpath`.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::{Error, io_at};

/// Checks, and for the `OrCreate` types makes, what must be at `path`.
pub(super) fn check(path: &Path, kind: &str) -> Result<(), Error> {
    let meta = fs::metadata(path).ok();
    let wrong = |what: &str| Err(Error::HostPathType(format!("{} is not a {what}", path.display())));
    let file_type = meta.as_ref().map(fs::Metadata::file_type);
    match (kind, file_type) {
        ("", _) => Ok(()),
        ("DirectoryOrCreate", None) => {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(io_at(path))
        }
        ("FileOrCreate", None) => {
            fs::OpenOptions::new().create(true).append(true).mode(0o644).open(path).map(|_| ()).map_err(io_at(path))
        }
        ("DirectoryOrCreate" | "Directory", Some(found)) if found.is_dir() => Ok(()),
        ("DirectoryOrCreate" | "Directory", _) => wrong("directory"),
        ("FileOrCreate" | "File", Some(found)) if found.is_file() => Ok(()),
        ("FileOrCreate" | "File", _) => wrong("file"),
        ("Socket", Some(found)) if found.is_socket() => Ok(()),
        ("Socket", _) => wrong("socket file"),
        ("CharDevice", Some(found)) if found.is_char_device() => Ok(()),
        ("CharDevice", _) => wrong("character device"),
        ("BlockDevice", Some(found)) if found.is_block_device() => Ok(()),
        ("BlockDevice", _) => wrong("block device"),
        (other, _) => Err(Error::HostPathType(format!("{other} is an invalid volume type"))),
    }
}
