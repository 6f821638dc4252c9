//! Upstream's programs, one file each: their flags and configuration files, and the component run under them.
//!
//! A flag that stands for a field of the component's configuration kind is a row ([`FieldFlag`]) and becomes that field, so
//! file and flag cannot differ in meaning. Flags known to upstream and without effect here are accepted with one warning.

pub(crate) mod apiserver;
pub(crate) mod controller_manager;
pub(crate) mod kube_proxy;
pub(crate) mod kubelet;
mod leader;
pub(crate) mod scheduler;
mod service_accounts;

use anyhow::{Context, Result, bail};
use component::config_file::Fields;
use component::flags::{Flag, FlagSet, Kind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Map, Value, json};

const UNBUFFERED: &str = "log lines go to standard error as they come";

/// Flags every program of upstream's has.
const EVERYWHERE: &[Flag] = &[
    Flag::text("logging-format", "text", "text or json"),
    Flag::text("v", "0", "log verbosity: 0 warnings, 2 information, 4 debug, 6 trace"),
    Flag::switch("help", "this text"),
    Flag::switch("version", "print the version and end"),
    Flag::without_effect("vmodule", Kind::Text, "", "give KRAB_LOG, in tracing's filter syntax"),
    Flag::without_effect("log-flush-frequency", Kind::Text, "5s", UNBUFFERED),
    Flag::without_effect("log-json-info-buffer-size", Kind::Text, "0", UNBUFFERED),
    Flag::without_effect("log-json-split-stream", Kind::Bool, "false", UNBUFFERED),
    Flag::without_effect("log-text-info-buffer-size", Kind::Text, "0", UNBUFFERED),
    Flag::without_effect("log-text-split-stream", Kind::Bool, "false", UNBUFFERED),
];

/// Flags of upstream's control plane programs about a port of their own, which there is none of here.
const SERVING: &[Flag] = &[
    Flag::inert("allow-metric-labels", Kind::Text),
    Flag::inert("allow-metric-labels-manifest", Kind::Text),
    Flag::inert("authentication-kubeconfig", Kind::Text),
    Flag::inert("authentication-skip-lookup", Kind::Bool),
    Flag::inert("authentication-token-webhook-cache-ttl", Kind::Text),
    Flag::inert("authentication-tolerate-lookup-failure", Kind::Bool),
    Flag::inert("authorization-always-allow-paths", Kind::List),
    Flag::inert("authorization-kubeconfig", Kind::Text),
    Flag::inert("authorization-webhook-cache-authorized-ttl", Kind::Text),
    Flag::inert("authorization-webhook-cache-unauthorized-ttl", Kind::Text),
    Flag::inert("bind-address", Kind::Text),
    Flag::inert("cert-dir", Kind::Text),
    Flag::inert("client-ca-file", Kind::Text),
    Flag::inert("disable-http2-serving", Kind::Bool),
    Flag::inert("disabled-metrics", Kind::List),
    Flag::inert("emulated-version", Kind::List),
    Flag::inert("feature-gates", Kind::Text),
    Flag::inert("http2-max-streams-per-connection", Kind::Text),
    Flag::inert("min-compatibility-version", Kind::List),
    Flag::inert("permit-address-sharing", Kind::Bool),
    Flag::inert("permit-port-sharing", Kind::Bool),
    Flag::inert("requestheader-allowed-names", Kind::List),
    Flag::inert("requestheader-client-ca-file", Kind::Text),
    Flag::inert("requestheader-extra-headers-prefix", Kind::List),
    Flag::inert("requestheader-group-headers", Kind::List),
    Flag::inert("requestheader-uid-headers", Kind::List),
    Flag::inert("requestheader-username-headers", Kind::List),
    Flag::inert("secure-port", Kind::Text),
    Flag::inert("show-hidden-metrics-for-version", Kind::Text),
    Flag::inert("tls-cert-file", Kind::Text),
    Flag::inert("tls-cipher-suites", Kind::List),
    Flag::inert("tls-curve-preferences", Kind::List),
    Flag::inert("tls-min-version", Kind::Text),
    Flag::inert("tls-private-key-file", Kind::Text),
    Flag::inert("tls-sni-cert-key", Kind::List),
];

/// What the value of a flag is as a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Switch,
    Number,
    Text,
    List,
    /// `key=value,...`, or `key<value,...` for thresholds.
    Map,
}

/// A flag that is another way to set a field of a configuration file.
struct FieldFlag {
    flag: &'static str,
    /// The field's name; dots lead inside.
    field: &'static str,
    shape: Shape,
}

const fn field_flag(flag: &'static str, field: &'static str, shape: Shape) -> FieldFlag {
    FieldFlag { flag, field, shape }
}

