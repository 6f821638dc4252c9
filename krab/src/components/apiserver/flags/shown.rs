//! Flags and their values as `/flagz` shows them: in the forms Go writes them in.

use component::duration::GoDuration;
use component::flags::{Flag, FlagSet, Kind};

/// Lists that upstream keeps as one text or as a map, and writes without brackets.
const PLAIN: [&str; 4] = ["feature-gates", "oidc-required-claim", "runtime-config", "service-cluster-ip-range"];

/// Every flag of a table with its value, by name.
pub(crate) fn shown(table: &[Flag], flags: &FlagSet) -> Vec<(String, String)> {
    let of = |(name, value): (&'static str, &str)| {
        let flag = table.iter().find(|flag| flag.name == name);
        let value = match flag.map(|flag| flag.kind) {
            Some(Kind::List | Kind::Array) if !PLAIN.contains(&name) => format!("[{}]", value.replace('\n', ",")),
            // A flag whose default is a duration is one.
            _ if flag.is_some_and(|flag| is_duration(flag.default)) => normal(value),
            _ => value.to_owned(),
        };
        (name.to_owned(), value)
    };
    flags.iter().map(of).collect()
}

fn is_duration(text: &str) -> bool {
    text.ends_with(['s', 'm', 'h']) && text.parse::<GoDuration>().is_ok()
}

fn normal(value: &str) -> String {
    value.parse::<GoDuration>().map_or_else(|_| value.to_owned(), |duration| duration.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let table = [
            Flag::list("api-audiences", "", ""),
            Flag::list("runtime-config", "", ""),
            Flag::text("request-timeout", "1m0s", ""),
            Flag::array("tls-sni-cert-key", ""),
            Flag::switch("profiling", ""),
        ];
        let line = ["--request-timeout=90s", "--api-audiences=a,b", "--runtime-config=a=true", "--profiling"];
        let flags = FlagSet::resolve(&table, line.map(str::to_owned), |_| None).unwrap();
        let lines: Vec<String> =
            shown(&table, &flags).into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let wanted = [
            "api-audiences:[a,b]",
            "profiling:true",
            "request-timeout:1m30s",
            "runtime-config:a=true",
            "tls-sni-cert-key:[]",
        ];
        assert_eq!(lines, wanted);
    }
}
