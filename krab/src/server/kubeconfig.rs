//! The administrator's way in: a kubeconfig of its own, merged as context `krab` into the invoking user's `~/.kube/config`.
//!
//! Entries of other clusters are kept as they are; the current context is changed only when there is none.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Who typed the command: under sudo not root, but the user behind it.
#[derive(Clone, Debug)]
pub(crate) struct InvokingUser {
    home: PathBuf,
    uid: u32,
    gid: u32,
}

impl InvokingUser {
    /// From the environment; none when there is no home to write to.
    pub(crate) fn from_environment() -> Option<Self> {
        let sudo = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        if let (true, Some(uid), Some(gid)) = (nix::unistd::geteuid().is_root(), sudo("SUDO_UID"), sudo("SUDO_GID"))
            && let Ok(Some(user)) = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))
        {
            return Some(Self { home: user.dir, uid, gid });
        }
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir())?;
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        Some(Self { home, uid, gid })
    }

    /// Gives a file to this user.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        let owner = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        if (owner.uid(), owner.gid()) == (self.uid, self.gid) {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to its user", path.display()))
    }

    /// Merges `own` (a kubeconfig's text) into `~/.kube/config`.
    pub(crate) fn merge(&self, own: &str) -> Result<()> {
        let folder = self.home.join(".kube");
        if !folder.exists() {
            fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            self.own(&folder)?;
        }
        let path = folder.join("config");
        let present = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let merged =
            merged(&present, own).with_context(|| format!("{} is no kubeconfig; it stays as it is", path.display()))?;
        if merged == present {
            return Ok(());
        }
        write_private(&path, &merged)?;
        self.own(&path)
    }
}

/// `present` with the entries of the same names taken from `own`.
fn merged(present: &str, own: &str) -> Result<String> {
    let own: Value = serde_saphyr::from_str(own)?;
    let mut config: Value = match present.trim() {
        "" => json!({"apiVersion": "v1", "kind": "Config", "preferences": {}}),
        _ => serde_saphyr::from_str(present)?,
    };
    let config = config.as_object_mut().context("a map is expected")?;
    for list in ["clusters", "contexts", "users"] {
        let entries = config.entry(list).or_insert_with(|| json!([]));
        if entries.is_null() {
            *entries = json!([]);
        }
        let entries = entries.as_array_mut().with_context(|| format!("{list} is no list"))?;
        for entry in own[list].as_array().into_iter().flatten() {
            match entries.iter_mut().find(|present| present["name"] == entry["name"]) {
                Some(present) => *present = entry.clone(),
                None => entries.push(entry.clone()),
            }
        }
    }
    let current = config.entry("current-context").or_insert_with(|| json!(""));
    if current.as_str().is_none_or(str::is_empty) {
        *current = own["current-context"].clone();
    }
    Ok(serde_saphyr::to_string(&Value::Object(config.clone()))?)
}

/// Writes a file whole, readable by its owner only.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("krab-new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: krab\n  cluster:\n    server: https://127.0.0.1:6443\n\
        contexts:\n- name: krab\n  context:\n    cluster: krab\n    user: admin\ncurrent-context: krab\nusers:\n- name: admin\n  user:\n    token: t\n";

    fn parse(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn an_empty_file_becomes_ours() {
        let merged = parse(&merged("", OWN).unwrap());
        assert_eq!(merged["current-context"], "krab");
        assert_eq!(merged["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
    }

    #[test]
    fn other_clusters_and_the_current_context_stay() {
        let present = "apiVersion: v1\nkind: Config\nclusters:\n- name: work\n  cluster: {server: 'https://w'}\n- name: krab\n  cluster: {server: old}\n\
            contexts: []\ncurrent-context: work\nusers: null\nextensions: [1]\n";
        let merged = parse(&merged(present, OWN).unwrap());
        assert_eq!(merged["current-context"], "work");
        assert_eq!(merged["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(merged["clusters"][1]["cluster"]["server"], "https://127.0.0.1:6443");
        assert_eq!(merged["users"][0]["name"], "admin");
        assert_eq!(merged["extensions"][0], 1);
    }

    #[test]
    fn merging_twice_changes_nothing() {
        let once = merged("", OWN).unwrap();
        assert_eq!(merged(&once, OWN).unwrap(), once);
    }

    #[test]
    fn what_is_no_kubeconfig_is_left_alone() {
        assert!(merged("just words", OWN).is_err());
        assert!(merged("clusters: 7", OWN).is_err());
    }
}