impl FieldFlag {
    /// The row of the command's table. Whether it changes anything is the configuration's to say.
    fn flag(&self) -> Flag {
        match self.shape {
            Shape::Switch => Flag::switch(self.flag, self.field),
            Shape::Number | Shape::Text => Flag::text(self.flag, "", self.field),
            Shape::List | Shape::Map => Flag::list(self.flag, "", self.field),
        }
    }

    fn value(&self, flags: &FlagSet) -> Result<Value> {
        let name = self.flag;
        Ok(match self.shape {
            Shape::Switch => json!(flags.is_set(name)),
            Shape::Number => json!(flags.parse::<i64>(name)?),
            Shape::Text => json!(flags.text(name)),
            Shape::List => json!(flags.list(name)),
            Shape::Map => pairs(flags, name)?.into_iter().map(|(key, value)| (key, Value::from(value))).collect(),
        })
    }
}

/// `key=value,...` taken apart; a threshold has `<` between them.
fn pairs(flags: &FlagSet, name: &str) -> Result<Vec<(String, String)>> {
    let pair = |item: &str| match item.split_once(['=', '<']) {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => bail!("invalid value {item:?} for --{name}: key=value is expected"),
    };
    flags.list(name).into_iter().map(pair).collect()
}

/// The fields that flags set, as the configuration file would have them.
fn fields(table: &[FieldFlag], flags: &FlagSet) -> Result<Fields> {
    let mut fields = Map::new();
    for row in table.iter().filter(|row| flags.given(row.flag)) {
        let mut place = &mut fields;
        let (outer, last) = row.field.rsplit_once('.').unwrap_or(("", row.field));
        for part in outer.split('.').filter(|part| !part.is_empty()) {
            let inner = place.entry(part).or_insert_with(|| json!({}));
            place = inner.as_object_mut().context("a field cannot be both a value and a map")?;
        }
        place.insert(last.to_owned(), row.value(flags)?);
    }
    Ok(fields)
}

/// The client a program's kubeconfig describes; inside a pod, without one, that of its service account.
pub(crate) async fn client(kubeconfig: Option<&str>, master: Option<&str>) -> Result<kube::Client> {
    connect(connection(kubeconfig, master).await?)
}

fn connect(connection: kube::Config) -> Result<kube::Client> {
    kube::Client::try_from(connection).context("cannot make a client of the kubeconfig")
}

/// The settings of [`client`].
async fn connection(kubeconfig: Option<&str>, master: Option<&str>) -> Result<kube::Config> {
    let mut config = match (kubeconfig, master) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).with_context(|| format!("cannot use the kubeconfig {path}"))?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("cannot use the kubeconfig {path}"))?
        }
        (None, Some(master)) => kube::Config::new(master.parse().context("--master is no URL")?),
        (None, None) => kube::Config::incluster()
            .context("give --kubeconfig; without one this works only in a pod with a service account")?,
    };
    if let Some(master) = master {
        config.cluster_url = master.parse().context("--master is no URL")?;
    }
    // Watches are quiet for as long as nothing happens.
    config.read_timeout = None;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[FieldFlag] = &[
        field_flag("client-ca-file", "authentication.x509.clientCAFile", Shape::Text),
        field_flag("authentication-token-webhook", "authentication.webhook.enabled", Shape::Switch),
        field_flag("max-pods", "maxPods", Shape::Number),
        field_flag("eviction-hard", "evictionHard", Shape::Map),
    ];

    fn read(line: &[&str]) -> Result<Fields> {
        let flags: Vec<Flag> = TABLE.iter().map(FieldFlag::flag).collect();
        fields(TABLE, &FlagSet::resolve(&flags, line.iter().map(|word| (*word).to_owned()), |_| None)?)
    }

    #[test]
    fn flags_become_fields() {
        let line =
            ["--client-ca-file=/ca", "--authentication-token-webhook", "--max-pods=5", "--eviction-hard=a<1%,b<2"];
        let wanted = json!({
            "authentication": {"x509": {"clientCAFile": "/ca"}, "webhook": {"enabled": true}},
            "maxPods": 5,
            "evictionHard": {"a": "1%", "b": "2"},
        });
        assert_eq!(Value::Object(read(&line).unwrap()), wanted);
        assert!(read(&[]).unwrap().is_empty());
    }

    #[test]
    fn values_of_another_shape_are_refused() {
        assert!(read(&["--max-pods=many"]).unwrap_err().to_string().contains("--max-pods"));
        assert!(read(&["--eviction-hard=all"]).unwrap_err().to_string().contains("--eviction-hard"));
    }
}
