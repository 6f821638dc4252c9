//! Process-wide logging on standard error. Standard output belongs to what the command prints for its user.

use std::str::FromStr;
use std::sync::OnceLock;

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
    let filter = EnvFilter::try_from_env("KRAB_LOG").unwrap_or_else(|_| filter(verbosity));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        Format::Text => {
            let builder = builder.with_ansi(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().is_ok_and(|()| keep(move |filter| handle.reload(filter).is_ok()))
        }
        Format::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().is_ok_and(|()| keep(move |filter| handle.reload(filter).is_ok()))
        }
    };
    if !installed {
        tracing::debug!("logging was set up before");
    }
}

/// Another verbosity from now on, as [`init`] reads it; false where nothing was installed by [`init`].
/// Upstream: `PUT /debug/flags/v`.
pub fn set_verbosity(verbosity: u8) -> bool {
    RELOAD.get().is_some_and(|reload| reload(filter(verbosity)))
}

type Reload = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// Changes the filter of the installed subscriber.
static RELOAD: OnceLock<Reload> = OnceLock::new();

fn keep(reload: impl Fn(EnvFilter) -> bool + Send + Sync + 'static) -> bool {
    RELOAD.set(Box::new(reload)).is_ok()
}

fn filter(verbosity: u8) -> EnvFilter {
    EnvFilter::new(match verbosity {
        0 | 1 => "warn,krab=info",
        2 | 3 => "info,hyper=warn,h2=warn,tower=warn,rustls=warn,hickory=warn",
        4 | 5 => "debug,hyper=info,h2=info,tower=info,rustls=info,hickory=info",
        _ => "trace",
    })
}
