//! Flags in upstream's grammar, from a table: `--name value`, `--name=value`, `--bool`, `--bool=false`; lists repeat or
//! use commas. One resolution for all commands: flag > environment > configuration file > default.
//!
//! An unknown flag is an error. A known flag that has no effect here ([`Flag::inert`]) is accepted with one warning.

use std::collections::BTreeMap;

/// Between the values of a [`Kind::Array`].
const REPETITION: char = '\n';

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--x`, `--x=true`, `--x=false`.
    Bool,
    /// Any one value.
    Text,
    /// Comma separated and repeatable.
    List,
    /// Repeatable; a comma is part of the value.
    Array,
    /// A YAML file with flag names as keys.
    FlagFile,
}

/// One flag: a row of a command's table.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Name without the dashes, as upstream spells it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The value when nothing sets it; empty for none.
    pub default: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
    /// True when it is accepted for compatibility and changes nothing.
    pub inert: bool,
    /// Why, for the one warning, where it is said.
    pub why: &'static str,
}

impl Flag {
    /// A flag with one value.
    pub const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Text, default, help, inert: false, why: "" }
    }

    /// A switch, off unless given.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Bool, default: "false", help, inert: false, why: "" }
    }

    /// A list.
    pub const fn list(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::List, default, help, inert: false, why: "" }
    }

    /// A flag that is repeated for more values, which may have commas in them.
    pub const fn array(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Array, default: "", help, inert: false, why: "" }
    }

    /// The flag that names the file with other flags' values.
    pub const fn flag_file(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::FlagFile, default: "", help, inert: false, why: "" }
    }

    /// A flag of upstream's that has no effect here.
    pub const fn inert(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, default: "", help: "accepted, without effect here", inert: true, why: "" }
    }

    /// A flag of upstream's that has no effect here, with upstream's default and the reason.
    pub const fn without_effect(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Self {
        Self { name, kind, default, help: "accepted, without effect here", inert: true, why }
    }
}

/// Why a command line or configuration file was refused; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The flag is in no table.
    #[error("unknown flag: --{0} (see --help)")]
    Unknown(String),
    /// A value is missing at the end of the line.
    #[error("flag needs a value: --{0}")]
    MissingValue(String),
    /// A word that is no flag.
    #[error("unexpected argument: {0:?} (flags begin with --)")]
    Unexpected(String),
    /// The value does not parse.
    #[error("invalid value {value:?} for --{name}: {reason}")]
    Invalid {
        /// The flag's name.
        name: String,
        /// What was given.
        value: String,
        /// Why it is refused.
        reason: String,
    },
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// As given.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file is no map of flag names.
    #[error("the configuration file {path} is not valid: {reason}")]
    BadFile {
        /// As given.
        path: String,
        /// Where and why.
        reason: String,
    },
}

/// The resolved values of one command's flags.
#[derive(Clone, Debug, Default)]
pub struct FlagSet {
    /// Value by flag name; every flag of the table is present.
    values: BTreeMap<&'static str, String>,
    /// Flags that something other than the default set.
    given: Vec<&'static str>,
    /// Those of them that change nothing, and why.
    without_effect: Vec<(&'static str, &'static str)>,
}

impl FlagSet {
    /// Resolves `arguments` (without the program and command) against `table`. `environment` gives variables by name;
    /// the variable of `--data-dir` is `KRAB_DATA_DIR`. A [`Flag::flag_file`], where the table has one, names a YAML
    /// file whose keys are flag names.
    ///
    /// # Errors
    /// See [`Error`]; nothing is applied partially.
    pub fn resolve(
        table: &[Flag],
        arguments: impl IntoIterator<Item = String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let from_line = parse_line(table, arguments)?;
        let directly = |flag: &Flag| {
            let variable = || format!("KRAB_{}", flag.name.replace('-', "_").to_uppercase());
            from_line.get(flag.name).cloned().or_else(|| environment(&variable()))
        };
        let flag_file = table.iter().find(|flag| flag.kind == Kind::FlagFile);
        let from_file = match flag_file.and_then(directly).filter(|path| !path.is_empty()) {
            Some(path) => read_file(table, &path)?,
            None => BTreeMap::new(),
        };
        let mut set = Self::default();
        for flag in table {
            let given = directly(flag).or_else(|| from_file.get(flag.name).cloned());
            if let Some(value) = &given {
                if flag.kind == Kind::Bool {
                    parse_bool(flag.name, value)?;
                }
                if flag.inert && value != flag.default {
                    set.without_effect.push((flag.name, flag.why));
                }
                set.given.push(flag.name);
            }
            set.values.insert(flag.name, given.unwrap_or_else(|| flag.default.to_owned()));
        }
        Ok(set)
    }

    /// The text of a flag; empty when it has neither value nor default.
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// The text of a flag, `None` when empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The state of a switch.
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1" | "t" | "T" | "TRUE" | "True")
    }

    /// The items of a list flag, trimmed, without empty ones.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// The values of a [`Flag::array`].
    pub fn array(&self, name: &str) -> Vec<&str> {
        self.text(name).split(REPETITION).filter(|item| !item.is_empty()).collect()
    }

    /// A flag parsed as `T`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the parser's reason.
    pub fn parse<T>(&self, name: &str) -> Result<T, Error>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let value = self.text(name);
        value.parse().map_err(|reason: T::Err| Error::Invalid {
            name: name.to_owned(),
            value: value.to_owned(),
            reason: reason.to_string(),
        })
    }

    /// Every flag of the table with its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The flags that were set to something else than what holds anyway and change nothing here, and why ("" where it is
    /// not said), for the one warning about each.
    pub fn without_effect(&self) -> &[(&'static str, &'static str)] {
        &self.without_effect
    }

    /// True when the flag came from the line, the environment or the file.
    pub fn given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }
}

/// The `--help` text of a table: one flag a line, inert ones left out.
pub fn help(table: &[Flag]) -> String {
    let width = table.iter().map(|flag| flag.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for flag in table.iter().filter(|flag| !flag.inert) {
        let default = match (flag.kind, flag.default) {
            (Kind::Bool, "false") | (_, "") => String::new(),
            (_, default) => format!(" (default {default})"),
        };
        text.push_str(&format!("  --{:width$}  {}{default}\n", flag.name, flag.help));
    }
    text
}

fn parse_line(
    table: &[Flag],
    arguments: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut values: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let Some(body) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')).filter(|b| !b.is_empty())
        else {
            return Err(Error::Unexpected(argument));
        };
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let name = if name == "h" { "help" } else { name };
        let flag = table.iter().find(|flag| flag.name == name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        let value = match (flag.kind, inline) {
            (_, Some(value)) => value,
            (Kind::Bool, None) => "true".to_owned(),
            (_, None) => arguments.next().ok_or_else(|| Error::MissingValue(name.to_owned()))?,
        };
        match values.get_mut(flag.name) {
            Some(present) if matches!(flag.kind, Kind::List | Kind::Array) => {
                present.push(if flag.kind == Kind::List { ',' } else { REPETITION });
                present.push_str(&value);
            }
            _ => {
                values.insert(flag.name, value);
            }
        }
    }
    Ok(values)
}

fn read_file(table: &[Flag], path: &str) -> Result<BTreeMap<String, String>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    let bad = |reason: String| Error::BadFile { path: path.to_owned(), reason };
    let document: BTreeMap<String, serde_json::Value> =
        serde_saphyr::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let mut values = BTreeMap::new();
    for (name, value) in document {
        if !table.iter().any(|flag| flag.name == name) {
            return Err(bad(format!("unknown flag {name:?}")));
        }
        let scalar = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => Ok(text.clone()),
            serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Ok(value.to_string()),
            _ => Err(bad(format!("{name}: a plain value or a list of them is expected"))),
        };
        let text = match &value {
            serde_json::Value::Array(items) => {
                let repeated = table.iter().any(|flag| flag.name == name && flag.kind == Kind::Array);
                let between = if repeated { REPETITION } else { ',' };
                items.iter().map(scalar).collect::<Result<Vec<_>, _>>()?.join(between.to_string().as_str())
            }
            other => scalar(other)?,
        };
        values.insert(name, text);
    }
    Ok(values)
}

fn parse_bool(name: &str, value: &str) -> Result<bool, Error> {
    match value {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::Invalid {
            name: name.to_owned(),
            value: value.to_owned(),
            reason: "true or false is expected".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
