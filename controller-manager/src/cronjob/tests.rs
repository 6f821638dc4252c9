use std::collections::HashSet;

use expect_test::{Expect, expect};
use k8s_openapi::api::batch::v1::CronJob;

use super::plan::{Snapshot, plan};
use crate::engine::to_value;
use crate::test_support::{at, objects};

fn cron_job(spec: &str, status: &str) -> String {
    format!(
        "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: tick, namespace: ns, uid: c1, creationTimestamp: '2026-01-01T08:59:30Z'}},
          spec: {{schedule: '0 * * * *', successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 1, {spec} jobTemplate: {{metadata: {{labels: {{app: tick}}}}, spec: {{template: {{}}}}}}}}, status: {{{status}}}}}\n"
    )
}

fn job(name: &str, condition: &str, at: &str) -> String {
    format!(
        "---\n{{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}, namespace: ns, uid: u-{name}}}, spec: {{template: {{}}}},
          status: {{startTime: '2026-01-01T{at}Z', completionTime: '2026-01-01T{at}Z', conditions: [{{type: {condition}, status: 'True'}}]}}}}\n"
    )
}

fn show(yaml: &str, now: &str) -> String {
    let snapshot = Snapshot {
        cron_job: (*objects::<CronJob>(yaml).remove(0)).clone(),
        jobs: objects(yaml),
        missing: HashSet::from(["u-lost".to_owned()]),
        now: at(now),
    };
    let outcome = plan(&snapshot);
    let mut lines: Vec<String> =
        outcome.events.iter().map(|event| format!("{}: {}", event.reason, event.message)).collect();
    lines.extend(outcome.replaced.iter().map(|write| format!("replace {}", write.name)));
    lines.extend(
        outcome.create.iter().map(|(job, due)| format!("create {} due {due}", job.metadata.name.clone().unwrap())),
    );
    lines.extend(outcome.superfluous.iter().map(|write| format!("remove {}", write.name)));
    lines.push(format!("status {}", to_value(&outcome.status)));
    lines.extend(outcome.requeue_after.map(|wait| format!("again after {wait:?}")));
    lines.join("\n")
}

fn check(yaml: &str, now: &str, expected: Expect) {
    expected.assert_eq(&show(yaml, now));
}

#[test]
fn a_job_is_made_when_it_is_due() {
    check(
        &cron_job("", ""),
        "08:59:50",
        expect![[r#"
        status {}
        again after 10.1s"#]],
    );
    check(
        &cron_job("", ""),
        "09:00:01",
        expect![[r#"
        create tick-29454300 due 2026-01-01T09:00:00Z
        status {}
        again after 3599.1s"#]],
    );
    check(
        &cron_job("", "lastScheduleTime: '2026-01-01T09:00:00Z'"),
        "09:00:01",
        expect![[r#"
        status {"lastScheduleTime":"2026-01-01T09:00:00Z"}
        again after 3599.1s"#]],
    );
}

#[test]
fn only_the_last_of_missed_times_counts() {
    check(
        &cron_job("", ""),
        "13:20:00",
        expect![[r#"
        create tick-29454540 due 2026-01-01T13:00:00Z
        status {}
        again after 2400.1s"#]],
    );
    check(
        &cron_job("startingDeadlineSeconds: 60,", ""),
        "13:20:00",
        expect![[r#"
        status {}
        again after 2400.1s"#]],
    );
}

#[test]
fn a_running_job_forbids_or_is_replaced() {
    let active = "active: [{kind: Job, name: old, namespace: ns, uid: u-old}]";
    let running = job("old", "Suspended", "08:00:00");
    check(
        &format!("{}{running}", cron_job("concurrencyPolicy: Forbid,", active)),
        "09:00:01",
        expect![[r#"
        JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid
        status {"active":[{"kind":"Job","name":"old","namespace":"ns","uid":"u-old"}]}
        again after 3599.1s"#]],
    );
    check(
        &format!("{}{running}", cron_job("concurrencyPolicy: Replace,", active)),
        "09:00:01",
        expect![[r#"
        replace old
        create tick-29454300 due 2026-01-01T09:00:00Z
        status {}
        again after 3599.1s"#]],
    );
}

#[test]
fn finished_and_missing_jobs_leave_the_list_and_old_ones_are_removed() {
    let active = "lastScheduleTime: '2026-01-01T09:00:00Z', active: [{kind: Job, name: b, namespace: ns, uid: u-b}, {kind: Job, name: lost, namespace: ns, uid: u-lost}]";
    let yaml = [
        cron_job("", active),
        job("a", "Complete", "07:00:00"),
        job("b", "Complete", "08:00:00"),
        job("c", "Failed", "06:00:00"),
    ]
    .concat();
    check(
        &yaml,
        "09:30:00",
        expect![[r#"
        SawCompletedJob: Saw completed job: b, condition: Complete
        MissingJob: Active job went missing: lost
        remove a
        status {"lastScheduleTime":"2026-01-01T09:00:00Z","lastSuccessfulTime":"2026-01-01T08:00:00Z"}
        again after 1800.1s"#]],
    );
}

#[test]
fn a_suspended_cron_job_and_a_bad_schedule_start_nothing() {
    check(&cron_job("suspend: true,", ""), "09:00:01", expect!["status {}"]);
    check(
        &cron_job("", "").replace("0 * * * *", "often"),
        "09:00:01",
        expect![[r#"
        UnparseableSchedule: unparseable schedule: "often" : expected exactly 5 fields, found 1: [often]
        status {}"#]],
    );
    check(
        &cron_job("", "").replace("0 * * * *", "59 23 31 2 *"),
        "09:00:01",
        expect![[r#"
        InvalidSchedule: invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second
        status {}"#]],
    );
    check(
        &cron_job("timeZone: Mars/Olympus,", ""),
        "09:00:01",
        expect![[r#"
        UnknownTimeZone: invalid timeZone: "Mars/Olympus": provided bad location Mars/Olympus: failed to find time zone `Mars/Olympus` in time zone database
        status {}"#]],
    );
}
