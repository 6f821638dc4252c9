//! Bearer tokens: the trait of everything that knows some, and the two simplest: a file and bootstrap secrets.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{Error, UserInfo};
use crate::context::Objects;
use crate::registry::fields::{base64_field, text};

/// Who a token stands for.
#[derive(Debug, Clone)]
pub struct TokenUser {
    pub user: UserInfo,
    /// Those of the asked audiences the token is for; empty when the token knows no audiences.
    pub audiences: Vec<String>,
}

/// Knows tokens of one kind. `Ok(None)`: not of my kind. `Err`: of my kind, and bad.
pub trait TokenAuthenticator: Send + Sync + std::fmt::Debug {
    fn authenticate_token(&self, token: &str, audiences: &[String], now: Timestamp)
    -> Result<Option<TokenUser>, Error>;
}

/// As [`TokenAuthenticator`], of those who have to ask somebody else.
pub trait RemoteTokens: Send + Sync + std::fmt::Debug {
    fn authenticate_token<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<TokenUser>, Error>>;
}

/// `--token-auth-file`: CSV of token, user, uid and optionally a quoted list of groups. Upstream: authentication/token/tokenfile.
///
/// Who changes the file changes who is known; a file that cannot be read any more changes nothing.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    users: ArcSwap<Users>,
}

/// Users by token.
type Users = HashMap<String, UserInfo>;

impl TokenFile {
    pub fn read(path: &Path) -> Result<TokenFile, Error> {
        Ok(TokenFile { path: path.to_path_buf(), users: ArcSwap::from_pointee(TokenFile::users(path)?) })
    }

    /// Takes what the file says now; None where that is what it said before.
    pub fn read_again(&self) -> Result<Option<()>, Error> {
        let users = TokenFile::users(&self.path)?;
        if **self.users.load() == users {
            return Ok(None);
        }
        self.users.store(Arc::new(users));
        Ok(Some(()))
    }

    fn users(path: &Path) -> Result<Users, Error> {
        let bad = |reason: String| Error::TokenFile { path: path.to_path_buf(), reason };
        let content = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        TokenFile::parse(&content).map_err(bad)
    }

    fn parse(content: &str) -> Result<Users, String> {
        let mut users = HashMap::new();
        for line in content.lines().filter(|line| !line.trim().is_empty()) {
            let mut columns = csv_record(line)?.into_iter();
            let (Some(token), Some(name), Some(uid)) = (columns.next(), columns.next(), columns.next()) else {
                return Err("must have at least 3 columns (token, user name, user uid)".to_owned());
            };
            if token.is_empty() {
                continue;
            }
            let groups =
                columns.next().map(|groups| groups.split(',').map(str::to_owned).collect()).unwrap_or_default();
            users.insert(token, UserInfo { name, uid, groups, extra: BTreeMap::new() });
        }
        Ok(users)
    }
}

impl TokenAuthenticator for TokenFile {
    fn authenticate_token(
        &self,
        token: &str,
        _audiences: &[String],
        _now: Timestamp,
    ) -> Result<Option<TokenUser>, Error> {
        Ok(self.users.load().get(token).map(|user| TokenUser { user: user.clone(), audiences: Vec::new() }))
    }
}

/// One line of RFC 4180 CSV: fields may be quoted, a doubled quote stands for one.
fn csv_record(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let end = quoted.find('"').ok_or("a quoted field has no end")?;
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => break,
                }
            }
            rest = quoted;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(fields),
            None => return Err("text after a quoted field".to_owned()),
        }
    }
}

/// Bootstrap tokens `ID.SECRET`, kept as Secrets `bootstrap-token-ID` in kube-system. Upstream: plugin/pkg/auth/authenticator/token/bootstrap.
pub struct BootstrapTokens {
    pub objects: Arc<dyn Objects>,
}

impl std::fmt::Debug for BootstrapTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BootstrapTokens").finish_non_exhaustive()
    }
}

impl TokenAuthenticator for BootstrapTokens {
    fn authenticate_token(
        &self,
        token: &str,
        _audiences: &[String],
        now: Timestamp,
    ) -> Result<Option<TokenUser>, Error> {
        let lower = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        };
        let Some((id, secret)) = token.split_once('.').filter(|(id, secret)| lower(id, 6) && lower(secret, 16)) else {
            return Ok(None);
        };
        let Some(stored) = self.objects.get("", "secrets", "kube-system", &format!("bootstrap-token-{id}")) else {
            return Ok(None);
        };
        let field = |key: &str| base64_field(&stored["data"], key).unwrap_or_default();
        let usable = stored["metadata"].get("deletionTimestamp").is_none()
            && text(&stored, "type") == "bootstrap.kubernetes.io/token"
            && same(field("token-secret").as_bytes(), secret.as_bytes())
            && field("token-id") == id
            && field("usage-bootstrap-authentication") == "true";
        let expiration = field("expiration");
        let expired = !expiration.is_empty() && expiration.parse::<Timestamp>().map_or(true, |end| end <= now);
        if !usable || expired {
            return Ok(None);
        }
        let mut groups = vec!["system:bootstrappers".to_owned()];
        for group in field("auth-extra-groups").split(',').filter(|group| !group.is_empty()) {
            if !group.starts_with("system:bootstrappers:") {
                return Ok(None);
            }
            groups.push(group.to_owned());
        }
        let user = UserInfo { name: format!("system:bootstrap:{id}"), groups, ..UserInfo::default() };
        Ok(Some(TokenUser { user, audiences: Vec::new() }))
    }
}

/// Compares in a time that does not depend on where the two differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_names_users_uids_and_quoted_groups() {
        let users = TokenFile::parse("abc,admin,1,\"system:masters,dev\"\n\n,nobody,2\nxyz,jane,3\n").unwrap();
        assert_eq!(users["abc"].groups, ["system:masters", "dev"]);
        assert_eq!(users["xyz"].name, "jane");
        assert_eq!(users.len(), 2);
        assert!(TokenFile::parse("only,two").is_err());
        assert!(TokenFile::parse("a,\"b,c").is_err());
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_damaged_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.csv");
        std::fs::write(&path, "old,jane,1\n").unwrap();
        let file = TokenFile::read(&path).unwrap();
        let knows = |token: &str| file.authenticate_token(token, &[], Timestamp::UNIX_EPOCH).unwrap().is_some();
        assert_eq!(file.read_again().unwrap(), None);
        std::fs::write(&path, "new,jane,1\n").unwrap();
        assert_eq!(file.read_again().unwrap(), Some(()));
        assert!(knows("new") && !knows("old"));
        std::fs::write(&path, "new").unwrap();
        assert!(file.read_again().is_err() && knows("new"));
    }
}
