//! One query to one response: what comes from the cluster, what is passed on, and what is refused.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use crate::directory::{Directory, Lookup};
use crate::forward::Forwarders;
use crate::records::{Found, Zone};

/// The largest UDP answer to a client that did not say more (RFC 1035).
const CLASSIC_UDP: usize = 512;
/// The largest UDP answer to any client: fits one Ethernet frame.
const LARGEST_UDP: u16 = 1232;

/// How a query reached the server: an answer over UDP has a size to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

#[derive(Debug)]
pub(crate) struct Responder {
    pub(crate) zone: Zone,
    pub(crate) directory: Directory,
    pub(crate) forwarders: Forwarders,
}

impl Responder {
    /// The response to a packet; none for one that is no query.
    pub(crate) async fn respond(&self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let query = match Message::from_vec(packet) {
            Ok(query) if query.metadata.message_type == MessageType::Query => query,
            Ok(_) => return None,
            // Twelve bytes of header carry the id; less is noise.
            Err(_) => return malformed(packet),
        };
        let answered = match local(&self.zone, &self.directory, &query) {
            Local::Answer(message) => message,
            Local::Elsewhere => return self.forwarders.ask(packet, transport).await.or_else(|| failure(&query)),
            Local::Follow(mut message, target) => {
                self.follow(&mut message, &query, target).await;
                message
            }
        };
        encode(answered, &query, transport)
    }

    /// Completes an alias with the addresses of its target.
    async fn follow(&self, message: &mut Message, query: &Message, target: hickory_proto::rr::Name) {
        let Some(asked) = query.queries.first() else { return };
        if asked.query_type() == RecordType::CNAME {
            return;
        }
        let mut onward = Message::query();
        onward.metadata.recursion_desired = true;
        onward.add_query(hickory_proto::op::Query::query(target.clone(), asked.query_type()));
        if let Found::Records(records, _) = self.zone.find(&self.directory, &target, asked.query_type()) {
            message.add_answers(records);
            return;
        }
        let Ok(packet) = onward.to_vec() else { return };
        let reply = self.forwarders.ask(&packet, Transport::Tcp).await;
        if let Some(reply) = reply.and_then(|reply| Message::from_vec(&reply).ok()) {
            message.add_answers(reply.answers);
        }
    }
}

/// What the cluster itself has to say.
enum Local {
    Answer(Message),
    Follow(Message, hickory_proto::rr::Name),
    Elsewhere,
}

fn local(zone: &Zone, lookup: &impl Lookup, query: &Message) -> Local {
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata.recursion_desired = query.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.add_queries(query.queries.iter().cloned());
    let refuse = |mut message: Message, code| {
        message.metadata.response_code = code;
        Local::Answer(message)
    };
    if query.metadata.op_code != OpCode::Query {
        return refuse(message, ResponseCode::NotImp);
    }
    let [question] = query.queries.as_slice() else { return refuse(message, ResponseCode::FormErr) };
    if question.query_class() != DNSClass::IN {
        return refuse(message, ResponseCode::Refused);
    }
    let found = zone.find(lookup, question.name(), question.query_type());
    if found == Found::Elsewhere {
        return Local::Elsewhere;
    }
    message.metadata.authoritative = true;
    match found {
        Found::Records(answers, additional) => {
            message.add_answers(answers);
            message.add_additionals(additional);
        }
        Found::Alias(record, target) => {
            message.add_answer(*record);
            return Local::Follow(message, target);
        }
        Found::NoName if !lookup.complete() => return refuse(message, ResponseCode::ServFail),
        Found::NoName => {
            message.metadata.response_code = ResponseCode::NXDomain;
            message.add_authority(zone.authority());
        }
        Found::NoData | Found::Elsewhere => {
            message.add_authority(zone.authority());
        }
    }
    Local::Answer(message)
}

/// Encodes a response, cut to what the client can take.
fn encode(mut message: Message, query: &Message, transport: Transport) -> Option<Vec<u8>> {
    let mut limit = CLASSIC_UDP;
    if let Some(edns) = &query.edns {
        limit = usize::from(edns.max_payload().clamp(512, LARGEST_UDP));
        let mut own = Edns::new();
        own.set_max_payload(LARGEST_UDP);
        message.set_edns(own);
    }
    let bytes = message.to_vec().ok()?;
    if transport == Transport::Tcp || bytes.len() <= limit {
        return Some(bytes);
    }
    // Additional records are a courtesy; answers are not, so without them the client must come by TCP.
    message.additionals.clear();
    let shorter = message.to_vec().ok()?;
    if shorter.len() <= limit { Some(shorter) } else { message.truncate().to_vec().ok() }
}

fn failure(query: &Message) -> Option<Vec<u8>> {
    let mut message = Message::error_msg(query.metadata.id, query.metadata.op_code, ResponseCode::ServFail);
    message.add_queries(query.queries.iter().cloned());
    message.to_vec().ok()
}

fn malformed(packet: &[u8]) -> Option<Vec<u8>> {
    let [high, low, flags, ..] = packet else { return None };
    let is_response = flags & 0x80 != 0;
    if is_response || packet.len() < 12 {
        return None;
    }
    Message::error_msg(u16::from_be_bytes([*high, *low]), OpCode::Query, ResponseCode::FormErr).to_vec().ok()
}
