//! The group batch.

pub mod cron_job;
pub mod job;
mod job_policy;
pub(crate) mod schedule;
