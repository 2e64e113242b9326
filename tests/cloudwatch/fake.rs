//! A CloudWatch Logs and an STS on one port that enforce every documented rule, and misbehave on
//! request. What they saw is asked from the test's thread.

use super::auth::Session;
use super::fault::Fault;
use super::state::State;
pub(crate) use super::state::{Event, Group, OpenMax, Request, Rules};
use crate::harness::wait;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Fake {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    address: SocketAddr,
    /// Holds the port, without listening, so that nobody takes it while the server is stopped.
    _reservation: TcpSocket,
    accepting: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What the server and the test both hold.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) started: Instant,
    state: Mutex<State>,
}

impl Shared {
    /// A panic of one request leaves nothing half done that the next one could not stand.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fake {
    /// Starts to listen on a free port of 127.0.0.1.
    pub(crate) fn start(rules: Rules) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cloudwatch-fake")
            .enable_all()
            .build()
            .unwrap();
        let reservation = socket(&runtime, (Ipv4Addr::LOCALHOST, 0).into());
        let address = reservation.local_addr().unwrap();
        let shared = Shared { started: Instant::now(), state: Mutex::new(State::new(rules)) };
        let mut fake = Self {
            runtime: Some(runtime),
            address,
            _reservation: reservation,
            accepting: None,
            shared: Arc::new(shared),
        };
        fake.resume();
        fake
    }

    /// The endpoint, for logs and STS alike.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            wait::until("the fake stops", Duration::from_secs(10), || {
                (accepting.is_finished() && self.n_open() == 0).then_some(())
            });
        }
    }

    /// Listens again on the same port.
    pub(crate) fn resume(&mut self) {
        assert!(self.accepting.is_none(), "it listens already");
        let runtime = self.runtime.as_ref().expect("it is not dropped");
        let socket = socket(runtime, self.address);
        let listener = {
            let _inside = runtime.enter();
            socket.listen(1024).unwrap()
        };
        self.accepting = Some(runtime.spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// Events that were taken, in the order of their arrival; empty for an unknown stream.
    pub(crate) fn events(&self, group: &str, stream: &str) -> Vec<Event> {
        let mut state = self.shared.state();
        let events = state.stream(group, stream).map(|stream| stream.events.as_slice());
        events.unwrap_or_default().iter().map(|(event, _)| event.clone()).collect()
    }

    /// The first 100,000 calls, in the order of the answers.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Rules that were broken, each with its operation and stream.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.shared.state().violations.clone()
    }

    /// Groups by name.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.shared.state().groups.values().map(|state| state.group.clone()).collect()
    }

    /// Names of a group's streams; empty for an unknown group.
    pub(crate) fn streams(&self, group: &str) -> Vec<String> {
        let state = self.shared.state();
        state.groups.get(group).map(|g| g.streams.keys().cloned().collect()).unwrap_or_default()
    }

    /// Most calls that were open at the same time, in total and for each stream.
    pub(crate) fn open_max(&self) -> OpenMax {
        self.shared.state().open_max.clone()
    }

    /// Calls so far, answered or not.
    pub(crate) fn n_requests(&self) -> u64 {
        self.shared.state().n_requests
    }

    /// Calls that are open now.
    pub(crate) fn n_open(&self) -> usize {
        self.shared.state().open
    }

    /// Creates the group and the stream, where they are missing.
    pub(crate) fn create(&self, group: &str, stream: &str) {
        let mut state = self.shared.state();
        if !state.groups.contains_key(group) {
            let plain = state.plain_group(group);
            state.add_group(plain);
        }
        state.add_stream(group, stream);
    }

    /// Deletes a group with its streams and their events.
    pub(crate) fn delete(&self, group: &str) {
        self.shared.state().groups.remove(group);
    }

    /// Adds a fault; the first one that fits a call hits it.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    /// From now on nothing goes wrong. Calls that are held stay held.
    pub(crate) fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Every credential that is known now has expired, but for keys without a token.
    pub(crate) fn expire_sessions(&self) {
        for session in &mut self.shared.state().sessions {
            if session.token.is_some() {
                session.expires_ms = 0;
            }
        }
    }

    /// Knows another key from now on, with a token or without.
    pub(crate) fn add_session(&self, access_key_id: &str, token: Option<&str>) {
        let session = Session::fixed(access_key_id, token.map(ToOwned::to_owned));
        self.shared.state().sessions.push_back(session);
    }

    /// Takes this token only from now on, as after the file was rotated.
    pub(crate) fn set_web_identity_token(&self, token: &str) {
        self.shared.state().rules.web_identity_token = Some(token.to_owned());
    }

    /// The clock stands still at this time.
    pub(crate) fn freeze_clock(&self, now_ms: i64) {
        self.shared.state().frozen_ms = Some(now_ms);
    }

    /// The clock is ahead of the machine's by so much, or behind it.
    pub(crate) fn set_clock_offset(&self, offset_ms: i64) {
        self.shared.state().clock_offset_ms = offset_ms;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // It may be dropped inside a runtime, where nothing may wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn socket(runtime: &Runtime, address: SocketAddr) -> TcpSocket {
    let _inside = runtime.enter();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborting this task drops the set, which cuts its connections.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            Ok((stream, _)) = listener.accept() => {
                let _ = stream.set_nodelay(true);
                connections.spawn(super::server::serve(stream, Arc::clone(&shared)));
            }
            // The system is out of descriptors.
            else => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
