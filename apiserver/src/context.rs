//! What is known about one request below the filters: who asks, what for, when, and which other objects may be looked at.
//!
//! Strategies and admission plugins get a [`RequestContext`]; they never see sockets, headers or the store itself.
//! Upstream: k8s.io/apiserver/pkg/endpoints/request.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::decode::Decoded;
use api::meta;
use api::status::Status;
use jiff::Timestamp;
use json::Value;

use crate::audit::Record;
use crate::authentication::UserInfo;
use crate::authorization::{Answer, Attributes, Authorizer, Decision, Reasons};
use crate::filters::authorization;
use crate::registry::resource::Resource;

/// Read access to the newest committed objects, decoded in their storage version. Cheap: no I/O, no lock held.
pub trait Objects: Send + Sync {
    /// One object; `namespace` is "" for cluster-scoped resources.
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;
    /// All objects of a resource, of one namespace unless `namespace` is "".
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Value>>;
    /// The pods bound to a node, of one namespace unless `namespace` is "". Others are not looked at.
    fn pods_on(&self, node: &str, namespace: &str) -> Vec<Arc<Value>> {
        let mut pods = self.list("", "pods", namespace);
        pods.retain(|pod| pod["spec"]["nodeName"] == node);
        pods
    }
    /// An object of the storage version, as the store wants it: for what is written with another one.
    fn draft(&self, object: &Value) -> store::Draft {
        crate::registry::encode::encode(object).into()
    }
    /// The resources whose objects are of this kind, in this version of its group.
    fn resources_of(&self, api_version: &str, kind: &str) -> Vec<Arc<Resource>> {
        let _ = (api_version, kind);
        Vec::new()
    }
    /// When a raw key of the store was last written; zero if it is not there. For allocations, which are keys and no objects.
    fn key_revision(&self, key: &str) -> store::Revision {
        let _ = key;
        store::Revision::ZERO
    }
}

/// One request, as strategies and admission see it.
pub struct RequestContext {
    /// The user after impersonation.
    pub user: UserInfo,
    /// The resource addressed, parsed from the path.
    pub target: Target,
    /// The one clock reading of this request (creationTimestamp, deletionTimestamp, managedFields).
    pub now: Timestamp,
    /// `?dryRun=All`: everything happens, nothing is committed and nothing outside is touched.
    pub dry_run: bool,
    /// `?fieldManager=`, or the first part of User-Agent.
    pub field_manager: String,
    /// Other objects, for admission and for strategies that must look around.
    pub objects: Arc<dyn Objects>,
    warnings: Mutex<Vec<String>>,
    emptied: AtomicBool,
    labelled: AtomicBool,
    /// Where the audit log has a record of the request.
    pub(crate) audit: Option<Arc<Record>>,
    rights: Option<Rights>,
    questions: Questions,
}

/// What a request was allowed, and who is asked for more.
#[derive(Clone)]
struct Rights {
    verb: String,
    authorizer: Arc<dyn Authorizer>,
}

/// What was asked of authorizers that do not answer at once.
#[derive(Default)]
struct Questions {
    /// Is there one without an answer?
    is_open: AtomicBool,
    asked: Mutex<Vec<(Attributes, Option<Decision>)>>,
}

impl Questions {
    fn asked(&self) -> MutexGuard<'_, Vec<(Attributes, Option<Decision>)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, if it is known; else the question is open.
    fn answer(&self, question: &Attributes) -> Decision {
        let mut asked = self.asked();
        match asked.iter().find(|(known, _)| known == question) {
            Some((_, decision)) => decision.clone().unwrap_or_default(),
            None => {
                asked.push((question.clone(), None));
                self.is_open.store(true, Ordering::Relaxed);
                Decision::default()
            }
        }
    }

    /// The open ones, if there are any.
    fn open(&self) -> Option<Vec<Attributes>> {
        // Asked after each plugin of each write, and hardly ever true.
        let is_open = self.is_open.load(Ordering::Relaxed) && self.is_open.swap(false, Ordering::Relaxed);
        is_open.then(|| {
            let asked = self.asked();
            asked.iter().filter(|(_, decision)| decision.is_none()).map(|(question, _)| question.clone()).collect()
        })
    }

    fn answered(&self, question: Attributes, decision: Decision) {
        let mut asked = self.asked();
        asked.retain(|(known, _)| *known != question);
        asked.push((question, Some(decision)));
    }
}

/// What a resource request addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// API group, "" for core.
    pub group: String,
    /// API version of the URL.
    pub version: String,
    /// Plural resource name.
    pub resource: String,
    /// Subresource or "".
    pub subresource: String,
    /// Namespace or "".
    pub namespace: String,
    /// Object name or "".
    pub name: String,
}

impl RequestContext {
    /// A context at the present time, not a dry run.
    pub fn new(user: UserInfo, target: Target, objects: Arc<dyn Objects>) -> RequestContext {
        RequestContext {
            user,
            target,
            now: Timestamp::now(),
            dry_run: false,
            field_manager: String::new(),
            objects,
            warnings: Mutex::default(),
            emptied: AtomicBool::default(),
            labelled: AtomicBool::default(),
            audit: None,
            rights: None,
            questions: Questions::default(),
        }
    }

    /// The same request, which was allowed this verb; `authorizer` tells what else its user may. Without one, nothing.
    pub(crate) fn allowed(mut self, verb: &str, authorizer: &Arc<dyn Authorizer>) -> RequestContext {
        self.rights = Some(Rights { verb: verb.to_owned(), authorizer: Arc::clone(authorizer) });
        self
    }

