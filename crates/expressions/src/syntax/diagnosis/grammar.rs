//! The grammar as a table, and the graph that is walked by it.
//!
//! The parser needs neither. The sentences about syntax errors do: they list what could have come instead, and go on where a
//! walk along these rules would. No rule is empty, which is what [`Graph::next`] relies on.
//! Upstream: parser/gen/CEL.g4.

use std::sync::OnceLock;

/// Terminals by number, as upstream numbers them: lists of what is expected are in this order.
const NAMES: [&str; 36] = [
    "<EOF>",
    "==",
    "!=",
    "in",
    "<",
    "<=",
    ">=",
    ">",
    "&&",
    "||",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ".",
    ",",
    "-",
    "!",
    "?",
    ":",
    "+",
    "*",
    "/",
    "%",
    "true",
    "false",
    "null",
    "NUM_FLOAT",
    "NUM_INT",
    "NUM_UINT",
    "STRING",
    "BYTES",
    "IDENTIFIER",
    "ESC_IDENTIFIER",
];

/// Where the names of kinds begin, which are shown without quotes.
const KINDS: usize = 29;

/// A set of terminals, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Terminals(u64);

impl Terminals {
    /// The end of the text.
    pub(super) const END: Terminals = Terminals(1);
    /// No terminal: the rule may be over.
    const OVER: Terminals = Terminals(1 << 63);

    /// The terminal of a symbol, a keyword or the name of a kind.
    pub(super) fn of(name: &str) -> Terminals {
        NAMES.iter().position(|known| *known == name).map_or(Terminals(0), |number| Terminals(1 << number))
    }

    pub(super) fn with(self, other: Terminals) -> Terminals {
        Terminals(self.0 | other.0)
    }

    fn without(self, other: Terminals) -> Terminals {
        Terminals(self.0 & !other.0)
    }

    pub(super) fn meets(self, other: Terminals) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn may_be_over(self) -> bool {
        self.meets(Terminals::OVER)
    }

    /// As sentences say it: one by itself, several in braces.
    pub(super) fn shown(self) -> String {
        let members = NAMES.iter().enumerate().filter(|(number, _)| self.0 >> number & 1 == 1);
        let shown = members.map(|(number, name)| match number {
            1..KINDS => format!("'{name}'"),
            _ => (*name).to_owned(),
        });
        let shown: Vec<String> = shown.collect();
        if shown.len() == 1 { shown.concat() } else { format!("{{{}}}", shown.join(", ")) }
    }
}

/// The names of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Start,
    Expr,
    Or,
    And,
    Relation,
    Calc,
    Unary,
    Member,
    Primary,
    Exprs,
    Items,
    Fields,
    Field,
    Entries,
    Name,
    Item,
    Literal,
}

pub(super) const RULE_COUNT: usize = 17;

/// Something of a rule.
enum Part {
    /// One of these.
    Is(&'static [&'static str]),
    /// What a rule says; of a rule of operators, those of at least a rank.
    A(Rule, u8),
    Maybe(&'static [Part]),
    AnyNumber(&'static [Part]),
    AtLeastOne(&'static [Part]),
}

enum Shape {
    Sequence(&'static [Part]),
    Choice(&'static [&'static [Part]]),
    /// Something, and then any number of continuations, each with its rank.
    Continued(Part, &'static [(u8, &'static [Part])]),
}

use Part::{A, AnyNumber, AtLeastOne, Is, Maybe};

const EXPR: Part = A(Rule::Expr, 0);
const COMMA: Part = Is(&[","]);
const COLON: Part = Is(&[":"]);
const IDENT: Part = Is(&["IDENTIFIER"]);
const OPTIONAL: Part = Maybe(&[Is(&["?"])]);
const ROOTED: Part = Maybe(&[Is(&["."])]);
const SIGN: Part = Maybe(&[Is(&["-"])]);
const ARGUMENTS: Part = Maybe(&[A(Rule::Exprs, 0)]);
const TRAILING: Part = Maybe(&[COMMA]);

