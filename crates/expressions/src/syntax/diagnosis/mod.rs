//! What upstream says of a text that is no expression.
//!
//! Upstream's parser is generated from its grammar and goes on after an error: it leaves a terminal out, takes one as given, or skips
//! what no rule it is in can go on with. Which errors come after the first, and what each lists as expected, follows from that. So a
//! text that the parser here refuses is walked once more along the same rules, for its errors alone: no tree is built. Nothing of this
//! is done for a text that is an expression.
//!
//! Upstream then makes what tree it can and looks at that as well. Here names and literals are looked at, macros of calls that are not
//! whole are not.
//!
//! Texts are bounded by upstream's limits: so many errors, so many attempts to go on, so many terminals skipped for one.
//! Upstream: antlr.DefaultErrorStrategy, cel-go parser.recoveryLimitErrorStrategy.

mod grammar;
mod lookahead;

use self::grammar::{Edge, Graph, Kind, RULE_COUNT, Rule, State, Terminals};
use self::lookahead::Lookahead;
use super::lexer::{self, Token, TokenKind};
use super::literal;
use super::parser::{MAX_DEPTH, is_reserved};
use crate::source::Issue;

/// So many errors are told of a text at most.
const MOST_ERRORS: usize = 100;
/// So often it is gone on.
const MOST_ATTEMPTS: usize = 30;
/// So many terminals are skipped to go on once.
const MOST_SKIPPED: usize = 256;

/// The errors of a text, in the order in which they are come upon.
pub(super) fn diagnose(text: &str, tokens: &[Token]) -> Vec<Issue> {
    let mut walk = Walk {
        text,
        tokens,
        graph: Graph::get(),
        lookahead: Lookahead::default(),
        next: 0,
        state: 0,
        outer: Vec::new(),
        depths: [0; RULE_COUNT],
        recovering: false,
        last: None,
        attempts: 0,
        syntax: Vec::new(),
        meaning: Vec::new(),
    };
    match walk.rule(Rule::Start, 0) {
        // Upstream makes a tree of what there is, and finds more.
        Ok(()) => walk.syntax.append(&mut walk.meaning),
        Err(Stop(Some(message))) => walk.syntax.push(Issue { at: None, message }),
        Err(Stop(None)) => {}
    }
    walk.syntax
}

/// The walk ends; an error that has no place is told, all others are.
struct Stop(Option<String>);

/// Why a rule is not gone on with.
enum Failure {
    /// What comes next cannot.
    Mismatch,
    /// None of several ways fits; so many terminals fitted.
    NoWay(usize),
    Stop(Stop),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        Failure::Stop(stop)
    }
}

struct Walk<'t> {
    text: &'t str,
    tokens: &'t [Token],
    graph: &'static Graph,
    lookahead: Lookahead,
    next: usize,
    state: State,
    /// Where the rules are gone on with that this one is in.
    outer: Vec<State>,
    /// How often each rule is entered.
    depths: [usize; RULE_COUNT],
    /// After an error none is told until something fits.
    recovering: bool,
    /// Where it was gone on last, and from which places in the rules.
    last: Option<(usize, Vec<State>)>,
    attempts: usize,
    syntax: Vec<Issue>,
    meaning: Vec<Issue>,
}

