//! Input for decoders: a small corpus, spoilt at random from a fixed seed, so that a failure comes again.

/// How many inputs a target gets. `FUZZ_ROUNDS` says; a plain test run has few.
pub(crate) fn rounds() -> usize {
    std::env::var("FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(500)
}

/// No input is longer, however often a piece of it was doubled.
const LONGEST: usize = 64 << 10;
/// Bytes that mean something to one decoder or another, and lengths that end a buffer or a number.
const TELLING: [&[u8]; 20] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\\u0000",
    b"null",
    b"-",
    b"\n",
    b"\t",
    b"*a",
    b"&a ",
    b"1e999",
    b"\x00",
    b"\x7f",
    b"\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
];

/// An endless row of inputs.
pub(crate) struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    /// Spoils these inputs, which are good ones.
    pub(crate) fn new(corpus: impl IntoIterator<Item = Vec<u8>>) -> Mutator {
        let corpus: Vec<Vec<u8>> = corpus.into_iter().collect();
        assert!(!corpus.is_empty(), "there is something to begin with");
        Mutator { state: 0x9e37_79b9_7f4a_7c15, corpus }
    }

    /// A number below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 16) as usize % limit
    }

    /// A range within `length` bytes.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below(length - start + 1)
    }

    fn pick(&mut self) -> Vec<u8> {
        let picked = self.below(self.corpus.len());
        self.corpus[picked].clone()
    }

    /// The next input: an entry of the corpus with one to eight faults.
    pub(crate) fn input(&mut self) -> Vec<u8> {
        let mut bytes = self.pick();
        for _ in 0..=self.below(8) {
            self.spoil(&mut bytes);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.below(256) as u8,
            2 => bytes.truncate(at),
            3 => {
                let gone = self.range(bytes.len());
                bytes.drain(gone);
            }
            4 => {
                let piece = self.range(bytes.len());
                let doubled = bytes[piece].repeat(1 + self.below(3));
                bytes.splice(at..at, doubled);
            }
            5 => {
                let other = self.pick();
                let piece = self.range(other.len());
                bytes.splice(at..at, other[piece].iter().copied());
            }
            6 => {
                let nested = TELLING[self.below(TELLING.len())].repeat(1 << self.below(10));
                bytes.splice(at..at, nested);
            }
            _ => {
                let telling = TELLING[self.below(TELLING.len())];
                bytes.splice(at..at, telling.iter().copied());
            }
        }
    }
}