const RULES: [(Rule, Shape); RULE_COUNT] = [
    (Rule::Start, Shape::Sequence(&[EXPR, Is(&["<EOF>"])])),
    (Rule::Expr, Shape::Sequence(&[A(Rule::Or, 0), Maybe(&[Is(&["?"]), A(Rule::Or, 0), COLON, EXPR])])),
    (Rule::Or, Shape::Sequence(&[A(Rule::And, 0), AnyNumber(&[Is(&["||"]), A(Rule::And, 0)])])),
    (Rule::And, Shape::Sequence(&[A(Rule::Relation, 0), AnyNumber(&[Is(&["&&"]), A(Rule::Relation, 0)])])),
    (
        Rule::Relation,
        Shape::Continued(
            A(Rule::Calc, 0),
            &[(1, &[Is(&["<", "<=", ">=", ">", "==", "!=", "in"]), A(Rule::Relation, 2)])],
        ),
    ),
    (
        Rule::Calc,
        Shape::Continued(
            A(Rule::Unary, 0),
            &[(2, &[Is(&["*", "/", "%"]), A(Rule::Calc, 3)]), (1, &[Is(&["+", "-"]), A(Rule::Calc, 2)])],
        ),
    ),
    (
        Rule::Unary,
        Shape::Choice(&[
            &[A(Rule::Member, 0)],
            &[AtLeastOne(&[Is(&["!"])]), A(Rule::Member, 0)],
            &[AtLeastOne(&[Is(&["-"])]), A(Rule::Member, 0)],
        ]),
    ),
    (
        Rule::Member,
        Shape::Continued(
            A(Rule::Primary, 0),
            &[
                (3, &[Is(&["."]), OPTIONAL, A(Rule::Name, 0)]),
                (2, &[Is(&["."]), IDENT, Is(&["("]), ARGUMENTS, Is(&[")"])]),
                (1, &[Is(&["["]), OPTIONAL, EXPR, Is(&["]"])]),
            ],
        ),
    ),
    (
        Rule::Primary,
        Shape::Choice(&[
            &[ROOTED, IDENT],
            &[ROOTED, IDENT, Is(&["("]), ARGUMENTS, Is(&[")"])],
            &[Is(&["("]), EXPR, Is(&[")"])],
            &[Is(&["["]), Maybe(&[A(Rule::Items, 0)]), TRAILING, Is(&["]"])],
            &[Is(&["{"]), Maybe(&[A(Rule::Entries, 0)]), TRAILING, Is(&["}"])],
            &[
                ROOTED,
                IDENT,
                AnyNumber(&[Is(&["."]), IDENT]),
                Is(&["{"]),
                Maybe(&[A(Rule::Fields, 0)]),
                TRAILING,
                Is(&["}"]),
            ],
            &[A(Rule::Literal, 0)],
        ]),
    ),
    (Rule::Exprs, Shape::Sequence(&[EXPR, AnyNumber(&[COMMA, EXPR])])),
    (Rule::Items, Shape::Sequence(&[A(Rule::Item, 0), AnyNumber(&[COMMA, A(Rule::Item, 0)])])),
    (
        Rule::Fields,
        Shape::Sequence(&[A(Rule::Field, 0), COLON, EXPR, AnyNumber(&[COMMA, A(Rule::Field, 0), COLON, EXPR])]),
    ),
    (Rule::Field, Shape::Sequence(&[OPTIONAL, A(Rule::Name, 0)])),
    (
        Rule::Entries,
        Shape::Sequence(&[A(Rule::Item, 0), COLON, EXPR, AnyNumber(&[COMMA, A(Rule::Item, 0), COLON, EXPR])]),
    ),
    (Rule::Name, Shape::Choice(&[&[IDENT], &[Is(&["ESC_IDENTIFIER"])]])),
    (Rule::Item, Shape::Sequence(&[OPTIONAL, EXPR])),
    (
        Rule::Literal,
        Shape::Choice(&[
            &[SIGN, Is(&["NUM_INT"])],
            &[Is(&["NUM_UINT"])],
            &[SIGN, Is(&["NUM_FLOAT"])],
            &[Is(&["STRING"])],
            &[Is(&["BYTES"])],
            &[Is(&["true"])],
            &[Is(&["false"])],
            &[Is(&["null"])],
        ]),
    ),
];

