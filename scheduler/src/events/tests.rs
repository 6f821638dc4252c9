use super::*;

fn writer() -> Writer {
    Writer {
        client: kube::Client::new(
            tower::service_fn(|_: http::Request<kube::client::Body>| async {
                Ok::<_, std::convert::Infallible>(http::Response::new(kube::client::Body::empty()))
            }),
            "default",
        ),
        controller: "default-scheduler".to_owned(),
        instance: "default-scheduler-host".to_owned(),
        known: HashMap::new(),
    }
}

fn record(note: &str, second: i64) -> Record {
    Record {
        regarding: ObjectReference {
            name: Some("p".to_owned()),
            namespace: Some("ns".to_owned()),
            ..ObjectReference::default()
        },
        kind: Type::Warning,
        reason: "FailedScheduling",
        action: "Scheduling",
        note: note.to_owned(),
        at: jiff::Timestamp::from_second(second).unwrap(),
    }
}

#[tokio::test]
async fn the_second_of_a_kind_starts_a_series_and_later_ones_only_count() {
    let mut writer = writer();
    let Some(Write::Create(first)) = writer.decide(record("one", 0)) else { panic!("not created") };
    assert_eq!(first.reporting_controller.as_deref(), Some("default-scheduler"));
    match writer.decide(record("two", 1)) {
        Some(Write::StartSeries { name, series, .. }) => {
            assert_eq!((Some(name), series.count), (first.metadata.name.clone(), 2));
        }
        other => panic!("no series: {other:?}"),
    }
    assert_eq!(writer.decide(record("three", 2)), None);
}

#[tokio::test]
async fn a_kind_that_was_quiet_is_created_anew() {
    let mut writer = writer();
    writer.decide(record("one", 0));
    assert!(matches!(writer.decide(record("one", 360)), Some(Write::Create(_))));
}

#[test]
fn long_notes_are_cut_at_a_character() {
    let note = truncate("é".repeat(600));
    assert!(note.len() <= NOTE_LIMIT && note.ends_with(" ..."));
    assert_eq!(truncate("short".to_owned()), "short");
}
