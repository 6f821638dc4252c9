//! Files that change all at once. Upstream: `volume/util.AtomicWriter`.
//!
//! ```text
//! volume/..2026_11_21_08_00_00.1/key     the files
//! volume/..data -> ..2026_11_21_08_00_00.1
//! volume/key -> ..data/key               what containers open
//! ```
//! An update writes a new folder and moves `..data` over by rename. A crash at any point leaves either the old or the new files visible;
//! what is left lying around is removed by the next update.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;

use super::payload::Payload;
use super::{Error, io_at};

const DATA: &str = "..data";
const DATA_TMP: &str = "..data_tmp";

/// Makes `dir` show exactly `payload`; false when it did already. With `group`, files belong to it and are readable by it.
pub(crate) fn write(dir: &Path, payload: &Payload, group: Option<u32>) -> Result<bool, Error> {
    let old = fs::read_link(dir.join(DATA)).ok();
    if let Some(old) = &old
        && is_current(&dir.join(old), payload, group)
    {
        link_names(dir, payload)?;
        return Ok(false);
    }
    let name = fresh_name();
    let fresh = dir.join(&name);
    fs::DirBuilder::new().mode(0o755).create(&fresh).map_err(io_at(&fresh))?;
    set_mode(&fresh, 0o755, group, None)?;
    for (path, file) in payload {
        let mut parent = fresh.clone();
        let mut parts: Vec<&str> = path.split('/').collect();
        let leaf = parts.pop().unwrap_or_default();
        for part in parts {
            parent.push(part);
            match fs::create_dir(&parent) {
                Ok(()) => set_mode(&parent, 0o755, group, None)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_at(&parent)(error)),
            }
        }
        let target = parent.join(leaf);
        fs::write(&target, &file.data).map_err(io_at(&target))?;
        set_mode(&target, file.mode, group, file.user)?;
    }
    let temporary = dir.join(DATA_TMP);
    remove_if_present(&temporary)?;
    symlink(&name, &temporary).map_err(io_at(&temporary))?;
    let data = dir.join(DATA);
    fs::rename(&temporary, &data).map_err(io_at(&data))?;
    link_names(dir, payload)?;
    remove_stale(dir, &name)?;
    Ok(true)
}

/// Folder names sort by time, as upstream's do.
fn fresh_name() -> String {
    let now = jiff::Timestamp::now();
    format!("..{}.{}", now.strftime("%Y_%m_%d_%H_%M_%S"), now.subsec_nanosecond())
}

/// Group and mode as a read-only volume with fsGroup has them.
fn set_mode(path: &Path, mode: u32, group: Option<u32>, user: Option<u32>) -> Result<(), Error> {
    let is_dir = path.is_dir();
    let mode = match group {
        Some(_) if is_dir => mode | 0o550 | 0o2000,
        Some(_) => mode | 0o440,
        None => mode,
    };
    if group.is_some() || user.is_some() {
        std::os::unix::fs::chown(path, user, group).map_err(io_at(path))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_at(path))
}

/// Compares contents, modes and the set of files.
fn is_current(at: &Path, payload: &Payload, group: Option<u32>) -> bool {
    let mut present = BTreeSet::new();
    if collect(at, "", &mut present).is_err() || present.len() != payload.len() {
        return false;
    }
    payload.iter().all(|(path, file)| {
        let full = at.join(path);
        let extra = if group.is_some() { 0o440 } else { 0 };
        present.contains(path)
            && fs::read(&full).is_ok_and(|data| data == file.data)
            && fs::metadata(&full).is_ok_and(|meta| meta.permissions().mode() & 0o7777 == file.mode | extra)
    })
}

fn collect(at: &Path, prefix: &str, into: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(at)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), into)?;
        } else {
            into.insert(name);
        }
    }
    Ok(())
}

/// One link for the first part of each path; links of files that are gone go too.
fn link_names(dir: &Path, payload: &Payload) -> Result<(), Error> {
    let wanted: BTreeSet<&str> = payload.keys().map(|path| path.split('/').next().unwrap_or(path)).collect();
    for entry in fs::read_dir(dir).map_err(io_at(dir))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(name.as_str()) {
            remove_if_present(&entry.path())?;
        }
    }
    for name in wanted {
        let link = dir.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link).map_err(io_at(&link))?;
        }
    }
    Ok(())
}

fn remove_stale(dir: &Path, keep: &str) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(io_at(dir))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("..") && name != DATA && name != keep {
            remove_if_present(&entry.path())?;
        }
    }
    Ok(())
}

fn remove_if_present(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    removed.map_err(io_at(path))
}

#[cfg(test)]
mod tests {
    use super::super::payload::File;
    use super::*;

    fn payload(entries: &[(&str, &str)]) -> Payload {
        entries
            .iter()
            .map(|(path, data)| ((*path).to_owned(), File { data: data.as_bytes().to_vec(), mode: 0o640, user: None }))
            .collect()
    }

    #[test]
    fn updates_replace_all_files_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(write(dir, &payload(&[("a", "1"), ("sub/b", "2")]), None).unwrap());
        assert_eq!(fs::read_to_string(dir.join("sub/b")).unwrap(), "2");
        assert_eq!(fs::read_link(dir.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::metadata(dir.join("a")).unwrap().permissions().mode() & 0o777, 0o640);
        let before = fs::read_link(dir.join(DATA)).unwrap();
        assert!(!write(dir, &payload(&[("a", "1"), ("sub/b", "2")]), None).unwrap());
        assert_eq!(fs::read_link(dir.join(DATA)).unwrap(), before);
        assert!(write(dir, &payload(&[("a", "3"), ("c", "4")]), None).unwrap());
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "3");
        assert!(!dir.join("sub").exists() && dir.join("c").exists());
        assert!(!dir.join(before).exists());
    }

    #[test]
    fn an_empty_payload_shows_an_empty_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write(dir.path(), &Payload::new(), None).unwrap());
        assert!(!write(dir.path(), &Payload::new(), None).unwrap());
    }
}
