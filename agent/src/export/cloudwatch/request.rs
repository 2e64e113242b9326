//! Requests of `PutLogEvents`: as full as they may be, and within every rule.
//!
//! The rules are those of the service model `logs/2014-03-28` (botocore 1.44.5), held against it by a
//! test: at most 1,048,576 bytes of messages with 26 more for each, 1 to 10,000 events in the order of
//! their times, no more than 24 hours between the first and the last.

use crate::encode::write_escaped;
use hyper::body::Bytes;
use std::io::Write;
use std::ops::Range;

/// Bytes of all messages of a request, with what each counts more.
pub const REQUEST_BYTES_MAX: usize = 1_048_576;
/// What an event counts besides its message.
pub const EVENT_OVERHEAD_BYTES: usize = 26;
/// Events of a request.
pub const REQUEST_EVENTS_MAX: usize = 10_000;
/// The times of a request are less than this apart; whether exactly 24 hours are taken is said
/// nowhere.
const REQUEST_SPAN_MAX_MS: i64 = 24 * 3_600_000;
/// Longest message that is sent whole. The model says "1 MB" and not which.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// What stands before the events in a body. They come first, so that a request is written once, in
/// the place from which it is sent.
const HEAD: &[u8] = b"{\"logEvents\":[";

/// The message of an event.
#[derive(Debug, Clone, Copy)]
pub struct Message<'m> {
    /// As the contents of a JSON string.
    pub nested: &'m [u8],
    /// Bytes of the message itself, which is what counts.
    pub bytes: usize,
}

impl<'m> Message<'m> {
    /// A message as it is; `nested` is room for it as the contents of a string.
    #[must_use]
    pub fn new(message: &[u8], nested: &'m mut Vec<u8>) -> Self {
        nested.clear();
        write_escaped(message, nested);
        Self { nested, bytes: message.len() }
    }
}

/// Where an event comes from: which batch of those that are sent together, which record of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Index of the batch.
    pub batch: usize,
    /// Index of the record.
    pub record: usize,
}

/// An event that is in a request.
#[derive(Debug, Clone)]
pub struct Event {
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it stands in the text of its request.
    text: Range<usize>,
    message_bytes: usize,
}

/// Events that are sent together, in the order of their times.
#[derive(Debug, Default)]
pub struct Request {
    /// In the order in which they are sent, which is what indices in answers refer to.
    pub events: Vec<Event>,
    /// The body as far as it is written: [`HEAD`], and `{"timestamp":1,"message":"…"}` one after the
    /// other.
    text: Vec<u8>,
    /// The whole body, once it is sent; `text` is empty then.
    body: Bytes,
    /// What counts against the limit.
    bytes: usize,
    /// Earliest and latest time.
    times: Option<(i64, i64)>,
    is_sorted: bool,
}

