//! The path of a field from the object's root: `spec.containers[0].ports`.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A place in an object. Cheap to clone and to extend: steps are shared, and a static name takes no memory until something below it
/// is named, which for most fields is never.
///
/// [`Path::nil`] is upstream's nil path: its child is a root, and alone it prints `<nil>`.
#[derive(Clone, Default)]
pub struct Path {
    above: Above,
    last: Option<Last>,
}

/// The steps from the root, but for the last where that is a [`Last`].
type Above = Option<Arc<Step>>;

struct Step {
    above: Above,
    element: Element,
}

enum Element {
    Name(Cow<'static, str>),
    Index(usize),
    Key(String),
}

/// A static name.
#[derive(Clone)]
struct Last {
    name: &'static str,
    /// The same as a step, made for those below.
    step: OnceLock<Arc<Step>>,
}

impl Path {
    /// The path of a field at the root. Upstream: field.NewPath.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Path {
        Path::nil().child(name)
    }

    /// The path above every root.
    pub fn nil() -> Path {
        Path::default()
    }

    /// The field `name` of this value.
    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Path {
        match name.into() {
            Cow::Borrowed(name) => Path { above: self.shared(), last: Some(Last { name, step: OnceLock::new() }) },
            name @ Cow::Owned(_) => self.step(Element::Name(name)),
        }
    }

    /// The list element at `index`.
    #[must_use]
    pub fn index(&self, index: usize) -> Path {
        self.step(Element::Index(index))
    }

    /// The map entry, or keyed list element, `key`.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Path {
        self.step(Element::Key(key.into()))
    }

    fn step(&self, element: Element) -> Path {
        Path { above: Some(Arc::new(Step { above: self.shared(), element })), last: None }
    }

    /// This path as what is above another.
    fn shared(&self) -> Above {
        let Some(last) = &self.last else { return self.above.clone() };
        let step = || Arc::new(Step { above: self.above.clone(), element: Element::Name(last.name.into()) });
        Some(Arc::clone(last.step.get_or_init(step)))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.shared();
        let mut steps: Vec<&Step> = std::iter::successors(whole.as_deref(), |step| step.above.as_deref()).collect();
        if steps.is_empty() {
            return f.write_str("<nil>");
        }
        while let Some(step) = steps.pop() {
            match &step.element {
                Element::Name(name) if name.is_empty() => f.write_str("[]")?,
                Element::Name(name) => {
                    if step.above.is_some() {
                        f.write_str(".")?;
                    }
                    f.write_str(name)?;
                }
                Element::Index(index) => write!(f, "[{index}]")?,
                Element::Key(key) => write!(f, "[{key}]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}
