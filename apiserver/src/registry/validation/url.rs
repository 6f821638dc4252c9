//! Addresses of the web that somebody configures, read as far as validation looks at them, and refused in Go's words.
//! Upstream: net/url.Parse.

use api::go_text::quote;

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    pub(crate) scheme: &'a str,
    /// What stands before the `@`.
    pub(crate) user: Option<&'a str>,
    /// With its port.
    pub(crate) host: &'a str,
    pub(crate) query: &'a str,
    pub(crate) fragment: &'a str,
}

impl<'a> Url<'a> {
    /// Reads a URL, which may be relative.
    ///
    /// # Errors
    /// `parse "TEXT": WHY`
    pub(crate) fn parse(text: &'a str) -> Result<Url<'a>, String> {
        parts(text).map_err(|why| format!("parse {}: {why}", quote(text)))
    }
}

fn parts(text: &str) -> Result<Url<'_>, String> {
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.starts_with(':') {
        return Err("missing protocol scheme".to_owned());
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once(':').unwrap_or(("", rest));
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    check_host(host)?;
    check_escapes(path)?;
    Ok(Url { scheme, user, host, query, fragment })
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(bad) = host.chars().find(|c| matches!(c, ' ' | '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Err(format!("invalid character {} in host name", quote(&bad.to_string())));
    }
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    if !name.contains('[') && !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid port {} after host", quote(&format!(":{port}"))));
    }
    Ok(())
}

/// After each `%` stand two hexadecimal digits.
fn check_escapes(path: &str) -> Result<(), String> {
    for (at, _) in path.match_indices('%') {
        let escape: String = path[at..].chars().take(3).collect();
        if escape.len() != 3 || !escape[1..].bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {}", quote(&escape)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("https://me:pw@host:1/a%20b?q=1#f").unwrap();
        assert_eq!(url, Url { scheme: "https", user: Some("me:pw"), host: "host:1", query: "q=1", fragment: "f" });
        assert_eq!(Url::parse("host/path").unwrap().scheme, "");
    }

    #[test]
    fn what_is_no_url_is_refused_in_gos_words() {
        let why = |text: &str| Url::parse(text).unwrap_err();
        assert_eq!(why("https://h:port"), "parse \"https://h:port\": invalid port \":port\" after host");
        assert_eq!(why("https://h/%zz"), "parse \"https://h/%zz\": invalid URL escape \"%zz\"");
        assert_eq!(why(":foo"), "parse \":foo\": missing protocol scheme");
        assert!(why("https://a b").ends_with("invalid character \" \" in host name"));
        assert!(why("https://h/\u{1}").ends_with("invalid control character in URL"));
    }
}
