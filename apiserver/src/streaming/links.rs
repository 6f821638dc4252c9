//! Links in pages that come through a proxy. A path on the backend's own host gets the way through the API server in front
//! of it, or the browser would leave the proxy with the first click.
//!
//! Only the values of attributes that hold links are touched; everything else of a page stays byte for byte. Pages in a
//! content encoding are passed as they are.
//! Upstream: k8s.io/apimachinery/pkg/util/proxy.Transport.

/// Elements and those of their attributes that hold a link.
const LINKS: [(&str, &[&str]); 25] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];
/// Elements whose content is text, whatever it looks like.
const RAW: [&str; 10] =
    ["iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp"];

/// Where a page came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The way through the API server to the backend's root, without a slash at the end.
    pub(crate) prefix: &'a str,
    /// Names under which the backend knows itself: its address, and the host the client asked.
    pub(crate) hosts: [&'a str; 2],
}

/// The page with its links led through the proxy.
pub(crate) fn rewrite(page: &str, origin: &Origin<'_>) -> String {
    let mut rewritten = String::with_capacity(page.len() + 64);
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rewritten.push_str(&rest[..start]);
        rest = &rest[start..];
        let (taken, raw) = if let Some(comment) = rest.strip_prefix("<!--") {
            (comment.find("-->").map_or(rest.len(), |end| end + "<!---->".len()), None)
        } else {
            let tag = tag(rest, origin, &mut rewritten);
            rest = &rest[tag.length..];
            (0, tag.raw)
        };
        let taken = raw.map_or(taken, |name| end_of_raw(rest, name));
        rewritten.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    rewritten.push_str(rest);
    rewritten
}

struct Tag {
    length: usize,
    /// The element, when its content is raw text.
    raw: Option<&'static str>,
}

/// Copies the tag that `text` begins with. What only looks like one is copied up to its first byte.
fn tag(text: &str, origin: &Origin<'_>, into: &mut String) -> Tag {
    let name_end = text[1..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(text.len(), |end| end + 1);
    let name = text[1..name_end].to_ascii_lowercase();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        into.push('<');
        return Tag { length: 1, raw: None };
    }
    let links = LINKS.iter().find(|(element, _)| *element == name).map_or(&[][..], |(_, links)| links);
    let mut at = name_end;
    let mut copied = 0;
    while let Some(attribute) = next_attribute(text, &mut at) {
        let (key, value) = (&text[attribute.name], attribute.value);
        if links.iter().any(|link| key.eq_ignore_ascii_case(link)) && !value.is_empty() {
            into.push_str(&text[copied..value.start]);
            into.push_str(&led_through(&text[value.clone()], origin));
            copied = value.end;
        }
    }
    into.push_str(&text[copied..at]);
    Tag { length: at, raw: RAW.into_iter().find(|raw| *raw == name) }
}

struct Attribute {
    name: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

/// The next attribute of a tag, moving `at` behind it; None behind the tag's end.
fn next_attribute(text: &str, at: &mut usize) -> Option<Attribute> {
    let skip = |from: usize, what: fn(char) -> bool| {
        text[from..].find(|c| !what(c)).map_or(text.len(), |length| from + length)
    };
    let space = |c: char| c.is_ascii_whitespace();
    let start = skip(*at, |c| c.is_ascii_whitespace() || c == '/');
    match text[start..].chars().next() {
        None => *at = start,
        Some('>') => *at = start + 1,
        Some(first) => {
            // An equals sign that begins a name belongs to it.
            let after_first = start + first.len_utf8();
            let name_end = skip(after_first, |c| !c.is_ascii_whitespace() && !matches!(c, '/' | '>' | '='));
            let equals = skip(name_end, space);
            let Some(after) = text[equals..].strip_prefix('=') else {
                *at = name_end;
                return Some(Attribute { name: start..name_end, value: name_end..name_end });
            };
            let begin = skip(text.len() - after.len(), space);
            let value = match text[begin..].chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let end = text[begin + 1..].find(quote).map_or(text.len(), |length| begin + 1 + length);
                    *at = (end + 1).min(text.len());
                    begin + 1..end
                }
                _ => {
                    let end = skip(begin, |c| !c.is_ascii_whitespace() && c != '>');
                    *at = end;
                    begin..end
                }
            };
            return Some(Attribute { name: start..name_end, value });
        }
    }
    None
}

/// How long the raw content is that `text` begins with.
fn end_of_raw(text: &str, element: &str) -> usize {
    let ends =
        |at: usize| text.get(at + 2..at + 2 + element.len()).is_some_and(|name| name.eq_ignore_ascii_case(element));
    text.match_indices("</").map(|(at, _)| at).find(|at| ends(*at)).unwrap_or(text.len())
}

/// One link. Relative ones and those to other hosts stay.
fn led_through(link: &str, origin: &Origin<'_>) -> String {
    let Origin { prefix, hosts } = origin;
    let path = match link.split_once("//") {
        Some(("" | "http:" | "https:", rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !hosts.contains(&host) {
                return link.to_owned();
            }
            path
        }
        _ => link,
    };
    if !path.starts_with('/') || path.starts_with(prefix) {
        return link.to_owned();
    }
    format!("{prefix}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin<'_> = Origin { prefix: "/api/v1/proxy", hosts: ["10.0.0.1:80", "api:6443"] };

    fn check(page: &str, expected: &str) {
        assert_eq!(rewrite(page, &ORIGIN), expected, "{page}");
    }

    #[test]
    fn paths_on_the_backend_are_led_through_the_proxy() {
        check(r#"<a href="/rewriteme">test</a>"#, r#"<a href="/api/v1/proxy/rewriteme">test</a>"#);
        check("<img alt='x' SRC='/i.png'/>", "<img alt='x' SRC='/api/v1/proxy/i.png'/>");
        check("<form method=post action=/go>", "<form method=post action=/api/v1/proxy/go>");
        check(r#"<a href="http://10.0.0.1:80/a">"#, r#"<a href="/api/v1/proxy/a">"#);
        check(r#"<a href="//api:6443/a">"#, r#"<a href="/api/v1/proxy/a">"#);
    }

    #[test]
    fn other_links_stay() {
        for page in [
            r#"<a href="beside.html">"#,
            r#"<a href="https://example.com/a">"#,
            r#"<a href="/api/v1/proxy/already">"#,
            r#"<a href="mailto:a@b">"#,
            r#"<a title="/x" data-href="/y" href>"#,
            r#"<p href="/x">"#,
        ] {
            check(page, page);
        }
    }

    #[test]
    fn what_is_no_tag_is_left_alone() {
        for page in [
            "1 < 2 <",
            r#"<!-- <a href="/x"> --> <b>"#,
            "<script>if (a</b) x = '<a href=\"/x\">';</script>",
            r#"<title><a href="/x"></title>"#,
            r#"<a href="/x"#,
            "<a href=",
            "</a href='/x'>",
            "<a \u{fc}=\u{fc}>\u{fc}<",
        ] {
            let kept = if page == r#"<a href="/x"# { r#"<a href="/api/v1/proxy/x"# } else { page };
            check(page, kept);
        }
        check(
            "<script src=/s>/x</script><a href=/y>",
            "<script src=/api/v1/proxy/s>/x</script><a href=/api/v1/proxy/y>",
        );
    }
}
