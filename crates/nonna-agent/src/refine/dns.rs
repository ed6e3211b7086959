//! Packets of the domain name system (RFC 1035): which name was asked for, and what the answer was.
//!
//! Sensors hand over the first bytes of a packet; they are read here by a parser that goes record by record, so that a packet
//! that was cut still tells what it held until then. What breaks the protocol is counted, never a panic.

use std::sync::Arc;

use domain::base::iana::{Opcode, Rtype};
use domain::base::message::Message;
use domain::base::wire::ParseError;
use domain::rdata::{A, Aaaa};
use nonna_event::{Event, EventSchema, Field, FieldType, Text, Value};

use super::{Refined, with_fields};

/// Event of a question.
pub(super) const QUESTION: &str = "dns_question";
/// Event of an answer.
pub(super) const ANSWER: &str = "dns_answer";

/// Field with the bytes of the packet.
const PAYLOAD: &str = "dns.payload";
/// The number of TCP among the internet protocols.
const TCP: u64 = 6;
/// Bytes of the length in front of each message over TCP (RFC 1035 4.2.2).
const LENGTH_BYTES: usize = 2;
/// Most messages that are read from one packet of TCP.
const MOST_MESSAGES: usize = 16;
/// Longest name as text: 255 bytes, each of which may need four characters.
pub(super) const NAME_MAX_BYTES: u32 = 1024;
/// Most bytes of a list of addresses; as many as an answer without extensions can hold.
const ADDRESSES_MAX_BYTES: u32 = 2048;

/// How packets of a schema become questions and answers.
#[derive(Debug)]
pub(super) struct DnsPlan {
    payload: usize,
    /// Bytes that the sensor hands over at most.
    max_bytes: usize,
    protocol: Option<usize>,
    question: Arc<EventSchema>,
    answer: Arc<EventSchema>,
}

/// A message of which there is something to tell.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    name: String,
    kind: String,
    answer: Option<Answer>,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    rcode: String,
    addresses: Vec<String>,
}

/// The bytes are no message of the domain name system.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

impl DnsPlan {
    /// The plan for a schema; `None` where it has no packet.
    pub fn of(schema: &EventSchema) -> Option<Self> {
        let payload = schema.field_idx(PAYLOAD)?;
        let FieldType::Bytes { max_bytes } = schema.fields[payload].field_type else { return None };
        let with = |name: &str, own: &[Field]| {
            let kept = schema.fields.iter().enumerate().filter(|(idx, _)| *idx != payload);
            let fields = kept.map(|(_, field)| field).chain(own).cloned().collect();
            with_fields(schema, name, fields)
        };
        let text = |max_bytes| FieldType::Text { max_bytes };
        let asked = [
            field("dns.name", text(NAME_MAX_BYTES), "The name that is asked for."),
            field("dns.type", text(16), "What is asked about it: A and AAAA are addresses."),
        ];
        let answered = [
            field("dns.rcode", text(16), "How it went: NOERROR, or NXDOMAIN where there is no such name."),
            field(
                "dns.addresses",
                FieldType::TextList { max_bytes: ADDRESSES_MAX_BYTES },
                "The addresses in the answer.",
            ),
        ];
        Some(Self {
            payload,
            max_bytes: max_bytes as usize,
            protocol: schema.field_idx("network.protocol"),
            question: with(QUESTION, &asked),
            answer: with(ANSWER, &[asked.clone(), answered].concat()),
        })
    }

    /// The schemas of what is told.
    pub fn schemas(&self) -> [&Arc<EventSchema>; 2] {
        [&self.question, &self.answer]
    }

    /// Adds the questions and answers of a packet to `out`.
    pub fn apply(&self, event: &Event, out: &mut Vec<Event>) -> Refined {
        let Value::Bytes(payload) = &event.values[self.payload] else { return Refined::Whole };
        let is_cut = payload.len() >= self.max_bytes;
        let is_tcp = self.protocol.is_some_and(|idx| event.values[idx] == Value::Unsigned(TCP));
        let mut told = Vec::new();
        let read =
            if is_tcp { read_stream(payload, is_cut, &mut told) } else { read(payload, is_cut, &mut told) };
        for message in told {
            out.push(self.event(event, message));
        }
        if read.is_ok() { Refined::Whole } else { Refined::Malformed }
    }

