//! Tokens to trees, by recursive descent; operators by their ranks.
//!
//! A syntax error ends it: which errors there are, and their words, is found out then (`diagnosis`).
//! Upstream: cel-go parser.Parse, parser/gen/CEL.g4.

use super::lexer::{self, Token, TokenKind};
use super::{Expr, FieldInit, Item, Kind, Literal, MapEntry, diagnosis, literal, operator};
use crate::source::Issue;

/// How deep expressions may nest, and how long a chain of one operator may be.
pub(super) const MAX_DEPTH: usize = 250;
/// Code points an expression may have.
const MAX_LENGTH: usize = 100_000;

const RESERVED: [&str; 19] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Symbol, function, rank; what binds closer ranks higher.
type Operator = (&'static str, &'static str, u8);

/// Rank of `&&`; only `||` is below.
const AND: u8 = 1;

const OPERATORS: [Operator; 14] = [
    ("||", operator::OR, 0),
    ("&&", operator::AND, AND),
    ("<", operator::LESS, 2),
    ("<=", operator::LESS_EQUALS, 2),
    (">=", operator::GREATER_EQUALS, 2),
    (">", operator::GREATER, 2),
    ("==", operator::EQUALS, 2),
    ("!=", operator::NOT_EQUALS, 2),
    ("in", operator::IN, 2),
    ("+", operator::ADD, 3),
    ("-", operator::SUBTRACT, 3),
    ("*", operator::MULTIPLY, 4),
    ("/", operator::DIVIDE, 4),
    ("%", operator::MODULO, 4),
];

/// May a name not be that of a variable?
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// A tree and the number of its nodes, or what is wrong with the text.
pub(crate) fn parse(text: &str) -> Result<(Expr, usize), Vec<Issue>> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        let message = format!("expression code point size exceeds limit: size: {length}, limit {MAX_LENGTH}");
        return Err(vec![Issue { at: None, message }]);
    }
    let (tokens, mut issues) = lexer::tokens(text);
    let mut parser = Parser { text, tokens, next: 0, ids: 0, depth: 0, issues: Vec::new() };
    let parsed = parser.whole();
    if matches!(parsed, Err(Stop::Syntax)) {
        issues.extend(diagnosis::diagnose(text, &parser.tokens));
        parser.issues.retain(|issue| !issues.contains(issue));
    }
    issues.append(&mut parser.issues);
    match parsed {
        Ok(expr) if issues.is_empty() => Ok((expr, parser.ids)),
        Err(Stop::Depth) => {
            issues.push(Issue { at: None, message: format!("expression recursion limit exceeded: {MAX_DEPTH}") });
            Err(issues)
        }
        _ => Err(issues),
    }
}

/// Why parsing ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// What comes next cannot come.
    Syntax,
    /// It is nested too deep.
    Depth,
}

type Parsed<T> = Result<T, Stop>;

pub(super) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    next: usize,
    ids: usize,
    depth: usize,
    /// Errors after which parsing goes on: of literals, names and macros.
    issues: Vec<Issue>,
}

impl<'t> Parser<'t> {
    /// A new node.
    pub(super) fn node(&mut self, at: usize, kind: Kind) -> Expr {
        let id = self.ids;
        self.ids += 1;
        Expr { id, at, kind }
    }

    /// Notes an error after which parsing goes on.
    pub(super) fn report(&mut self, at: usize, message: impl Into<String>) {
        self.issues.push(Issue::new(at, message));
    }

    pub(super) fn call(&mut self, at: usize, function: &str, args: Vec<Expr>) -> Expr {
        self.node(at, Kind::Call { target: None, function: function.to_owned(), args })
    }

    pub(super) fn literal(&mut self, at: usize, value: Literal) -> Expr {
        self.node(at, Kind::Literal(value))
    }

    fn peek(&self) -> Token {
        self.tokens[self.next]
    }

    fn peek_at(&self, ahead: usize) -> Token {
        self.tokens[(self.next + ahead).min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.next += 1;
        }
        token
    }

