//! Wakes many watches without keeping the thread that feeds the view from its next change.
//!
//! Waking costs the better part of a microsecond each: ten thousand watches of pods would hold every commit up by milliseconds. Few are
//! woken on the spot. The thread begins when it is first needed; if it falls behind, the feeder does the waking itself, which slows
//! commits down to what watchers can take.

use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::{fmt, thread};

use crate::view::Wake;

/// So many are woken on the spot.
const FEW: usize = 64;
/// So many publications may wait for the thread.
const WAITING: usize = 64;

#[derive(Default)]
pub(crate) struct Waker {
    thread: Option<SyncSender<Wake>>,
}

impl Waker {
    pub(crate) fn wake(&mut self, wake: Wake) {
        if wake.watches() <= FEW {
            return drop(wake);
        }
        let queue = match self.thread.take() {
            Some(queue) => queue,
            None => match start() {
                Ok(queue) => queue,
                Err(error) => {
                    tracing::warn!(%error, "store: no thread to wake watches: the feeder does it");
                    return drop(wake);
                }
            },
        };
        // Dropping is waking.
        match queue.try_send(wake) {
            Ok(()) => {}
            Err(TrySendError::Full(wake) | TrySendError::Disconnected(wake)) => drop(wake),
        }
        self.thread = Some(queue);
    }
}

fn start() -> std::io::Result<SyncSender<Wake>> {
    let (queue, waiting) = mpsc::sync_channel::<Wake>(WAITING);
    thread::Builder::new().name("store-waker".to_owned()).spawn(move || waiting.iter().for_each(drop))?;
    Ok(queue)
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waker {{ thread: {} }}", self.thread.is_some())
    }
}
