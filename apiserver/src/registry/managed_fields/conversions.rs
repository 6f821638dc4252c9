//! What conversion webhooks make of objects, for the rules of ownership, which do not wait.
//!
//! The rules are pure: they run, miss an answer and fail; [`Conversions::ask`] gets the answer, and they run again from the
//! beginning. Each run misses at most as many as there are versions that owners name, so a handful of runs is all. Without a
//! webhook nothing is ever missed.

use std::sync::{Mutex, PoisonError};

use api::managed_fields::Unconverted;
use json::Value;

use crate::apiextensions::{CustomResource, stored};
use crate::context::RequestContext;
use crate::registry::resource::Resource;

/// The answers of webhooks in one request.
#[derive(Debug, Default)]
pub(crate) struct Conversions(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    known: Vec<Known>,
    missed: Option<(Value, usize)>,
}

#[derive(Debug)]
struct Known {
    object: Value,
    version: usize,
    answer: Result<Value, Unconverted>,
}

impl Conversions {
    /// An object in the version at a position of its definition; a failure for now where a webhook has yet to be asked.
    pub(super) fn get(&self, custom: &CustomResource, object: &Value, version: usize) -> Result<Value, Unconverted> {
        if let Some(renamed) = stored::renamed(custom, object, version) {
            return Ok(renamed);
        }
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers.known.iter().find(|known| known.version == version && known.object == *object);
        if let Some(known) = known {
            return known.answer.clone();
        }
        answers.missed = Some((object.clone(), version));
        Err(Unconverted::Failed("the conversion webhook was not asked yet".to_owned()))
    }

    /// Gets the answer that was missed. Whether there was one: then what failed for it is to be tried again.
    pub(crate) async fn ask(&self, resource: &Resource, ctx: &RequestContext) -> bool {
        let missed = self.0.lock().unwrap_or_else(PoisonError::into_inner).missed.take();
        let (Some((object, version)), Some(custom)) = (missed, resource.as_custom()) else { return false };
        let answer = stored::convert_one(custom, object.clone(), version, ctx.objects.as_ref()).await;
        let answer = answer.map_err(|status| Unconverted::Failed(status.message));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.push(Known { object, version, answer });
        true
    }
}
