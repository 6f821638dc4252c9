//! Container logs in CRI's format: one line an entry, `<RFC3339Nano> <stdout|stderr> <F|P> <text>`. Upstream: `kuberuntime/logs`.

pub(crate) mod parse;
pub(crate) mod read;
pub(crate) mod rotate;
