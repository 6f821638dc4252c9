//! The contract on a real etcd, and what only happens to one: rivals, losses, compaction behind the back.
//!
//! `ETCD` names the binary (`conformance/build etcd` makes it); each store has an etcd of its own on loopback, gone with the test.

mod gate;
mod healing;
mod losses;
mod questions;
mod rivals;
mod server;
mod tls;

use super::*;
use crate::testing::{Backend, contract, contract_of_durable, model};
use server::Server;

impl Backend for Server {
    fn open(&self, window: Window) -> Result<Store, Error> {
        open(Config { window, ..self.config() })
    }
}

mod real {
    use super::*;
    contract!(Server::start());
    contract_of_durable!(Server::start());
}

#[test]
fn store_on_etcd_behaves_like_the_model() {
    model::behaves_like_the_model(25, model::Kind { durable: true, ticks: false }, Server::start);
}
