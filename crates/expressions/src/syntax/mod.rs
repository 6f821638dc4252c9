//! Expressions as trees: the lexer, the parser and the macros that become folds.
//!
//! [`parse`] gives an [`Expr`] whose nodes have numbers (keys of what the checker finds out) and places in the text.
//! Nothing here knows types. Depth and length are bounded, so that what comes after may recurse.
//!
//! Upstream: cel-go parser.

mod diagnosis;
mod lexer;
mod literal;
mod macros;
mod parser;

pub(crate) use parser::parse;

/// Numbers the nodes of one expression, from 0.
pub(crate) type ExprId = usize;

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) id: ExprId,
    /// Byte offset of its operator, bracket or first character.
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Literal(Literal),
    Ident(String),
    /// `operand.field`; `has(operand.field)` where `test_only`.
    Select {
        operand: Box<Expr>,
        field: String,
        test_only: bool,
    },
    /// `function(args)` or `target.function(args)`; operators are calls of functions like `_+_`.
    Call {
        target: Option<Box<Expr>>,
        function: String,
        args: Vec<Expr>,
    },
    /// `[a, ?b]`
    List(Vec<Item>),
    /// `{key: value, ?key: value}`
    Map(Vec<MapEntry>),
    /// `Name{field: value}`
    Struct {
        name: String,
        fields: Vec<FieldInit>,
    },
    Fold(Box<Fold>),
}

impl Expr {
    /// Does this hold of the node, or of one below it?
    pub(crate) fn any(&self, holds: &mut dyn FnMut(&Expr) -> bool) -> bool {
        if holds(self) {
            return true;
        }
        match &self.kind {
            Kind::Literal(_) | Kind::Ident(_) => false,
            Kind::Select { operand, .. } => operand.any(holds),
            Kind::Call { target, args, .. } => {
                target.as_deref().is_some_and(|target| target.any(holds)) || args.iter().any(|arg| arg.any(holds))
            }
            Kind::List(items) => items.iter().any(|item| item.value.any(holds)),
            Kind::Map(entries) => entries.iter().any(|entry| entry.key.any(holds) || entry.value.any(holds)),
            Kind::Struct { fields, .. } => fields.iter().any(|field| field.value.any(holds)),
            Kind::Fold(fold) => {
                let parts = [&fold.range, &fold.init, &fold.condition, &fold.step, &fold.result];
                parts.into_iter().any(|part| part.any(holds))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) value: Expr,
    pub(crate) optional: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct MapEntry {
    pub(crate) key: Expr,
    pub(crate) value: Expr,
    pub(crate) optional: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct FieldInit {
    /// Place of the colon.
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) value: Expr,
    pub(crate) optional: bool,
}

/// A loop over `range`: `accumulator` starts as `init`, is replaced by `step` while `condition` holds, and is read by `result`.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    pub(crate) range: Expr,
    pub(crate) variable: String,
    /// The value, where `variable` is the key or index.
    pub(crate) second: Option<String>,
    pub(crate) accumulator: String,
    pub(crate) init: Expr,
    pub(crate) condition: Expr,
    pub(crate) step: Expr,
    pub(crate) result: Expr,
}

impl Fold {
    /// Is this no loop but a name given to a value? Upstream: checker.coster.isBind.
    pub(crate) fn is_bind(&self) -> bool {
        matches!(&self.range.kind, Kind::List(items) if items.is_empty())
            && matches!(self.condition.kind, Kind::Literal(Literal::Bool(false)))
            && self.accumulator != ACCUMULATOR
    }
}

/// Name of the accumulator of macros; cannot be written in an expression.
pub(crate) const ACCUMULATOR: &str = "@result";

/// Names of the functions operators stand for. Upstream: cel-go common/operators.
pub(crate) mod operator {
    pub(crate) const CONDITIONAL: &str = "_?_:_";
    pub(crate) const AND: &str = "_&&_";
    pub(crate) const OR: &str = "_||_";
    pub(crate) const NOT: &str = "!_";
    pub(crate) const EQUALS: &str = "_==_";
    pub(crate) const NOT_EQUALS: &str = "_!=_";
    pub(crate) const LESS: &str = "_<_";
    pub(crate) const LESS_EQUALS: &str = "_<=_";
    pub(crate) const GREATER: &str = "_>_";
    pub(crate) const GREATER_EQUALS: &str = "_>=_";
    pub(crate) const ADD: &str = "_+_";
    pub(crate) const SUBTRACT: &str = "_-_";
    pub(crate) const MULTIPLY: &str = "_*_";
    pub(crate) const DIVIDE: &str = "_/_";
    pub(crate) const MODULO: &str = "_%_";
    pub(crate) const NEGATE: &str = "-_";
    pub(crate) const INDEX: &str = "_[_]";
    pub(crate) const IN: &str = "@in";
    pub(crate) const NOT_STRICTLY_FALSE: &str = "@not_strictly_false";
    pub(crate) const OPTIONAL_SELECT: &str = "_?._";
    pub(crate) const OPTIONAL_INDEX: &str = "_[?_]";
}