/// A place in a rule.
pub(super) type State = usize;

/// A way from one place to the next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edge {
    Free(State),
    /// Over one of these terminals.
    Over(Terminals, State),
    /// Through a rule, and then on.
    Through(Rule, u8, State),
    /// Open while operators of this rank are asked for.
    Rank(u8, State),
}

/// What is done about a terminal that cannot come at a place, before a way is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing yet.
    Plain,
    /// It is skipped if the next fits; else the rule fails.
    Branch,
    /// All up to one that fits are skipped.
    Again,
    /// The rule ends here.
    End,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) edges: Vec<Edge>,
    pub(super) rule: Rule,
    /// For each way what it can begin with, if that alone tells them apart.
    pub(super) told_apart: Option<Vec<Terminals>>,
    /// Does the last way only pass by the others?
    pub(super) passes: bool,
}

/// All rules as one graph.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// Where each rule begins.
    pub(super) starts: Vec<State>,
    /// Where it is gone on behind each rule, all over the grammar.
    pub(super) follows: Vec<Vec<State>>,
}

impl Graph {
    pub(super) fn get() -> &'static Graph {
        static GRAPH: OnceLock<Graph> = OnceLock::new();
        GRAPH.get_or_init(Graph::new)
    }

    fn new() -> Graph {
        let (starts, follows) = (vec![0; RULE_COUNT], vec![Vec::new(); RULE_COUNT]);
        let mut graph = Graph { nodes: Vec::new(), starts, follows };
        for (rule, shape) in &RULES {
            let rule = *rule;
            let (start, end) = (graph.node(rule, Kind::Plain), graph.node(rule, Kind::End));
            graph.starts[rule as usize] = start;
            match shape {
                Shape::Sequence(parts) => {
                    let last = graph.parts(parts, start);
                    graph.join(last, Edge::Free(end));
                }
                Shape::Choice(choices) => {
                    let choice = graph.node(rule, Kind::Branch);
                    graph.join(start, Edge::Free(choice));
                    for parts in *choices {
                        graph.way(parts, choice, end);
                    }
                }
                Shape::Continued(first, continuations) => {
                    let first = graph.part(first, start);
                    let entry = graph.node(rule, Kind::Branch);
                    graph.join(first, Edge::Free(entry));
                    let inner = graph.node(rule, if continuations.len() > 1 { Kind::Branch } else { Kind::Plain });
                    let again = graph.node(rule, Kind::Again);
                    graph.join(entry, Edge::Free(inner));
                    graph.join(entry, Edge::Free(end));
                    graph.join(again, Edge::Free(entry));
                    for (rank, parts) in *continuations {
                        let open = graph.node(rule, Kind::Plain);
                        graph.join(inner, Edge::Rank(*rank, open));
                        let last = graph.parts(parts, open);
                        graph.join(last, Edge::Free(again));
                    }
                }
            }
        }
        for state in 0..graph.nodes.len() {
            graph.nodes[state].told_apart = graph.apart(state);
        }
        graph
    }

    fn node(&mut self, rule: Rule, kind: Kind) -> State {
        self.nodes.push(Node { kind, edges: Vec::new(), rule, told_apart: None, passes: false });
        self.nodes.len() - 1
    }

    fn join(&mut self, from: State, edge: Edge) {
        self.nodes[from].edges.push(edge);
    }

    /// The last way on from a place, by what is optional or was repeated.
    fn pass(&mut self, from: State, to: State) {
        self.join(from, Edge::Free(to));
        self.nodes[from].passes = true;
    }

    /// One of several ways between two places.
    fn way(&mut self, parts: &[Part], from: State, to: State) {
        let first = self.node(self.nodes[from].rule, Kind::Plain);
        self.join(from, Edge::Free(first));
        let last = self.parts(parts, first);
        self.join(last, Edge::Free(to));
    }

    /// Adds parts one behind the other; the place behind them.
    fn parts(&mut self, parts: &[Part], from: State) -> State {
        parts.iter().fold(from, |from, part| self.part(part, from))
    }

    fn part(&mut self, part: &Part, from: State) -> State {
        let rule = self.nodes[from].rule;
        let behind = self.node(rule, Kind::Plain);
        match part {
            Is(names) => {
                let terminals = names.iter().fold(Terminals::default(), |all, name| all.with(Terminals::of(name)));
                self.join(from, Edge::Over(terminals, behind));
            }
            A(other, rank) => {
                self.follows[*other as usize].push(behind);
                self.join(from, Edge::Through(*other, *rank, behind));
            }
            Maybe(parts) => {
                let branch = self.node(rule, Kind::Branch);
                self.join(from, Edge::Free(branch));
                self.way(parts, branch, behind);
                self.pass(branch, behind);
            }
            AnyNumber(parts) => {
                let (entry, again) = (self.node(rule, Kind::Branch), self.node(rule, Kind::Again));
                self.join(from, Edge::Free(entry));
                self.way(parts, entry, again);
                self.pass(entry, behind);
                self.join(again, Edge::Free(entry));
            }
            AtLeastOne(parts) => {
                let (entry, again) = (self.node(rule, Kind::Branch), self.node(rule, Kind::Again));
                self.join(from, Edge::Free(entry));
                self.way(parts, entry, again);
                self.join(again, Edge::Free(entry));
                self.pass(again, behind);
            }
        }
        behind
    }

    /// What can come at a place, as far as its rule says.
    pub(super) fn next(&self, state: State) -> Terminals {
        let mut found = Terminals::default();
        let (mut open, mut seen) = (vec![state], vec![false; self.nodes.len()]);
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut seen[state], true) {
                continue;
            }
            if self.nodes[state].kind == Kind::End {
                found = found.with(Terminals::OVER);
            }
            for edge in &self.nodes[state].edges {
                match edge {
                    Edge::Over(terminals, _) => found = found.with(*terminals),
                    Edge::Through(rule, ..) => open.push(self.starts[*rule as usize]),
                    Edge::Free(to) | Edge::Rank(_, to) => open.push(*to),
                }
            }
        }
        found
    }

    /// What can come at a place within rules that are gone on with at `outer`, the innermost last.
    pub(super) fn next_within(&self, state: State, outer: &[State]) -> Terminals {
        let mut found = self.next(state);
        for state in outer.iter().rev() {
            if !found.may_be_over() {
                return found;
            }
            found = found.without(Terminals::OVER).with(self.next(*state));
        }
        if found.may_be_over() { found.without(Terminals::OVER).with(Terminals::END) } else { found }
    }

    /// What can come at a place wherever its rule is used.
    fn next_anywhere(&self, state: State) -> Terminals {
        let mut found = Terminals::default();
        let (mut open, mut seen) = (vec![state], Vec::new());
        while let Some(state) = open.pop() {
            if seen.contains(&state) {
                continue;
            }
            seen.push(state);
            let next = self.next(state);
            found = found.with(next.without(Terminals::OVER));
            if next.may_be_over() {
                open.extend(&self.follows[self.nodes[state].rule as usize]);
            }
        }
        found
    }

    /// See [`Node::told_apart`]. Where ranks are asked about, more than the next terminal counts.
    fn apart(&self, state: State) -> Option<Vec<Terminals>> {
        let mut all = Terminals::default();
        let ways = self.nodes[state].edges.iter().map(|edge| {
            let Edge::Free(to) = edge else { return None };
            if self.nodes[*to].edges.iter().any(|edge| matches!(edge, Edge::Rank(..))) {
                return None;
            }
            let next = self.next_anywhere(*to);
            let apart = !all.meets(next);
            all = all.with(next);
            apart.then_some(next)
        });
        ways.collect()
    }
}
