//! Process-wide logging on standard error. Standard output belongs to what the command prints for its user.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// How log lines are written (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One line of text each.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is no log format: use text or json")),
        }
    }
}

/// Installs the subscriber. `verbosity` follows klog: 0-1 warnings and what matters, 2-3 info, 4-5 debug, 6+ trace.
/// `KRAB_LOG` (tracing's filter syntax) overrides it. Calling it twice keeps the first.
pub fn init(format: Format, verbosity: u8) {
    let level = match verbosity {
        0 | 1 => "warn,krab=info",
        2 | 3 => "info,hyper=warn,h2=warn,tower=warn,rustls=warn,hickory=warn",
        4 | 5 => "debug,hyper=info,h2=info,tower=info,rustls=info,hickory=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("KRAB_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        Format::Text => builder.with_ansi(false).try_init(),
        Format::Json => builder.json().try_init(),
    };
    if installed.is_err() {
        tracing::debug!("logging was set up before");
    }
}
