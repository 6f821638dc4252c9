//! Names of keys on both sides: the API's all begin with one root, which lies under a prefix of the user's choice in etcd.

use std::sync::Arc;

/// Both end in a slash.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    root: String,
    prefix: String,
}

impl Keys {
    pub(super) fn new(root: &str, prefix: &str) -> Keys {
        let slashed = |name: &str| format!("{}/", name.trim_end_matches('/'));
        Keys { root: slashed(root), prefix: slashed(prefix) }
    }

    /// What all keys in etcd begin with.
    pub(super) fn prefix(&self) -> &[u8] {
        self.prefix.as_bytes()
    }

    /// The key after all that begin with the prefix.
    pub(super) fn end(&self) -> Vec<u8> {
        let mut end = self.prefix.clone().into_bytes();
        if let Some(last) = end.last_mut() {
            // It is a slash.
            *last += 1;
        }
        end
    }

    /// A key as etcd has it.
    pub(super) fn outward(&self, key: &str) -> Vec<u8> {
        let rest = key.strip_prefix(&self.root).unwrap_or(key);
        [self.prefix.as_bytes(), rest.as_bytes()].concat()
    }

    /// A key as the API has it; None for what cannot be one of its keys.
    pub(super) fn inward(&self, key: &[u8]) -> Option<Arc<str>> {
        let text = std::str::from_utf8(key).ok()?;
        let rest = text.strip_prefix(&self.prefix)?;
        Some(if self.root == self.prefix { text.into() } else { [&self.root, rest].concat().into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_under_the_prefix_and_come_back() {
        for (prefix, inside) in [("/registry", "/registry/pods/a/b"), ("/one/two/", "/one/two/pods/a/b")] {
            let keys = Keys::new("/registry", prefix);
            assert_eq!(keys.outward("/registry/pods/a/b"), inside.as_bytes());
            assert_eq!(keys.inward(inside.as_bytes()).as_deref(), Some("/registry/pods/a/b"));
        }
    }

    #[test]
    fn neighbours_are_not_ours() {
        let keys = Keys::new("/registry", "/registry");
        assert_eq!(keys.inward(b"/registry2/pods/a"), None);
        assert_eq!(keys.inward(b"/registry/pods/\xff"), None);
        assert_eq!(keys.end(), b"/registry0");
    }
}
