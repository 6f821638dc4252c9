use super::*;

fn candidate(uid: &str, priority: i32, over: i64) -> Candidate {
    Candidate { uid: uid.into(), priority, over }
}

#[test]
fn who_uses_more_than_asked_for_goes_first() {
    let list = [
        candidate("within", -5, -10),
        candidate("important", 100, 500),
        candidate("plain", 0, 20),
        candidate("large", 0, 30),
    ];
    assert_eq!(rank::first(list.to_vec()).as_deref(), Some("large"));
    assert_eq!(rank::first(list[..2].to_vec()).as_deref(), Some("important"));
    assert_eq!(rank::first(Vec::new()), None);
}

#[test]
fn a_condition_outlasts_its_cause() {
    let mut seen = Seen::default();
    let start = Instant::now();
    let short = Pressure { memory: true, disk: false };
    assert_eq!(seen.observe(start, short), short);
    assert_eq!(seen.observe(start + Duration::from_secs(299), Pressure::default()), short);
    assert_eq!(seen.observe(start + Duration::from_secs(301), Pressure::default()), Pressure::default());
}

#[test]
fn memory_is_read_in_bytes() {
    assert_eq!(signals::memory("MemTotal: 9 kB\nMemAvailable:   100 kB\n", "MemAvailable:"), Some(102_400));
    assert_eq!(signals::memory("MemTotal: 9 kB\n", "MemAvailable:"), None);
}

#[test]
fn a_folder_counts_what_it_takes_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("sub/file"), vec![1; 100_000]).unwrap();
    assert!((100_000..200_000).contains(&disk_usage(dir.path())));
}
