//! The file of `--authentication-config` changes.

use super::issuers::{Fake, ask, by_sub};
use super::*;

/// A file with a text, and the issuers it names.
struct Followed {
    _folder: tempfile::TempDir,
    file: File,
    issuers: Issuers,
}

impl Followed {
    fn new(text: &str) -> Followed {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, text).expect("a file");
        let options = Options::of_file(&path).expect("a configuration");
        let file = options.file.clone().expect("the file");
        let patience = Duration::from_millis(5);
        let issuers = Issuers::patient(&options, &[], "server", &Shutdown::new(), patience).expect("a valid one");
        Followed { _folder: folder, file, issuers }
    }

    async fn write(&mut self, text: &str) {
        std::fs::write(&self.file.path, text).expect("a file");
        self.look(Duration::from_secs(30)).await;
    }

    async fn look(&mut self, limit: Duration) {
        self.issuers.read_again(&mut self.file, limit).await;
    }

    /// How often the file was read again: with success, and without.
    fn reloads(&self) -> (u64, u64) {
        let text = component::metrics::encode(&[self.issuers.registry()]).expect("metrics");
        let count = |status: &str| {
            let ours = |line: &&str| line.contains("automatic_reloads_total{") && line.contains(status);
            let value = text.lines().find(ours).and_then(|line| line.rsplit(' ').next());
            value.and_then(|value| value.parse().ok()).unwrap_or_default()
        };
        (count("success"), count("failure"))
    }
}

#[tokio::test]
async fn who_is_in_the_file_now_is_believed_now() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let mut followed = Followed::new(&configuration(json!([first.jwt(&by_sub())])));
    let (one, two) = (first.token(&json!({"sub": "a"})), second.token(&json!({"sub": "b"})));
    assert_eq!(ask(&followed.issuers, &two).await, Ok(None));
    followed.look(Duration::ZERO).await;
    assert_eq!(followed.reloads(), (0, 0), "what is as before is not read again");
    followed.write(&configuration(json!([second.jwt(&by_sub())]))).await;
    assert_eq!(ask(&followed.issuers, &two).await, Ok(Some("test:b".to_owned())));
    assert_eq!(ask(&followed.issuers, &one).await, Ok(None));
    assert_eq!(followed.reloads(), (1, 0));
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing() {
    let (fake, down) = (Fake::start().await, Fake::start().await);
    let good = configuration(json!([fake.jwt(&by_sub())]));
    let mut followed = Followed::new(&good);
    followed.issuers.current.load()[0].provider.present().await;
    followed.write("nonsense").await;
    followed.write(&configuration(json!([{"issuer": {"url": "http://i.test"}}]))).await;
    let mut open: Value = json::from_str(&good).unwrap();
    open["anonymous"] = json!({"enabled": true});
    followed.write(&open.to_string()).await;
    assert_eq!(followed.reloads(), (0, 3));
    followed.look(Duration::ZERO).await;
    assert_eq!(followed.reloads(), (0, 3), "what will never be used is not tried again");
    down.is_down(true);
    std::fs::write(&followed.file.path, configuration(json!([down.jwt(&by_sub())]))).unwrap();
    followed.look(Duration::from_millis(20)).await;
    assert_eq!(followed.reloads(), (0, 4));
    assert_eq!(ask(&followed.issuers, &fake.token(&json!({"sub": "a"}))).await, Ok(Some("test:a".to_owned())));
    down.is_down(false);
    followed.look(Duration::from_secs(30)).await;
    assert_eq!(followed.reloads(), (1, 4));
    assert_eq!(ask(&followed.issuers, &down.token(&json!({"sub": "b"}))).await, Ok(Some("test:b".to_owned())));
    std::fs::remove_file(&followed.file.path).unwrap();
    followed.look(Duration::ZERO).await;
    assert_eq!(followed.reloads(), (1, 5));
}
