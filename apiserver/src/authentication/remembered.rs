//! Answers of those who know tokens, taken at their word for a while. That they could not be asked is not remembered.
//! Upstream: apiserver/pkg/authentication/token/cache.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use futures::future::BoxFuture;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Error;
use super::flights::Flights;
use super::metrics::TokenCache;
use super::tokens::{RemoteTokens, TokenUser};
use crate::webhook::memory::Memory;

/// Upstream: sharedLookupTimeout.
const LIMIT: Duration = Duration::from_secs(30);
/// How many answers are kept.
const CAPACITY: usize = 32 * 1024;

type Answer = Option<TokenUser>;

/// Asks another, and remembers.
#[derive(Debug)]
pub struct Remembered {
    other: Arc<dyn RemoteTokens>,
    /// How long a known token is.
    success: Duration,
    /// How long an unknown one is.
    failure: Duration,
    known: Arc<Memory<Answer>>,
    flights: Flights<String, Result<Answer, Error>>,
    counts: TokenCache,
}

impl Remembered {
    pub(crate) fn new(
        other: Arc<dyn RemoteTokens>,
        success: Duration,
        failure: Duration,
        counts: TokenCache,
    ) -> Remembered {
        let known = Arc::new(Memory::of(CAPACITY));
        Remembered { other, success, failure, known, flights: Flights::default(), counts }
    }

    fn ask(
        &self,
        key: String,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> impl Future<Output = Result<Answer, Error>> + Send + use<> {
        let (other, known) = (Arc::clone(&self.other), Arc::clone(&self.known));
        let (success, failure) = (self.success, self.failure);
        let (token, audiences) = (token.to_owned(), audiences.to_vec());
        let counts = self.counts.clone();
        async move {
            let _fetching = counts.fetching();
            let asking = tokio::time::timeout(LIMIT, other.authenticate_token(&token, &audiences, now));
            let answer = asking.await.unwrap_or_else(|_| Err(Error::Token("context deadline exceeded".to_owned())));
            counts.fetched(answer.is_ok());
            let answer = answer?;
            known.keep(key, answer.clone(), if answer.is_some() { success } else { failure });
            Ok(answer)
        }
    }
}

impl RemoteTokens for Remembered {
    fn authenticate_token<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(async move {
            let began = Instant::now();
            let key = key(token, audiences);
            if let Some(answer) = self.known.get(&key) {
                self.counts.looked_up(true, began.elapsed());
                return Ok(answer);
            }
            let _blocked = self.counts.blocked();
            let ask = || self.ask(key.clone(), token, audiences, now);
            let crashed = || Err(Error::Token("authentication failed unexpectedly".to_owned()));
            let answer = self.flights.join(key.clone(), "question about a token", ask).await;
            self.counts.looked_up(false, began.elapsed());
            answer.unwrap_or_else(crashed)
        })
    }
}

/// Tokens are not kept in memory: a hash stands for one, with the audiences it was asked for.
fn key(token: &str, audiences: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in std::iter::once(token).chain(audiences.iter().map(String::as_str)) {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    HEXLOWER.encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::authentication::{Metrics, UserInfo};

    /// Knows `good`, not `bad`, and cannot say of others; counts how often it is asked.
    #[derive(Debug, Default)]
    struct Oracle(AtomicUsize);

    impl RemoteTokens for Oracle {
        fn authenticate_token<'a>(
            &'a self,
            token: &'a str,
            audiences: &'a [String],
            _now: Timestamp,
        ) -> BoxFuture<'a, Result<Answer, Error>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let user = || TokenUser { user: UserInfo::new("jane", &[]), audiences: audiences.to_vec() };
            let answer = match token {
                "good" => Ok(Some(user())),
                "bad" => Ok(None),
                _ => Err(Error::Token("do not know".to_owned())),
            };
            Box::pin(std::future::ready(answer))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_hold_for_their_time_and_failures_do_not() {
        let oracle = Arc::new(Oracle::default());
        let second = Duration::from_secs(1);
        let metrics = Metrics::default();
        let remembered = Remembered::new(oracle.clone(), 10 * second, 2 * second, metrics.tokens.clone());
        let asked = async |token: &str, audience: &str| {
            let before = oracle.0.load(Ordering::Relaxed);
            let audiences = [audience.to_owned()];
            let _ = remembered.authenticate_token(token, &audiences, Timestamp::UNIX_EPOCH).await;
            oracle.0.load(Ordering::Relaxed) > before
        };
        assert!(asked("good", "a").await && !asked("good", "a").await);
        assert!(asked("good", "b").await, "an answer is for the audiences it was asked for");
        assert!(asked("bad", "a").await && !asked("bad", "a").await);
        assert!(asked("other", "a").await && asked("other", "a").await);
        tokio::time::advance(3 * second).await;
        assert!(asked("bad", "a").await && !asked("good", "a").await);
        tokio::time::advance(8 * second).await;
        assert!(asked("good", "a").await);
        let shown = component::metrics::encode([&metrics.registry()]).unwrap();
        for (series, number) in [
            ("authentication_token_cache_request_total{status=\"hit\"}", 3),
            ("authentication_token_cache_request_total{status=\"miss\"}", 7),
            ("authentication_token_cache_fetch_total{status=\"ok\"}", 5),
            ("authentication_token_cache_fetch_total{status=\"error\"}", 2),
            ("authentication_token_cache_active_fetch_count{status=\"in_flight\"}", 0),
            ("authentication_token_cache_active_fetch_count{status=\"blocked\"}", 0),
        ] {
            assert!(shown.contains(&format!("{series} {number}\n")), "no {series} {number} in\n{shown}");
        }
    }
}
