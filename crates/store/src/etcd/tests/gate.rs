//! A connection to etcd that a test can cut and mute.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const OPEN: u8 = 0;
/// Requests pass, answers do not.
const MUTE: u8 = 1;
/// Nothing passes; whoever connects is turned away.
const CUT: u8 = 2;

/// Passes connections on to a port of loopback.
pub(super) struct Gate {
    port: u16,
    state: Arc<AtomicU8>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    pub(super) fn to(url: &str) -> Gate {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (state, connections) = (Arc::new(AtomicU8::new(OPEN)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (of_thread, kept) = (state.clone(), connections.clone());
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_thread.load(Ordering::SeqCst) == CUT {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let both = [(&client, &server, false), (&server, &client, true)];
                for (from, to, answers) in both {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let state = of_thread.clone();
                    thread::spawn(move || pass(from, to, answers, &state));
                }
                kept.lock().expect("no panic holds it").extend([client, server]);
            }
        });
        Gate { port, state, connections }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
        for connection in self.connections.lock().expect("no panic holds it").drain(..) {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn mute(&self) {
        self.state.store(MUTE, Ordering::SeqCst);
    }

    pub(super) fn open(&self) {
        self.state.store(OPEN, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, answers: bool, state: &AtomicU8) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let muted = answers && state.load(Ordering::SeqCst) == MUTE;
        if !muted && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