/// An event does not fit any more: the request is to be sent first.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Request {
    /// Nothing in it yet.
    #[must_use]
    pub fn new() -> Self {
        Self { is_sorted: true, ..Self::default() }
    }

    /// Nothing in it yet, with room for as much as `full` holds.
    #[must_use]
    pub fn like(full: &Self) -> Self {
        Self {
            events: Vec::with_capacity(full.events.len()),
            text: Vec::with_capacity(full.text.len() + full.text.len() / 16),
            ..Self::new()
        }
    }

    /// What counts against [`REQUEST_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an event. `message` is neither empty nor longer than [`MESSAGE_BYTES_MAX`].
    ///
    /// # Errors
    /// When a limit would be broken.
    pub fn add(&mut self, time_ms: i64, message: Message<'_>, origin: Origin) -> Result<(), Full> {
        let bytes = self.bytes + message.bytes + EVENT_OVERHEAD_BYTES;
        let (first, last) = self.times.unwrap_or((time_ms, time_ms));
        let (first, latest) = (first.min(time_ms), last.max(time_ms));
        let is_within = bytes <= REQUEST_BYTES_MAX
            && self.events.len() < REQUEST_EVENTS_MAX
            && latest.saturating_sub(first) < REQUEST_SPAN_MAX_MS;
        if !is_within {
            return Err(Full);
        }
        self.text.extend_from_slice(if self.events.is_empty() { HEAD } else { b"," });
        let start = self.text.len();
        // A write to memory does not fail.
        let _ = write!(self.text, "{{\"timestamp\":{time_ms},\"message\":\"");
        self.text.extend_from_slice(message.nested);
        self.text.extend_from_slice(b"\"}");
        self.is_sorted &= self.events.last().is_none_or(|before| before.time_ms <= time_ms);
        let (text, message_bytes) = (start..self.text.len(), message.bytes);
        self.events.push(Event { time_ms, origin, text, message_bytes });
        (self.bytes, self.times) = (bytes, Some((first, latest)));
        Ok(())
    }

    /// The first and the second half of the events of one that was sent.
    #[must_use]
    pub fn halves(&self) -> [Self; 2] {
        let middle = self.events.len() / 2;
        [&self.events[..middle], &self.events[middle..]].map(|events| {
            let mut half = Self::new();
            half.copy(events, &self.body);
            half.bytes = events.iter().map(|it| it.message_bytes + EVENT_OVERHEAD_BYTES).sum();
            half
        })
    }

    /// Appends events that stand in `text`.
    fn copy(&mut self, events: &[Event], text: &[u8]) {
        for event in events {
            self.text.extend_from_slice(if self.events.is_empty() { HEAD } else { b"," });
            let start = self.text.len();
            self.text.extend_from_slice(&text[event.text.clone()]);
            self.events.push(Event { text: start..self.text.len(), ..event.clone() });
        }
    }

    /// The body of the HTTP request. Nothing is added afterwards. Brings the events into the order of
    /// their times; those of one time stay as they came.
    pub fn body(&mut self, group: &str, stream: &str) -> Bytes {
        if !self.is_sorted {
            self.events.sort_by_key(|event| event.time_ms);
            self.is_sorted = true;
            let mut sorted = Self::like(self);
            sorted.copy(&self.events, &self.text);
            (self.events, self.text) = (sorted.events, sorted.text);
        }
        let mut body = std::mem::take(&mut self.text);
        body.extend_from_slice(b"],\"logGroupName\":\"");
        write_escaped(group.as_bytes(), &mut body);
        body.extend_from_slice(b"\",\"logStreamName\":\"");
        write_escaped(stream.as_bytes(), &mut body);
        body.extend_from_slice(b"\"}");
        self.body = body.into();
        self.body.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORIGIN: Origin = Origin { batch: 0, record: 0 };

    fn add(
        request: &mut Request,
        time_ms: i64,
        message: &[u8],
        origin: Origin,
    ) -> Result<(), Full> {
        request.add(time_ms, Message::new(message, &mut Vec::new()), origin)
    }

    /// Packs as an exporter does, and checks every request against the rules.
    fn pack(events: &[(i64, Vec<u8>)]) -> Vec<Request> {
        let (mut done, mut open) = (Vec::new(), Request::new());
        for (record, (time_ms, message)) in events.iter().enumerate() {
            let origin = Origin { batch: 0, record };
            if add(&mut open, *time_ms, message, origin).is_err() {
                let next = Request::like(&open);
                done.push(std::mem::replace(&mut open, next));
                add(&mut open, *time_ms, message, origin).unwrap();
            }
        }
        done.extend((!open.events.is_empty()).then_some(open));
        done.iter_mut().for_each(|request| drop(request.body("g", "\"s\"")));
        done
    }

    fn read(request: &Request) -> Vec<(i64, String)> {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["logGroupName"], &body["logStreamName"]), (&"g".into(), &"\"s\"".into()));
        let event = |event: &serde_json::Value| {
            (event["timestamp"].as_i64().unwrap(), event["message"].as_str().unwrap().to_owned())
        };
        body["logEvents"].as_array().unwrap().iter().map(event).collect()
    }

    fn check(request: &Request) {
        let events = read(request);
        let bytes: usize = events.iter().map(|(_, message)| message.len() + 26).sum();
        assert!(bytes <= 1_048_576 && bytes == request.bytes(), "{bytes}");
        assert!((1..=10_000).contains(&events.len()));
        assert!(events.iter().all(|(time_ms, message)| *time_ms >= 0 && !message.is_empty()));
        assert!(events.is_sorted_by_key(|event| event.0));
        assert!(events[events.len() - 1].0 - events[0].0 < 86_400_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_request_keeps_every_rule_and_no_event_is_lost(
            events in prop::collection::vec(
                (0..400_000_000_i64, 1..4_usize, prop_oneof![4 => 1..60_usize, 1 => 1..110_000_usize]),
                1..300,
            ),
        ) {
            let text = ["x", "\"\\", "é€𐍈"];
            let events: Vec<(i64, Vec<u8>)> = events
                .into_iter()
                .map(|(time_ms, kind, times)| (time_ms, text[kind - 1].repeat(times).into_bytes()))
                .collect();
            let requests = pack(&events);
            let mut sent = Vec::new();
            for request in &requests {
                check(request);
                for (event, (_, message)) in request.events.iter().zip(read(request)) {
                    prop_assert_eq!(message.as_bytes(), &events[event.origin.record].1);
                    sent.push(event.origin.record);
                }
            }
            sent.sort_unstable();
            prop_assert_eq!(sent, (0..events.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_request_is_filled_to_the_byte_and_to_the_event() {
        let mut request = Request::new();
        let (small, rest) = (vec![b'a'; 1_000_000], vec![b'b'; 48_576 - 2 * 26]);
        add(&mut request, 5, &small, ORIGIN).unwrap();
        assert_eq!(
            add(&mut request, 5, &[rest.clone(), b"b".to_vec()].concat(), ORIGIN),
            Err(Full)
        );
        add(&mut request, 5, &rest, ORIGIN).unwrap();
        assert_eq!(request.bytes(), REQUEST_BYTES_MAX);
        let mut request = Request::new();
        (0..10_000).for_each(|_| add(&mut request, 5, b"a", ORIGIN).unwrap());
        assert_eq!(add(&mut request, 5, b"a", ORIGIN), Err(Full));
        let mut request = Request::new();
        add(&mut request, 0, b"a", ORIGIN).unwrap();
        assert_eq!(add(&mut request, 86_400_000, b"a", ORIGIN), Err(Full));
        add(&mut request, 86_399_999, b"a", ORIGIN).unwrap();
    }

    #[test]
    fn events_of_one_time_stay_in_their_order_and_halves_hold_the_same() {
        let events: Vec<(i64, Vec<u8>)> = (0..101)
            .map(|number| (i64::from(number % 3), number.to_string().into_bytes()))
            .collect();
        let request = pack(&events).pop().unwrap();
        let numbers = |request: &Request| -> Vec<(i64, i64)> {
            read(request).into_iter().map(|(time, text)| (time, text.parse().unwrap())).collect()
        };
        assert!(numbers(&request).is_sorted());
        let mut halves = request.halves();
        halves.iter_mut().for_each(|half| drop(half.body("g", "\"s\"")));
        halves.iter().for_each(check);
        assert_eq!([numbers(&halves[0]), numbers(&halves[1])].concat(), numbers(&request));
    }
}
