//! Compiling a path: one function a kind of part.

use super::{Error, Filter, Operator, Slice, Step};
use json::Value;

pub(super) fn parse(text: &str) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = if let Some(after) = rest.strip_prefix("[?(") {
            filter(after, &mut steps)?
        } else if let Some(after) = rest.strip_prefix("..") {
            recursive(after, &mut steps)?
        } else {
            match first {
                ' ' | '@' | '$' => &rest[1..],
                '.' => field(&rest[1..], &mut steps),
                '[' => brackets(&rest[1..], &mut steps)?,
                '"' | '\'' => quoted(rest, first, &mut steps)?,
                '+' | '-' | '0'..='9' => number(rest, &mut steps)?,
                c if c == '_' || c.is_alphabetic() => word(rest, &mut steps),
                other => return Err(Error::Unrecognized(other)),
            }
        };
    }
    Ok(steps)
}

fn recursive<'a>(rest: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, Error> {
    if steps.last() == Some(&Step::Recursive) {
        return Err(Error::Recursive);
    }
    steps.push(Step::Recursive);
    if rest.starts_with(|c: char| c == '_' || c.is_alphanumeric()) { Ok(field(rest, steps)) } else { Ok(rest) }
}

/// A name up to the next part; a backslash takes the next character in.
fn field<'a>(rest: &'a str, steps: &mut Vec<Step>) -> &'a str {
    let mut escaped = false;
    let end = rest.find(|c: char| {
        let ends = !escaped && is_terminator(c);
        escaped = !escaped && c == '\\';
        ends
    });
    let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
    steps.push(if name == "*" { Step::Wildcard } else { Step::Field(name.replace('\\', "")) });
    rest
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn brackets<'a>(rest: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, Error> {
    let (text, rest) = rest.split_once(']').ok_or(Error::Unterminated("array"))?;
    if text.contains(',') {
        let parts = text.split(',').map(|part| {
            let mut steps = Vec::new();
            index(part.trim_matches(' '), &mut steps).map(|()| steps)
        });
        steps.push(Step::Union(parts.collect::<Result<_, _>>()?));
    } else {
        index(text, steps)?;
    }
    Ok(rest)
}

/// `*`, a quoted key, a number, or a slice.
fn index(text: &str, steps: &mut Vec<Step>) -> Result<(), Error> {
    let text = if text == "*" { ":" } else { text };
    if let Some(key) = text.strip_prefix('\'').and_then(|key| key.strip_suffix('\'')) {
        // The key is read as a field, so its dots need backslashes, as upstream.
        steps.extend(parse(&format!(".{key}"))?);
        return Ok(());
    }
    let invalid = || Error::Index(text.to_owned());
    let bound = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| invalid()) };
    let mut parts = text.splitn(3, ':');
    let start: Option<i64> = bound(parts.next().unwrap_or_default())?;
    let slice = match (parts.next(), parts.next()) {
        (None, _) => {
            let start = start.ok_or_else(invalid)?;
            Slice { start: Some(start), end: Some(start + 1), step: None, single: true }
        }
        (Some(end), step) => Slice { start, end: bound(end)?, step: bound(step.unwrap_or_default())?, single: false },
    };
    steps.push(Step::Slice(slice));
    Ok(())
}

fn filter<'a>(rest: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, Error> {
    let end = filter_end(rest).ok_or(Error::Unterminated("filter"))?;
    let (text, after) = rest.split_at(end);
    let after = after.strip_prefix(")]").ok_or(Error::Unterminated("array"))?;
    let operator_at = text.find(['!', '<', '>', '=']).filter(|at| *at > 0);
    let filter = match operator_at {
        None => Filter::Exists(parse(text)?),
        Some(at) => {
            let (left, rest) = text.split_at(at);
            let length = rest.find(|c| !matches!(c, '!' | '<' | '>' | '=')).unwrap_or(rest.len());
            let (operator, right) = rest.split_at(length);
            Filter::Compare { left: parse(left)?, operator: self::operator(operator)?, right: parse(right)? }
        }
    };
    steps.push(Step::Filter(filter));
    Ok(after)
}

/// Where the filter's closing parenthesis is: the first that no quotes enclose.
fn filter_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open && previous != '\\' => quote = None,
            (None, ')') => return Some(at),
            _ => {}
        }
        previous = c;
    }
    None
}

fn operator(text: &str) -> Result<Operator, Error> {
    Ok(match text {
        "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        other => return Err(Error::Operator(other.to_owned())),
    })
}

fn quoted<'a>(rest: &'a str, quote: char, steps: &mut Vec<Step>) -> Result<&'a str, Error> {
    let body = &rest[1..];
    let mut text = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(|(_, c)| match c {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            })),
            c if c == quote => {
                steps.push(Step::Literal(Value::from(text)));
                return Ok(&body[at + 1..]);
            }
            c => text.push(c),
        }
    }
    Err(Error::Unterminated("quoted string"))
}

fn number<'a>(rest: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, Error> {
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let sign = rest.len() - digits.len();
    let length = sign + digits.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(digits.len());
    let (text, rest) = rest.split_at(length);
    let value = match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(integer), _) => integer.into(),
        (_, Ok(float)) => float.into(),
        _ => return Err(Error::Number(text.to_owned())),
    };
    steps.push(Step::Literal(value));
    Ok(rest)
}

/// `true`, `false`, or a bare word, which names nothing.
fn word<'a>(rest: &'a str, steps: &mut Vec<Step>) -> &'a str {
    let (word, rest) = rest.split_at(rest.find(is_terminator).unwrap_or(rest.len()));
    steps.push(Step::Literal(match word {
        "true" => true.into(),
        "false" => false.into(),
        _ => Value::Null,
    }));
    rest
}
