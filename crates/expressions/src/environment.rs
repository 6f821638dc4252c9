//! What an expression may name: variables, the fields of object types, and the functions of the libraries.
//!
//! [`Environment::check`] parses and checks a text; the result is a [`Checked`] expression, whose cost can be estimated and
//! which becomes a [`Program`]. An environment is built once for a kind of expression and used for many.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/environment, cel-go cel.Env.

use std::collections::HashMap;
use std::sync::Arc;

use crate::check::{self, Reference, SizeEstimate};
use crate::eval::Program;
use crate::schema::{Fields, Schema};
use crate::source::{self, Issue};
use crate::syntax::{self, Expr, Kind, Literal, operator};
use crate::types::Type;

/// Names and what they mean.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: Vec<(Arc<str>, Type)>,
    objects: HashMap<Arc<str>, HashMap<String, Type>>,
    patches: bool,
    stored: bool,
}

/// Functions that stored expressions may use already, and new ones only after the next release.
const ONLY_STORED: [&str; 1] = ["includes"];
/// Functions for expressions that make patches.
const ONLY_PATCHES: [&str; 1] = ["jsonpatch.escapeKey"];

impl Environment {
    /// For expressions in objects that are being written: what the release before understands, too.
    pub fn for_new() -> Environment {
        Environment { variables: Vec::new(), objects: HashMap::new(), patches: false, stored: false }
    }

    /// For expressions in objects that are stored already.
    pub fn for_stored() -> Environment {
        Environment { stored: true, ..Environment::for_new() }
    }

    /// The same, with another rule for what is understood.
    pub fn stored(mut self, stored: bool) -> Environment {
        self.stored = stored;
        self
    }

    /// With a variable; its value is given in this order to the program.
    pub fn variable(mut self, name: &str, of: Type) -> Environment {
        self.variables.push((name.into(), of));
        self
    }

    /// With an object type.
    pub fn object<'n>(mut self, name: &str, fields: impl IntoIterator<Item = (&'n str, Type)>) -> Environment {
        let fields = fields.into_iter().map(|(field, of)| (field.to_owned(), of)).collect();
        self.objects.insert(name.into(), fields);
        self
    }

    /// With the object types of a schema.
    pub fn schema(mut self, schema: &Schema) -> Environment {
        schema.for_each_object(&mut |fields: &Arc<Fields>| {
            let types = fields.by_name.iter().map(|(name, field)| (name.clone(), field.schema.cel_type())).collect();
            self.objects.insert(fields.name.clone(), types);
        });
        self
    }

    /// With `Object{}` and `JSONPatch{}`. Upstream: k8s.io/apiserver/pkg/cel/mutation.DynamicTypeResolver.
    pub fn patches(mut self) -> Environment {
        self.patches = true;
        self
    }

    /// Adds a field to an object type, as policies do with each of their variables.
    pub fn add_field(&mut self, object: &str, field: &str, of: Type) {
        if let Some(fields) = self.objects.get_mut(object) {
            fields.insert(field.to_owned(), of);
        }
    }

    pub(crate) fn find_variable(&self, name: &str) -> Option<(usize, &Type)> {
        let index = self.variables.iter().rposition(|(variable, _)| &**variable == name)?;
        Some((index, &self.variables[index].1))
    }

    /// The type of an object's field; None where there is no such object, Some(None) where there is no such field.
    pub(crate) fn field(&self, object: &str, field: &str) -> Option<Option<Type>> {
        if self.patches && object == "JSONPatch" {
            return Some(match field {
                "op" | "from" | "path" => Some(Type::String),
                _ => Some(Type::Dyn),
            });
        }
        if self.patches && is_patch_object(object) {
            return Some(Some(Type::Dyn));
        }
        self.objects.get(object).map(|fields| fields.get(field).cloned())
    }

    /// Is this the name of an object type?
    pub(crate) fn has_object(&self, name: &str) -> bool {
        self.objects.contains_key(name) || (self.patches && (name == "JSONPatch" || is_patch_object(name)))
    }

    pub(crate) fn has_function(&self, name: &str) -> bool {
        (self.stored || !ONLY_STORED.contains(&name)) && (self.patches || !ONLY_PATCHES.contains(&name))
    }

    /// Parses and checks.
    pub fn check(&self, text: &str) -> Result<Checked, CompileError> {
        let failed = |issues: Vec<Issue>| CompileError { text: source::render(text, &issues), issues };
        let (mut expr, nodes) = syntax::parse(text).map_err(failed)?;
        let (types, references) = check::check(self, &mut expr, nodes).map_err(failed)?;
        Ok(Checked { expr, types, references })
    }

    /// Parses, checks and plans in one go.
    pub fn compile(&self, text: &str) -> Result<Program, CompileError> {
        self.check(text).and_then(|checked| checked.program())
    }
}

fn is_patch_object(name: &str) -> bool {
    name == "Object" || name.starts_with("Object.")
}

/// An expression that means nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct CompileError {
    text: String,
    /// Each error by itself.
    pub issues: Vec<Issue>,
}

/// An expression with the types of its nodes.
#[derive(Debug, Clone)]
pub struct Checked {
    pub(crate) expr: Expr,
    pub(crate) types: Vec<Type>,
    pub(crate) references: Vec<Option<Reference>>,
}

impl Checked {
    /// The type of the whole.
    pub fn output(&self) -> &Type {
        &self.types[self.expr.id]
    }

    /// Does it read the variable of this index?
    pub fn reads(&self, variable: usize) -> bool {
        self.references
            .iter()
            .any(|reference| matches!(reference, Some(Reference::Variable(index)) if *index == variable))
    }

    /// Does it select this field of a variable, as `variable.field`, `has(variable.field)` or `variable.?field`?
    /// Upstream: apis/apiserver/validation.hasSelectExp.
    pub fn selects(&self, variable: &str, field: &str) -> bool {
        let is_variable = |node: &Expr| matches!(&node.kind, Kind::Ident(name) if name == variable);
        self.expr.any(&mut |node| match &node.kind {
            Kind::Select { operand, field: selected, .. } => selected == field && is_variable(operand),
            Kind::Call { target: None, function, args } if function == operator::OPTIONAL_SELECT => match &args[..] {
                [operand, Expr { kind: Kind::Literal(Literal::String(selected)), .. }] => {
                    selected == field && is_variable(operand)
                }
                _ => false,
            },
            _ => false,
        })
    }

    /// What it can cost, given the sizes of what the variables hold.
    pub fn estimate(&self, sizes: &dyn check::Sizes) -> SizeEstimate {
        check::estimate(self, sizes)
    }

    /// Ready to be evaluated. Constant parts are evaluated now, and may fail.
    pub fn program(self) -> Result<Program, CompileError> {
        Program::plan(self).map_err(|failure| CompileError { text: failure.to_string(), issues: Vec::new() })
    }
}
