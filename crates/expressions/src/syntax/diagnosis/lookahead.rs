//! Which of several ways goes on with the text: as many terminals are looked at as that takes.
//!
//! All ways are followed at once, a [`Thread`] each. What lies outside the rule in which the choice is made is not known here: a thread
//! that leaves it goes on wherever that rule is used. What was found is kept for the next time, by the terminals that were seen.
//! Upstream: the SLL stage of antlr.ParserATNSimulator. Its second stage, which knows what lies outside, decides nothing else for this
//! grammar: where threads of two ways become the same, the first of them is meant.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::grammar::{Edge, Graph, Kind, State, Terminals};

/// Where to go on behind the rules that were entered, the innermost first.
type Stack = Option<Rc<Frame>>;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Frame {
    behind: State,
    below: Stack,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Thread {
    way: usize,
    state: State,
    stack: Stack,
    /// Has it left the rule in which the choice is made?
    outside: bool,
}

/// What is known after some terminals.
struct Seen {
    threads: Vec<Thread>,
    next: Vec<(Terminals, Next)>,
}

#[derive(Clone, Copy)]
enum Next {
    Way(usize),
    /// Nothing goes on; what was over before it may have been meant.
    Stuck(Option<usize>),
    Open(usize),
}

/// Choices that were made.
#[derive(Default)]
pub(super) struct Lookahead {
    seen: Vec<Seen>,
    /// By place and rank.
    first: HashMap<(State, u8), usize>,
}

impl Lookahead {
    /// The way to take from a place in a rule of at least `rank`, or how many terminals on none is left.
    pub(super) fn way(
        &mut self,
        graph: &Graph,
        (state, rank): (State, u8),
        terminals: impl Fn(usize) -> Terminals,
    ) -> Result<usize, usize> {
        let mut at = match self.first.get(&(state, rank)) {
            Some(at) => *at,
            None => {
                let at = self.keep(start(graph, state, rank));
                self.first.insert((state, rank), at);
                at
            }
        };
        let mut ahead = 0;
        loop {
            match self.after(graph, at, terminals(ahead)) {
                Next::Way(way) | Next::Stuck(Some(way)) => return Ok(way),
                Next::Stuck(None) => return Err(ahead),
                Next::Open(next) => at = next,
            }
            ahead += 1;
        }
    }

    fn keep(&mut self, threads: Vec<Thread>) -> usize {
        self.seen.push(Seen { threads, next: Vec::new() });
        self.seen.len() - 1
    }

    fn after(&mut self, graph: &Graph, at: usize, terminal: Terminals) -> Next {
        if let Some((_, next)) = self.seen[at].next.iter().find(|(seen, _)| *seen == terminal) {
            return *next;
        }
        let before = &self.seen[at].threads;
        let mut threads = Threads { graph, rank: None, found: Vec::new(), seen: HashSet::new() };
        for thread in before {
            for edge in &graph.nodes[thread.state].edges {
                if let Edge::Over(fits, to) = edge
                    && fits.meets(terminal)
                {
                    threads.follow(Thread { state: *to, ..thread.clone() });
                }
            }
        }
        let threads = threads.found;
        let next = match threads.first() {
            None => Next::Stuck(before.iter().filter(|thread| thread.outside).map(|thread| thread.way).min()),
            Some(first) if threads.iter().all(|thread| thread.way == first.way) => Next::Way(first.way),
            Some(_) if is_settled(&threads) => {
                Next::Way(threads.iter().map(|thread| thread.way).min().unwrap_or_default())
            }
            Some(_) => Next::Open(self.keep(threads)),
        };
        self.seen[at].next.push((terminal, next));
        next
    }
}

/// Are threads of several ways the same from here on, and is no place left that only one way has come to?
/// Upstream: PredictionModehasSLLConflictTerminatingPrediction.
fn is_settled(threads: &[Thread]) -> bool {
    let mut at_place: HashMap<(State, &Stack), usize> = HashMap::new();
    let mut at_state: HashMap<State, (usize, bool)> = HashMap::new();
    let mut same = false;
    for Thread { way, state, stack, .. } in threads {
        same |= at_place.insert((*state, stack), *way).is_some_and(|other| other != *way);
        let (first, several) = at_state.entry(*state).or_insert((*way, false));
        *several |= *first != *way;
    }
    same && at_state.values().all(|(_, several)| *several)
}

fn start(graph: &Graph, state: State, rank: u8) -> Vec<Thread> {
    let mut threads = Threads { graph, rank: Some(rank), found: Vec::new(), seen: HashSet::new() };
    for (way, edge) in graph.nodes[state].edges.iter().enumerate() {
        threads.over(&Thread { way, state, stack: None, outside: false }, *edge);
    }
    threads.found
}

/// Threads that wait for a terminal.
struct Threads<'g> {
    graph: &'g Graph,
    /// In the rule of the choice, before any terminal, ways of a lower rank are closed.
    rank: Option<u8>,
    found: Vec<Thread>,
    seen: HashSet<Thread>,
}

impl Threads<'_> {
    fn follow(&mut self, thread: Thread) {
        if !self.seen.insert(thread.clone()) {
            return;
        }
        let graph = self.graph;
        let node = &graph.nodes[thread.state];
        if node.kind == Kind::End {
            return self.leave(&thread, &graph.follows[node.rule as usize]);
        }
        for edge in &node.edges {
            self.over(&thread, *edge);
        }
    }

    fn over(&mut self, thread: &Thread, edge: Edge) {
        let Thread { way, ref stack, outside, .. } = *thread;
        match edge {
            Edge::Over(..) => {
                if !self.found.contains(thread) {
                    self.found.push(thread.clone());
                }
            }
            Edge::Free(state) => self.follow(Thread { way, state, stack: stack.clone(), outside }),
            Edge::Rank(rank, state) => {
                let here = stack.is_none() && !outside;
                if !here || self.rank.is_none_or(|least| rank >= least) {
                    self.follow(Thread { way, state, stack: stack.clone(), outside });
                }
            }
            Edge::Through(rule, _, behind) => {
                let stack = Some(Rc::new(Frame { behind, below: stack.clone() }));
                self.follow(Thread { way, state: self.graph.starts[rule as usize], stack, outside });
            }
        }
    }

    /// Goes on behind a rule. Behind that of the whole text nothing is left.
    fn leave(&mut self, thread: &Thread, anywhere: &[State]) {
        match &thread.stack {
            Some(frame) => self.follow(Thread { state: frame.behind, stack: frame.below.clone(), ..thread.clone() }),
            None if anywhere.is_empty() => self.found.push(Thread { outside: true, ..thread.clone() }),
            None => {
                for state in anywhere {
                    self.follow(Thread { way: thread.way, state: *state, stack: None, outside: true });
                }
            }
        }
    }
}
