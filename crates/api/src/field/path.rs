//! The path of a field from the object's root: `spec.containers[0].ports`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A place in an object. Cheap to clone and to extend: each step is one shared node and static names are not copied.
///
/// [`Path::nil`] is upstream's nil path: its child is a root, and alone it prints `<nil>`.
#[derive(Clone, Default)]
pub struct Path(Option<Arc<Step>>);

struct Step {
    parent: Path,
    element: Element,
}

enum Element {
    Name(Cow<'static, str>),
    Index(usize),
    Key(String),
}

impl Path {
    /// The path of a field at the root. Upstream: field.NewPath.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Path {
        Path::nil().child(name)
    }

    /// The path above every root.
    pub fn nil() -> Path {
        Path(None)
    }

    /// The field `name` of this value.
    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Path {
        self.step(Element::Name(name.into()))
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
        Path(Some(Arc::new(Step { parent: self.clone(), element })))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = &self.0 else { return f.write_str("<nil>") };
        let mut steps = vec![last];
        while let Some(parent) = steps.last().and_then(|step| step.parent.0.as_ref()) {
            steps.push(parent);
        }
        for step in steps.into_iter().rev() {
            match &step.element {
                Element::Name(name) if name.is_empty() => f.write_str("[]")?,
                Element::Name(name) => {
                    if step.parent.0.is_some() {
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