    fn event(&self, packet: &Event, message: Told) -> Event {
        let text = |text: String| Value::Text(Text { bytes: text.into_bytes(), ..Text::default() });
        let mut values = packet.values.clone();
        values.remove(self.payload);
        values.extend([text(message.name), text(message.kind)]);
        let schema = match message.answer {
            None => &self.question,
            Some(answer) => {
                let items = answer.addresses.into_iter().map(String::into_bytes).collect();
                values.extend([text(answer.rcode), Value::TextList { items, truncated_from: None }]);
                &self.answer
            }
        };
        Event { schema: Arc::clone(schema), generation: packet.generation, values }
    }
}

fn field(name: &str, field_type: FieldType, description: &str) -> Field {
    Field { name: name.to_owned(), field_type, description: description.to_owned() }
}

/// Reads messages over TCP. A length may have been sent by itself, so that what follows is a message alone.
fn read_stream(bytes: &[u8], is_cut: bool, told: &mut Vec<Told>) -> Result<(), Malformed> {
    if bytes.len() <= LENGTH_BYTES || read_lengths(bytes, is_cut, told).is_ok() {
        return Ok(());
    }
    told.clear();
    read(bytes, is_cut, told)
}

/// Reads messages that each follow their length.
fn read_lengths(mut bytes: &[u8], is_cut: bool, told: &mut Vec<Told>) -> Result<(), Malformed> {
    for _ in 0..MOST_MESSAGES {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { break };
        let length = usize::from(u16::from_be_bytes(*length));
        let message_is_cut = length > rest.len();
        if message_is_cut && !is_cut {
            return Err(Malformed);
        }
        read(&rest[..length.min(rest.len())], message_is_cut, told)?;
        bytes = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// Reads one message. Other operations than questions (RFC 1035 4.1.1), and messages without one, are nothing to tell.
fn read(bytes: &[u8], is_cut: bool, told: &mut Vec<Told>) -> Result<(), Malformed> {
    let Ok(message) = Message::from_octets(bytes) else { return short(is_cut) };
    let header = message.header();
    if header.opcode() != Opcode::QUERY || message.header_counts().qdcount() == 0 {
        return Ok(());
    }
    // There is never more than one question (RFC 9619).
    if message.header_counts().qdcount() > 1 {
        return Err(Malformed);
    }
    let question = match message.question().next() {
        Some(Ok(question)) => question,
        Some(Err(ParseError::ShortInput)) => return short(is_cut),
        _ => return Err(Malformed),
    };
    let answer = if header.qr() {
        Some(Answer { rcode: message.opt_rcode().to_string(), addresses: addresses(&message, is_cut)? })
    } else {
        None
    };
    told.push(Told { name: question.qname().to_string(), kind: question.qtype().to_string(), answer });
    Ok(())
}

/// What it means that a message ends early.
fn short(is_cut: bool) -> Result<(), Malformed> {
    if is_cut { Ok(()) } else { Err(Malformed) }
}

/// The addresses in the answer section; of a message that was cut, those until then.
fn addresses(message: &Message<&[u8]>, is_cut: bool) -> Result<Vec<String>, Malformed> {
    let cut = |error: ParseError| match error {
        ParseError::ShortInput => short(is_cut),
        ParseError::Form(_) => Err(Malformed),
    };
    let mut addresses = Vec::new();
    let section = match message.answer() {
        Ok(section) => section,
        Err(error) => return cut(error).map(|()| addresses),
    };
    for record in section {
        let record = match record {
            Ok(record) => record,
            Err(error) => return cut(error).map(|()| addresses),
        };
        let address = match record.rtype() {
            Rtype::A => record.to_record::<A>().map(|r| r.map(|r| r.data().addr().to_string())),
            Rtype::AAAA => record.to_record::<Aaaa>().map(|r| r.map(|r| r.data().addr().to_string())),
            _ => continue,
        };
        addresses.extend(address.map_err(|_| Malformed)?);
    }
    Ok(addresses)
}