    /// The same request about one object of a collection; warnings are its own.
    pub(crate) fn for_object(&self, namespace: &str, name: &str) -> RequestContext {
        let target = Target { namespace: namespace.to_string(), name: name.to_string(), ..self.target.clone() };
        RequestContext {
            now: self.now,
            audit: self.audit.clone(),
            rights: self.rights.clone(),
            dry_run: self.dry_run,
            field_manager: self.field_manager.clone(),
            ..RequestContext::new(self.user.clone(), target, Arc::clone(&self.objects))
        }
    }

    /// The verb the request itself was allowed: `update`, `patch`, ...
    pub fn verb(&self) -> &str {
        self.rights.as_ref().map_or("", |rights| &rights.verb)
    }

    /// The question whether the user may do something to a resource of this group, for [`Self::authorize`]; to be narrowed.
    pub fn question(&self, verb: &str, group: &str, resource: &str) -> Attributes {
        Attributes {
            user: self.user.clone(),
            verb: verb.to_owned(),
            api_group: group.to_owned(),
            api_version: "*".to_owned(),
            resource: resource.to_owned(),
            is_resource_request: true,
            ..Attributes::default()
        }
    }

    /// May this be done? What strategies and admission ask beyond the right to the request itself. Where somebody else has to be
    /// asked first, the answer is a no that does not count: those who ask do so within [`Self::settled`].
    /// Upstream: authorizer.UnconditionalAuthorizer, as strategies and plugins hold it.
    pub fn authorize(&self, question: &Attributes) -> Decision {
        let Some(rights) = &self.rights else { return Decision::default() };
        match rights.authorizer.authorize(question, Reasons::OfRefusals) {
            Answer::Now(decision) => decision,
            Answer::Later(_) => self.questions.answer(question),
        }
    }

    /// As [`Self::authorize`], with upstream's words for a no.
    pub(crate) fn require(&self, question: &Attributes) -> Result<(), Status> {
        authorization::required(self.authorize(question), question)
    }

    /// As [`Self::authorize`], where the reason of a no is not told.
    pub fn may(&self, question: &Attributes) -> bool {
        self.authorize(question).is_allowed()
    }

    /// What `work` comes to, which may put questions to [`Self::authorize`]: it is done once, and again as long as it has asked
    /// something that was not known yet. It must leave nothing behind that a second time would double.
    pub(crate) async fn settled<T>(&self, mut work: impl FnMut() -> T) -> T {
        loop {
            let result = work();
            if !self.learns_more().await {
                return result;
            }
        }
    }

    /// Are there questions to [`Self::authorize`] that would have to wait?
    pub(crate) fn may_wait(&self) -> bool {
        self.rights.as_ref().is_some_and(|rights| rights.authorizer.may_wait())
    }

    /// Were questions put that had to wait? They are answered now, for the rest of the request.
    pub(crate) async fn learns_more(&self) -> bool {
        let (Some(rights), Some(open)) = (&self.rights, self.questions.open()) else { return false };
        // Few requests come here: the others do not carry what it needs.
        let asking = async {
            for question in open {
                let decision = rights.authorizer.authorize(&question, Reasons::OfRefusals).decided().await;
                self.questions.answered(question, decision);
            }
        };
        Box::pin(asking).await;
        true
    }

    /// Adds a line sent back as a `Warning: 299` header. Repeats are dropped.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Notes what of the object of the request is not to be seen any more once it has its defaults.
    pub(crate) fn note_sent(&self, decoded: &Decoded) {
        self.emptied.store(decoded.emptied, Ordering::Relaxed);
        self.labelled.store(meta::labels(&decoded.object).is_some(), Ordering::Relaxed);
    }

    /// Was the object sent with an empty list or map?
    pub(crate) fn was_emptied(&self) -> bool {
        self.emptied.load(Ordering::Relaxed)
    }

    /// Was the object sent with labels?
    pub(crate) fn was_labelled(&self) -> bool {
        self.labelled.load(Ordering::Relaxed)
    }

    /// Shows the audit log the object the request is about.
    pub(crate) fn audited(&self, object: &Value) {
        if let Some(record) = &self.audit {
            record.request_object(object);
        }
    }

    /// As [`Self::audited`], of a body that is no object by itself: a patch.
    pub(crate) fn audited_text(&self, text: &[u8]) {
        if let Some(record) = &self.audit {
            record.request_text(text);
        }
    }

    /// Adds an annotation to the request's audit event, where there is one. Upstream: audit.AddAuditAnnotation.
    pub fn audit_annotation(&self, key: &str, value: impl Into<String>) {
        if let Some(record) = &self.audit {
            record.annotate(key, value);
        }
    }

    /// As [`Self::audit_annotation`], of what shows what the request holds: made only where that is logged.
    /// Upstream: audit.AddAuditAnnotation at LevelRequest.
    pub(crate) fn audit_annotation_of_request(&self, key: &str, value: impl FnOnce() -> String) {
        if let Some(record) = &self.audit {
            record.annotate_request(key, value);
        }
    }

    /// The warnings so far, taken out.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `now` as metav1.Time writes it: whole seconds, UTC.
    pub fn timestamp(&self) -> String {
        format_time(self.now)
    }
}

/// metav1.Time's form: RFC 3339, whole seconds, `Z`.
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("user", &self.user)
            .field("target", &self.target)
            .field("now", &self.now)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
