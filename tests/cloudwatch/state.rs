//! What the fake remembers: groups, streams, events, credentials, and what was asked of it.

use super::auth::Session;
use super::fault::Fault;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Requests and violations that are remembered, the first ones; later requests are only counted.
const REQUESTS_MAX: usize = 100_000;
const VIOLATIONS_MAX: usize = 1_000;

/// How the fake is set up.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The key that requests are signed with.
    pub(crate) access_key_id: String,
    /// The token that goes with the key, if any.
    pub(crate) session_token: Option<String>,
    pub(crate) region: String,
    pub(crate) account_id: String,
    /// What `AssumeRoleWithWebIdentity` must show. Anything goes when it is none.
    pub(crate) web_identity_token: Option<String>,
    /// How long the credentials live that `AssumeRoleWithWebIdentity` gives.
    pub(crate) session_lifetime: Duration,
    /// Longest message.
    pub(crate) message_bytes_max: usize,
    /// Keys of KMS that exist, are enabled and symmetric.
    pub(crate) kms_keys: Vec<String>,
    /// Groups that the account may have.
    pub(crate) groups_max: usize,
    /// Memory for events, roughly. What exceeds it is refused with 503, and a violation.
    pub(crate) stored_bytes_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            session_token: None,
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            web_identity_token: None,
            session_lifetime: Duration::from_secs(3600),
            message_bytes_max: super::limits::MESSAGE_BYTES_MAX,
            kms_keys: vec!["arn:aws:kms:us-east-1:123456789012:key/sidelight".to_owned()],
            groups_max: 10_000,
            stored_bytes_max: 1 << 30,
        }
    }
}

/// An event that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) timestamp_ms: i64,
    pub(crate) message: String,
}

/// A log group without its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) retention_days: Option<i64>,
    pub(crate) kms_key: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) is_protected: bool,
    pub(crate) created_ms: i64,
}

/// One call, as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Since the fake was started.
    pub(crate) after: Duration,
    pub(crate) operation: String,
    pub(crate) group: String,
    pub(crate) stream: String,
    pub(crate) n_events: usize,
    /// Messages in UTF-8, and 26 for each event.
    pub(crate) bytes: usize,
    /// Length of the body.
    pub(crate) body_bytes: usize,
    pub(crate) has_entity: bool,
    /// The header `x-amzn-logs-format`.
    pub(crate) logs_format: Option<String>,
    pub(crate) access_key_id: String,
    pub(crate) user_agent: String,
    /// `ok`, the name of the error, or what the fault did.
    pub(crate) outcome: String,
}

/// Most calls that were open at the same time.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct OpenMax {
    pub(crate) total: usize,
    /// By group and stream.
    pub(crate) streams: BTreeMap<(String, String), usize>,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) created_ms: i64,
    pub(crate) ingested_ms: Option<i64>,
    /// In order of arrival, with the time of arrival.
    pub(crate) events: Vec<(Event, i64)>,
}

#[derive(Debug)]
pub(crate) struct GroupState {
    pub(crate) group: Group,
    pub(crate) streams: BTreeMap<String, Stream>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rules: Rules,
    pub(crate) groups: BTreeMap<String, GroupState>,
    pub(crate) sessions: VecDeque<Session>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) requests: Vec<Request>,
    pub(crate) violations: Vec<String>,
    pub(crate) stored_bytes: usize,
    pub(crate) frozen_ms: Option<i64>,
    pub(crate) clock_offset_ms: i64,
    pub(crate) open: usize,
    pub(crate) open_streams: BTreeMap<(String, String), usize>,
    pub(crate) open_max: OpenMax,
    /// Times of the last calls of the operations that have a limit per second.
    pub(crate) recent: BTreeMap<String, VecDeque<i64>>,
    pub(crate) n_requests: u64,
    pub(crate) n_sessions: u64,
}

impl State {
    pub(crate) fn new(rules: Rules) -> Self {
        let session = Session::fixed(&rules.access_key_id, rules.session_token.clone());
        Self {
            rules,
            groups: BTreeMap::new(),
            sessions: [session].into(),
            faults: Vec::new(),
            requests: Vec::new(),
            violations: Vec::new(),
            stored_bytes: 0,
            frozen_ms: None,
            clock_offset_ms: 0,
            open: 0,
            open_streams: BTreeMap::new(),
            open_max: OpenMax::default(),
            recent: BTreeMap::new(),
            n_requests: 0,
            n_sessions: 0,
        }
    }

    /// The time of the fake.
    pub(crate) fn now_ms(&self) -> i64 {
        let real_ms = || jiff::Timestamp::now().as_millisecond();
        self.frozen_ms.unwrap_or_else(real_ms) + self.clock_offset_ms
    }

    pub(crate) fn group_arn(&self, name: &str) -> String {
        let Rules { region, account_id, .. } = &self.rules;
        format!("arn:aws:logs:{region}:{account_id}:log-group:{name}")
    }

    pub(crate) fn stream(&mut self, group: &str, stream: &str) -> Option<&mut Stream> {
        self.groups.get_mut(group)?.streams.get_mut(stream)
    }

    pub(crate) fn add_group(&mut self, group: Group) {
        let name = group.name.clone();
        self.groups.insert(name, GroupState { group, streams: BTreeMap::new() });
    }

    /// Adds the stream to a group that exists; false when it exists too.
    pub(crate) fn add_stream(&mut self, group: &str, name: &str) -> bool {
        let created_ms = self.now_ms();
        let group = self.groups.get_mut(group).expect("the group exists");
        if group.streams.contains_key(name) {
            return false;
        }
        let stream = Stream { created_ms, ingested_ms: None, events: Vec::new() };
        group.streams.insert(name.to_owned(), stream);
        true
    }

    /// A group of the usual kind.
    pub(crate) fn plain_group(&self, name: &str) -> Group {
        Group {
            name: name.to_owned(),
            class: "STANDARD".to_owned(),
            retention_days: None,
            kms_key: None,
            tags: BTreeMap::new(),
            is_protected: false,
            created_ms: self.now_ms(),
        }
    }

    pub(crate) fn remember(&mut self, request: Request) {
        if self.requests.len() < REQUESTS_MAX {
            self.requests.push(request);
        }
    }

    pub(crate) fn violate(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what);
        }
    }

    /// Counts a call of `operation`; false when there were `max` within the last second.
    pub(crate) fn is_within_rate(&mut self, operation: &str, max: usize) -> bool {
        let now_ms = self.now_ms();
        let recent = self.recent.entry(operation.to_owned()).or_default();
        while recent.front().is_some_and(|time_ms| *time_ms <= now_ms - 1000) {
            recent.pop_front();
        }
        if recent.len() >= max {
            return false;
        }
        recent.push_back(now_ms);
        true
    }

    /// A call about this stream is now open.
    pub(crate) fn open_stream(&mut self, key: &(String, String)) {
        let open = self.open_streams.entry(key.clone()).or_default();
        *open += 1;
        let most = self.open_max.streams.entry(key.clone()).or_default();
        *most = (*most).max(*open);
    }

    pub(crate) fn close_stream(&mut self, key: &(String, String)) {
        if let Some(open) = self.open_streams.get_mut(key) {
            *open -= 1;
            if *open == 0 {
                self.open_streams.remove(key);
            }
        }
    }
}