impl Walk<'_> {
    fn token(&self, ahead: usize) -> Token {
        self.tokens[(self.next + ahead).min(self.tokens.len() - 1)]
    }

    fn terminal(&self, ahead: usize) -> Terminals {
        let token = self.token(ahead);
        Terminals::of(match token.kind {
            TokenKind::End => "<EOF>",
            TokenKind::Symbol | TokenKind::Keyword => &self.text[token.start..token.end],
            TokenKind::Float => "NUM_FLOAT",
            TokenKind::Int => "NUM_INT",
            TokenKind::Uint => "NUM_UINT",
            TokenKind::String => "STRING",
            TokenKind::Bytes => "BYTES",
            TokenKind::Ident => "IDENTIFIER",
            TokenKind::Escaped => "ESC_IDENTIFIER",
        })
    }

    fn consume(&mut self) {
        if self.token(0).kind != TokenKind::End {
            self.next += 1;
        }
    }

    /// A text as errors show it.
    fn quoted(text: &str) -> String {
        format!("'{}'", text.replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r"))
    }

    fn shown(&self) -> String {
        let token = self.token(0);
        if token.kind == TokenKind::End {
            "'<EOF>'".to_owned()
        } else {
            Walk::quoted(&self.text[token.start..token.end])
        }
    }

    /// The text from a token to one ahead of it.
    fn text_of(&self, first: usize, ahead: usize) -> String {
        let last = (first + ahead).min(self.tokens.len() - 1);
        let mut text = String::new();
        for pair in self.tokens[first..=last].windows(2) {
            text.push_str(&self.text[pair[0].start..pair[0].end]);
            text.push_str(&lexer::hidden(&self.text[pair[0].end..pair[1].start]));
        }
        text + &self.text[self.tokens[last].start..self.tokens[last].end]
    }

    /// Tells an error, unless it follows from another.
    fn report(&mut self, at: usize, message: impl FnOnce(&Self) -> String) -> Result<(), Stop> {
        if std::mem::replace(&mut self.recovering, true) {
            return Ok(());
        }
        if self.syntax.len() >= MOST_ERRORS {
            self.syntax.push(Issue::new(at, format!("Syntax error: More than {MOST_ERRORS} syntax errors")));
            return Err(Stop(None));
        }
        let message = format!("Syntax error: {}", message(self));
        self.syntax.push(Issue::new(at, message));
        Ok(())
    }

    fn expected(&self) -> Terminals {
        self.graph.next_within(self.state, &self.outer)
    }

    /// A rule, from its beginning to its end or to where it is left for an error.
    fn rule(&mut self, rule: Rule, rank: u8) -> Result<(), Stop> {
        let depth = &mut self.depths[rule as usize];
        *depth += 1;
        if *depth > MAX_DEPTH {
            return Err(Stop(Some(format!("expression recursion limit exceeded: {MAX_DEPTH}"))));
        }
        self.state = self.graph.starts[rule as usize];
        while self.graph.nodes[self.state].kind != Kind::End {
            match self.step(rank) {
                Ok(()) => {}
                Err(Failure::Stop(stop)) => return Err(stop),
                Err(failure) => {
                    self.tell(&failure)?;
                    self.recover()?;
                    break;
                }
            }
        }
        self.depths[rule as usize] -= 1;
        Ok(())
    }

    fn step(&mut self, rank: u8) -> Result<(), Failure> {
        self.synchronize()?;
        let node = &self.graph.nodes[self.state];
        let edge = if node.edges.len() > 1 { node.edges[self.choose(rank)?] } else { node.edges[0] };
        match edge {
            Edge::Free(state) | Edge::Rank(_, state) => self.state = state,
            Edge::Over(terminals, state) => {
                self.take(terminals, state)?;
                self.state = state;
            }
            Edge::Through(rule, rank, behind) => {
                let (first, within) = (self.next, node.rule);
                self.outer.push(behind);
                self.rule(rule, rank)?;
                self.outer.pop();
                self.look_at(rule, within, first);
                self.state = behind;
            }
        }
        Ok(())
    }

    /// The way to take from a place with several.
    fn choose(&mut self, rank: u8) -> Result<usize, Failure> {
        let node = &self.graph.nodes[self.state];
        let Some(ways) = &node.told_apart else {
            let (graph, place) = (self.graph, (self.state, rank));
            let mut lookahead = std::mem::take(&mut self.lookahead);
            let way = lookahead.way(graph, place, |ahead| self.terminal(ahead));
            self.lookahead = lookahead;
            return way.map_err(Failure::NoWay);
        };
        let terminal = self.terminal(0);
        let found = ways.iter().position(|way| way.meets(terminal));
        found.or_else(|| node.passes.then_some(ways.len() - 1)).ok_or(Failure::NoWay(0))
    }

    /// Where ways part: what fits nowhere is left out, if what comes behind it fits.
    fn synchronize(&mut self) -> Result<(), Failure> {
        let kind = self.graph.nodes[self.state].kind;
        if self.recovering || !matches!(kind, Kind::Branch | Kind::Again) {
            return Ok(());
        }
        let next = self.graph.next(self.state);
        if next.may_be_over() || next.meets(self.terminal(0)) {
            return Ok(());
        }
        if kind == Kind::Again {
            self.report_unwanted()?;
            let fits = self.expected().with(self.fits_outside());
            self.skip_to(fits, usize::MAX)?;
            return Ok(());
        }
        if self.leave_one_out()? { Ok(()) } else { Err(Failure::Mismatch) }
    }

    fn report_unwanted(&mut self) -> Result<(), Stop> {
        self.report(self.token(0).start, |walk| {
            format!("extraneous input {} expecting {}", walk.shown(), walk.expected().shown())
        })
    }

    /// Leaves the next token out if the one behind it fits.
    fn leave_one_out(&mut self) -> Result<bool, Stop> {
        if !self.expected().meets(self.terminal(1)) {
            return Ok(false);
        }
        self.report_unwanted()?;
        self.consume();
        self.fitted();
        Ok(true)
    }

    fn fitted(&mut self) {
        self.recovering = false;
        self.last = None;
    }

    /// One of these terminals: the next one, the one behind it, or one that is missing.
    fn take(&mut self, terminals: Terminals, behind: State) -> Result<(), Failure> {
        if terminals.meets(self.terminal(0)) {
            self.fitted();
            self.consume();
            return Ok(());
        }
        self.attempt()?;
        if self.leave_one_out()? {
            self.consume();
            return Ok(());
        }
        if self.graph.next_within(behind, &self.outer).meets(self.terminal(0)) {
            self.report(self.token(0).start, |walk| {
                format!("missing {} at {}", walk.expected().shown(), walk.shown())
            })?;
            return Ok(());
        }
        Err(Failure::Mismatch)
    }

    fn attempt(&mut self) -> Result<(), Stop> {
        if self.attempts == MOST_ATTEMPTS {
            let message = format!("Syntax error: error recovery attempt limit exceeded: {MOST_ATTEMPTS}");
            self.syntax.push(Issue::new(self.token(0).start, message));
            return Err(Stop(None));
        }
        self.attempts += 1;
        Ok(())
    }

    fn tell(&mut self, failure: &Failure) -> Result<(), Stop> {
        let start = self.token(0);
        match failure {
            Failure::Mismatch => self.report(start.start, |walk| {
                format!("mismatched input {} expecting {}", walk.shown(), walk.expected().shown())
            }),
            Failure::NoWay(ahead) => {
                let end = self.token(*ahead);
                self.report(end.start, |walk| match start.kind {
                    TokenKind::End => "no viable alternative at input '<EOF>'".to_owned(),
                    _ => match walk.text_of(walk.next, *ahead).as_str() {
                        ".true" | ".false" | ".null" => {
                            format!("mismatched input '{}' expecting IDENTIFIER", &walk.text[end.start..end.end])
                        }
                        input => format!("no viable alternative at input {}", Walk::quoted(input)),
                    },
                })
            }
            Failure::Stop(_) => Ok(()),
        }
    }

    /// Skips what none of the rules can go on with that this one is in.
    fn recover(&mut self) -> Result<(), Stop> {
        self.attempt()?;
        let again = |(at, states): &(usize, Vec<State>)| *at == self.next && states.contains(&self.state);
        let mut skipped = 0;
        if self.last.as_ref().is_some_and(again) {
            // Nothing was taken since: at least one goes.
            self.consume();
            skipped = 1;
        }
        let (_, mut states) = self.last.take().unwrap_or_default();
        states.push(self.state);
        self.last = Some((self.next, states));
        self.skip_to(self.fits_outside(), MOST_SKIPPED - skipped)
    }

    fn fits_outside(&self) -> Terminals {
        self.outer.iter().fold(Terminals::default(), |fits, state| fits.with(self.graph.next(*state)))
    }

    fn skip_to(&mut self, fits: Terminals, most: usize) -> Result<(), Stop> {
        let mut skipped = 0;
        while self.token(0).kind != TokenKind::End && !fits.meets(self.terminal(0)) {
            if skipped == most {
                return Err(Stop(Some(format!("error recovery token lookahead limit exceeded: {MOST_SKIPPED}"))));
            }
            self.consume();
            skipped += 1;
        }
        Ok(())
    }

    /// What upstream finds in a part of the tree it has made of such a text: the tokens of a rule, from `first` on.
    fn look_at(&mut self, rule: Rule, within: Rule, first: usize) {
        let tokens = &self.tokens[first..self.next];
        let text = |token: &Token| &self.text[token.start..token.end];
        let at = self.tokens[first].start;
        let message = match (rule, tokens) {
            (Rule::Primary, [dot, name, rest @ ..]) if text(dot) == "." => self.reserved(name, rest),
            (Rule::Primary, [name, rest @ ..]) => self.reserved(name, rest),
            (Rule::Literal, [sign, number]) if text(sign) == "-" => {
                literal::value(number.kind, text(number), true).err().map(str::to_owned)
            }
            (Rule::Literal, [token]) => literal::value(token.kind, text(token), false).err().map(str::to_owned),
            (Rule::Name, tokens) if within == Rule::Member => {
                let named = tokens.iter().any(|token| matches!(token.kind, TokenKind::Ident | TokenKind::Escaped));
                (!named).then(|| "unsupported ident kind".to_owned())
            }
            _ => None,
        };
        self.meaning.extend(message.map(|message| Issue::new(at, message)));
    }

    /// Of a name that is no name of a message: nothing or arguments come behind it.
    fn reserved(&self, name: &Token, rest: &[Token]) -> Option<String> {
        let text = |token: &Token| &self.text[token.start..token.end];
        let is_reserved = name.kind == TokenKind::Ident && is_reserved(text(name));
        let stands_alone = rest.first().is_none_or(|next| text(next) == "(");
        (is_reserved && stands_alone).then(|| format!("reserved identifier: {}", text(name)))
    }
}
