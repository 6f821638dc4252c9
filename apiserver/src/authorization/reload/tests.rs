use super::*;
use crate::authentication::UserInfo;
use crate::authorization::node::NodeAuthorizer;
use crate::authorization::rbac::Rbac;
use crate::authorization::{Attributes, Authorizer, Reasons, Surroundings};
use crate::registry::testing::Fixture;

const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n";
const NODE: &str = "- {type: Node, name: node}\n";
const DENY: &str = "- {type: AlwaysDeny, name: alwaysdeny}\n";
const ALLOW: &str = "- {type: AlwaysAllow, name: alwaysallow}\n";

/// A server's authorizers, from a file that can be written anew.
struct Followed {
    reload: Reload,
    _folder: tempfile::TempDir,
}

impl Followed {
    fn by(text: &str) -> Followed {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("authorization.yaml");
        std::fs::write(&path, text).expect("it can be written");
        let configuration = Configuration::read(&path).expect("it is valid");
        let objects = Arc::new(Fixture::new([]));
        let store = store::embedded::memory(store::Window::default(), crate::transform()).expect("a store");
        let surroundings = Surroundings {
            node: Arc::new(NodeAuthorizer::new(objects.clone(), Vec::new())),
            rbac: Rbac::new(Arc::new(store)),
            objects,
        };
        let authorization = Arc::new(Authorization::new(&configuration, surroundings).expect("its files are good"));
        let source = configuration.source.clone().expect("it is from a file");
        Followed { reload: Reload::of(authorization, configuration, source, "server"), _folder: folder }
    }

    /// The lines of a metric after the file says this.
    fn says(&mut self, text: &str, metric: &str) -> Vec<String> {
        std::fs::write(&self.reload.source.path, text).expect("it can be written");
        self.reload.look();
        let shown = component::metrics::encode([&self.reload.authorization.metrics().registry()]);
        shown.expect("it can be shown").lines().filter(|line| line.starts_with(metric)).map(str::to_owned).collect()
    }

    async fn allows(&self) -> bool {
        let request = Attributes { user: UserInfo::new("jane", &[]), ..Attributes::default() };
        self.reload.authorization.authorize(&request, Reasons::OfRefusals).decided().await.is_allowed()
    }
}

#[tokio::test]
async fn what_the_file_says_later_is_in_force_unless_an_authorizer_goes() {
    let mut followed = Followed::by(&format!("{HEAD}{NODE}{DENY}"));
    assert!(!followed.allows().await);
    let total = "apiserver_authorization_config_controller_automatic_reloads_total";
    let line = |status: &str, count: u8| {
        format!("{total}{{apiserver_id_hash=\"{}\",status=\"{status}\"}} {count}", hash("server"))
    };
    assert_eq!(followed.says(&format!("{HEAD}{NODE}{ALLOW}"), total), [line("failure", 1)], "AlwaysDeny stays");
    assert!(!followed.allows().await);
    assert_eq!(followed.says(&format!("{HEAD}{NODE}{ALLOW}"), total), [line("failure", 1)], "it is refused once");
    let all = format!("{HEAD}{ALLOW}{NODE}{DENY}");
    assert_eq!(followed.says(&all, total), [line("failure", 1), line("success", 1)]);
    assert!(followed.allows().await);
    let same = format!("# the same\n{all}");
    assert_eq!(followed.says(&same, total).len(), 2);
    let applied = "apiserver_authorization_config_controller_last_config_info";
    let info = format!("{applied}{{apiserver_id_hash=\"{}\",hash=\"{}\"}} 1", hash("server"), hash(&all));
    assert_eq!(followed.says(&same, applied), [info], "what is in force is what was applied");
}

#[tokio::test]
async fn abac_does_not_come_later() {
    let mut followed = Followed::by(&format!("{HEAD}{DENY}"));
    followed.says(&format!("{HEAD}{DENY}- {{type: ABAC, name: abac}}\n{ALLOW}"), "");
    assert!(!followed.allows().await);
}