    fn text_of(&self, token: Token) -> &'t str {
        &self.text[token.start..token.end]
    }

    fn is(&self, token: Token, symbol: &str) -> bool {
        matches!(token.kind, TokenKind::Symbol | TokenKind::Keyword) && self.text_of(token) == symbol
    }

    /// What a name names, without the marks around an escaped one.
    fn name(&self, token: Token) -> &'t str {
        self.text_of(token).trim_matches('`')
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        self.is(self.peek(), symbol)
    }

    /// Takes the symbol if it comes next.
    fn take(&mut self, symbol: &str) -> Option<Token> {
        if self.at_symbol(symbol) { Some(self.advance()) } else { None }
    }

    /// Takes a symbol that has to come next.
    fn expect(&mut self, symbol: &str) -> Parsed<Token> {
        self.take(symbol).ok_or(Stop::Syntax)
    }

    /// Counts a level of nesting or a link of a chain.
    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Stop::Depth) } else { Ok(()) }
    }

    fn whole(&mut self) -> Parsed<Expr> {
        let expr = self.expression()?;
        if self.peek().kind == TokenKind::End { Ok(expr) } else { Err(Stop::Syntax) }
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.deeper()?;
        let expr = self.conditional();
        self.depth -= 1;
        expr
    }

    fn conditional(&mut self) -> Parsed<Expr> {
        let condition = self.binary(0)?;
        let Some(question) = self.take("?") else { return Ok(condition) };
        let truthy = self.binary(0)?;
        self.expect(":")?;
        let falsy = self.expression()?;
        Ok(self.call(question.start, operator::CONDITIONAL, vec![condition, truthy, falsy]))
    }

    /// Operators of at least a rank, by climbing. `a && b && c` is one call with three arguments.
    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let depth = self.depth;
        let mut left = self.unary()?;
        while let Some((symbol, function, rank)) = self.operator(least) {
            let at = self.advance();
            let mut terms = vec![left, self.binary(rank + 1)?];
            if rank <= AND {
                while self.take(symbol).is_some() {
                    terms.push(self.binary(rank + 1)?);
                }
            } else {
                self.deeper()?;
            }
            left = self.call(at.start, function, terms);
        }
        self.depth = depth;
        Ok(left)
    }

    /// The operator that comes next, if it binds closely enough.
    fn operator(&self, least: u8) -> Option<Operator> {
        OPERATORS.into_iter().find(|(symbol, _, rank)| *rank >= least && self.at_symbol(symbol))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        for (symbol, function) in [("!", operator::NOT), ("-", operator::NEGATE)] {
            let Some(first) = self.take(symbol) else { continue };
            let number = matches!(self.peek().kind, TokenKind::Int | TokenKind::Float);
            if symbol == "-" && number {
                let token = self.advance();
                let literal = self.number(first.start, token, true);
                return self.members(literal);
            }
            let mut count = 1;
            while self.take(symbol).is_some() {
                count += 1;
            }
            let operand = self.member()?;
            // Two of them cancel.
            return Ok(if count % 2 == 0 { operand } else { self.call(first.start, function, vec![operand]) });
        }
        self.member()
    }

    fn member(&mut self) -> Parsed<Expr> {
        let primary = self.primary()?;
        self.members(primary)
    }

    /// Selections, calls and indexes after what they are done to.
    fn members(&mut self, mut operand: Expr) -> Parsed<Expr> {
        let depth = self.depth;
        loop {
            if let Some(dot) = self.take(".") {
                self.deeper()?;
                operand = self.selected(operand, dot)?;
            } else if let Some(bracket) = self.take("[") {
                self.deeper()?;
                let optional = self.take("?").is_some();
                let index = self.expression()?;
                self.expect("]")?;
                let function = if optional { operator::OPTIONAL_INDEX } else { operator::INDEX };
                operand = self.call(bracket.start, function, vec![operand, index]);
            } else {
                self.depth = depth;
                return Ok(operand);
            }
        }
    }

    fn selected(&mut self, operand: Expr, dot: Token) -> Parsed<Expr> {
        let optional = self.take("?").is_some();
        let name = self.peek();
        let is_escaped = name.kind == TokenKind::Escaped;
        if name.kind != TokenKind::Ident && !is_escaped {
            return Err(Stop::Syntax);
        }
        self.advance();
        let field = self.name(name);
        if optional {
            let field = self.literal(name.start, Literal::String(field.to_owned()));
            return Ok(self.call(dot.start, operator::OPTIONAL_SELECT, vec![operand, field]));
        }
        if !is_escaped && let Some(open) = self.take("(") {
            let args = self.arguments()?;
            return Ok(self.member_call(open.start, operand, field, args));
        }
        let kind = Kind::Select { operand: Box::new(operand), field: field.to_owned(), test_only: false };
        Ok(self.node(dot.start, kind))
    }

    /// What follows an open parenthesis, up to the one that closes it.
    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        if self.take(")").is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expression()?);
            if self.take(",").is_some() {
                continue;
            }
            self.expect(")")?;
            return Ok(args);
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        match token.kind {
            TokenKind::Int | TokenKind::Uint | TokenKind::Float | TokenKind::String | TokenKind::Bytes => {
                self.advance();
                Ok(self.number(token.start, token, false))
            }
            TokenKind::Keyword if self.text_of(token) != "in" => {
                self.advance();
                Ok(self.number(token.start, token, false))
            }
            TokenKind::Ident => self.named(token, false),
            TokenKind::Symbol => match self.text_of(token) {
                "(" => {
                    self.advance();
                    let inner = self.expression()?;
                    self.expect(")")?;
                    Ok(inner)
                }
                "[" => self.list(),
                "{" => self.map(),
                "." if self.peek_at(1).kind == TokenKind::Ident => {
                    self.advance();
                    self.named(token, true)
                }
                _ => Err(Stop::Syntax),
            },
            _ => Err(Stop::Syntax),
        }
    }

    /// A literal of any kind, with the sign before it.
    fn number(&mut self, at: usize, token: Token, negative: bool) -> Expr {
        match literal::value(token.kind, self.text_of(token), negative) {
            Ok(value) => self.literal(at, value),
            Err(message) => {
                self.report(at, message);
                self.literal(at, Literal::Null)
            }
        }
    }

    /// An identifier, a call, or the name of a message and its fields.
    fn named(&mut self, first: Token, rooted: bool) -> Parsed<Expr> {
        if let Some((name, at)) = self.message_name(rooted) {
            return self.message(name, at);
        }
        let name = self.advance();
        let mut text = self.text_of(name).to_owned();
        if is_reserved(&text) {
            self.report(first.start, format!("reserved identifier: {text}"));
        }
        if rooted {
            text.insert(0, '.');
        }
        if let Some(open) = self.take("(") {
            let args = self.arguments()?;
            return Ok(self.global_call(open.start, &text, args));
        }
        Ok(self.node(name.start, Kind::Ident(text)))
    }

    /// If a dotted name and an open brace come next, takes them.
    fn message_name(&mut self, rooted: bool) -> Option<(String, usize)> {
        let mut ahead = 0;
        while self.is(self.peek_at(ahead + 1), ".") && self.peek_at(ahead + 2).kind == TokenKind::Ident {
            ahead += 2;
        }
        let brace = self.peek_at(ahead + 1);
        if !self.is(brace, "{") {
            return None;
        }
        let mut name: String = (0..=ahead).map(|index| self.text_of(self.peek_at(index))).collect();
        if rooted {
            name.insert(0, '.');
        }
        self.next += ahead + 2;
        Some((name, brace.start))
    }

    fn message(&mut self, name: String, at: usize) -> Parsed<Expr> {
        let mut fields = Vec::new();
        self.only_comma("}");
        while self.take("}").is_none() {
            let optional = self.take("?").is_some();
            let field = self.advance();
            if !matches!(field.kind, TokenKind::Ident | TokenKind::Escaped) {
                return Err(Stop::Syntax);
            }
            let colon = self.expect(":")?;
            let value = self.expression()?;
            fields.push(FieldInit { at: colon.start, name: self.name(field).to_owned(), value, optional });
            self.end_of_item("}")?;
        }
        Ok(self.node(at, Kind::Struct { name, fields }))
    }

    /// Behind an item comes a comma, or what closes them all.
    fn end_of_item(&mut self, close: &str) -> Parsed<()> {
        if self.take(",").is_some() || self.at_symbol(close) { Ok(()) } else { Err(Stop::Syntax) }
    }

    /// A comma may stand alone where there is no item.
    fn only_comma(&mut self, close: &str) {
        if self.is(self.peek_at(1), close) {
            self.take(",");
        }
    }

    fn list(&mut self) -> Parsed<Expr> {
        let open = self.advance();
        self.only_comma("]");
        let mut items = Vec::new();
        while self.take("]").is_none() {
            let optional = self.take("?").is_some();
            items.push(Item { value: self.expression()?, optional });
            self.end_of_item("]")?;
        }
        Ok(self.node(open.start, Kind::List(items)))
    }

    fn map(&mut self) -> Parsed<Expr> {
        let open = self.advance();
        self.only_comma("}");
        let mut entries = Vec::new();
        while self.take("}").is_none() {
            let optional = self.take("?").is_some();
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            entries.push(MapEntry { key, value, optional });
            self.end_of_item("}")?;
        }
        Ok(self.node(open.start, Kind::Map(entries)))
    }
}
