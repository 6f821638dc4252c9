//! Which versions of etcd can be followed.
//!
//! Older ones may say that everything up to a revision was told when some of it was not (etcd-io/etcd#15220, #17507). A read that believed
//! it would miss acknowledged writes, so such a member is refused: there is no second way to read here.
//! Upstream: storage/feature.FeatureSupportChecker, which reads from etcd itself then.

use super::members::Member;
use crate::{Error, ErrorKind};

/// The first of each line of versions that can be believed; newer lines can.
const SINCE: [[u64; 3]; 2] = [[3, 4, 31], [3, 5, 13]];

/// Fails with `Unsupported` if the member's word cannot be relied on.
pub(super) async fn check(member: &Member) -> Result<(), Error> {
    let mut maintenance = member.client.maintenance_client();
    let status = member.ask(maintenance.status()).await?;
    if is_supported(status.version()) {
        return Ok(());
    }
    let why = format!(
        "version {} tells of progress before what it is about; upgrade it to 3.5.13, to 3.4.31 or to a later one",
        status.version()
    );
    Err(Error::new(ErrorKind::Unsupported).on(member.url.as_str()).because(std::io::Error::other(why)))
}

fn is_supported(version: &str) -> bool {
    // What comes before a release (3.6.0-rc.1) counts as the release: all of those have the mends.
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<u64> = release.split('.').map_while(|part| part.parse().ok()).collect();
    let [major, minor, _] = numbers[..] else { return false };
    let line = SINCE.iter().find(|since| since[..2] == [major, minor]);
    line.map_or([major, minor] > [3, 5], |since| numbers[..] >= since[..])
}

#[cfg(test)]
mod tests {
    use super::is_supported;

    #[test]
    fn versions_whose_progress_can_be_believed() {
        for version in ["3.4.31", "3.4.40", "3.5.13", "3.5.21", "3.6.0", "3.6.0-rc.1", "3.7.3", "4.0.0"] {
            assert!(is_supported(version), "{version}");
        }
        for version in ["3.4.30", "3.5.0", "3.5.12", "3.3.27", "2.3.8", "", "three", "3.5", "3.5.x"] {
            assert!(!is_supported(version), "{version}");
        }
    }
}
