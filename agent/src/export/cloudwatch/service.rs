//! The service as an exporter sees it: puts a request to its end, whatever comes between.

use super::failure::{Class, Failure, is_unresolved};
use super::gate::Gate;
use super::request::Request;
use super::target::{GroupSettings, Target};
use crate::aws::{self, endpoint};
use crate::export::{Shared, Troubles, pause};
use crate::telemetry;
use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::http::{HttpRequest, HttpResponse};
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::operation::RequestId;
use redaction::Redactor;
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longest pause before a request is sent again; the lane has longer ones.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Groups whose state is kept.
pub(super) const GROUPS_MAX: usize = 1_000;

/// Time for the making of a group and its stream, in which others may have to wait.
const MAKE_TIME_MAX: Duration = Duration::from_millis(1_500);

/// Until when something is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The end of all tries.
    pub end: Instant,
    /// Whether a group that is missing is tried to be made once and no more: it could not be made the
    /// last time, and nobody is to wait for it again.
    pub is_made_once: bool,
}

impl Deadline {
    fn to_make(self) -> Instant {
        let time = if self.is_made_once { Duration::ZERO } else { MAKE_TIME_MAX };
        self.end.min(Instant::now() + time)
    }
}

/// Whether events are records or metrics: the two never share a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As it is.
    Plain,
    /// Embedded metric format: CloudWatch makes metrics of it.
    EmbeddedMetrics,
}

/// Which events of a request were rejected although it was taken, by index in it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Those before it are older than 14 days.
    pub too_old_end: usize,
    /// Those before it are older than the retention of the group.
    pub expired_end: usize,
    /// Those from it on are more than two hours ahead.
    pub too_new_start: Option<usize>,
}

impl Rejected {
    /// Why the event at `index` was rejected, if it was.
    #[must_use]
    pub fn reason(&self, index: usize) -> Option<&'static str> {
        match index {
            _ if index < self.too_old_end => Some("too_old"),
            _ if index < self.expired_end => Some("expired"),
            _ if self.too_new_start.is_some_and(|start| index >= start) => Some("too_new"),
            _ => None,
        }
    }
}

/// What is told while nothing was answered.
const UNANSWERED: &str = "no request was answered yet; the first one also waits for region and \
                          credentials";

/// How the service is reached.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Name of the exporter that reaches it.
    pub exporter: &'static str,
    /// None: found as every AWS tool finds it.
    pub region: Option<String>,
    /// None: that of the region.
    pub endpoint_url: Option<String>,
    /// Time for one request.
    pub request_timeout: Duration,
}

/// See the head of the file.
#[derive(Debug)]
pub struct Service {
    access: Access,
    pub(super) settings: GroupSettings,
    pub(super) redactor: Arc<Redactor>,
    troubles: Arc<Troubles>,
    gate: Arc<Gate>,
    stream_concurrency: usize,
    connection: tokio::sync::Mutex<Option<(SdkConfig, Client)>>,
    /// Where requests went last, for errors of those that no service answered.
    endpoint: Arc<Mutex<String>>,
    /// The region, once it is known.
    region: Mutex<String>,
    /// Groups whose retention was seen to.
    pub(super) retained: Mutex<HashSet<String>>,
    /// One maker at a time for each group.
    pub(super) makers: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Service {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(
        access: Access,
        settings: GroupSettings,
        (concurrency, stream_concurrency): (usize, usize),
        shared: &Shared,
    ) -> Self {
        Self {
            access,
            settings,
            redactor: shared.redactor.clone(),
            troubles: shared.troubles.clone(),
            gate: Arc::new(Gate::new(concurrency)),
            stream_concurrency,
            connection: tokio::sync::Mutex::new(None),
            endpoint: Arc::default(),
            region: Mutex::default(),
            retained: Mutex::default(),
            makers: Mutex::default(),
        }
    }

    /// Requests to one stream that may be under way.
    #[must_use]
    pub fn stream_concurrency(&self) -> usize {
        self.stream_concurrency
    }

    /// Time for all requests of one call of an exporter; the rest of what the lane waits is for it to
    /// see the answer.
    #[must_use]
    pub fn call_time(&self) -> Duration {
        self.access.request_timeout.mul_f64(0.9)
    }

    /// The client.
    ///
    /// # Errors
    /// When nothing tells the region.
    pub async fn client(&self) -> Result<Client, Failure> {
        self.connection().await.map(|(_, client)| client)
    }

    /// Region and credentials, and the client that has them; made with the first request, as finding
    /// them takes a while.
    ///
    /// # Errors
    /// When nothing tells the region.
    pub(super) async fn connection(&self) -> Result<(SdkConfig, Client), Failure> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let access = &self.access;
        self.troubles.begin(access.exporter, UNANSWERED);
        let shared = aws::load(access.region.as_deref(), access.request_timeout).await;
        let shared = shared.map_err(|error| self.own(Class::Transient, &error.to_string()))?;
        let region = shared.region().map(ToString::to_string).unwrap_or_default();
        *self.region.lock().unwrap_or_else(PoisonError::into_inner) = region;
        let mut config = aws_sdk_cloudwatchlogs::config::Builder::from(&shared);
        if let Some(url) = &access.endpoint_url {
            // Else it is what the environment says, for this service or for all.
            config.set_endpoint_url(Some(url.clone()));
        }
        let made = (shared, Client::from_conf(config.build()));
        *connection = Some(made.clone());
        Ok(made)
    }

    /// Takes credentials anew with the next request.
    async fn renew_credentials(&self) {
        *self.connection.lock().await = None;
    }

    /// Reads an error of the SDK. It tells who was asked, unless AWS said what is to be changed.
    pub(super) fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if is_unresolved(error) {
            return self.unresolved();
        }
        let failure = Failure::of(error, &self.redactor);
        let is_told = error.code().is_some() && failure.class != Class::Transient;
        if is_told { failure } else { self.asked(failure) }
    }

    /// There is no host of the name that the region, or somebody, makes.
    fn unresolved(&self) -> Failure {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cause = match endpoint::named(self.access.endpoint_url.as_deref(), &aws::variable) {
            Some(named) => format!("{} names it", named.by),
            None => format!("it is that of region {region}: is the region spelt right"),
        };
        let told = format!("the host name does not resolve; {cause}, and does the DNS work here?");
        self.asked(self.own(Class::Transient, &told))
    }

    /// Notes where a request goes, for what is told when it fails.
    pub(super) fn noting(&self) -> impl Fn(&mut HttpRequest) + Send + Sync + use<> {
        let endpoint = self.endpoint.clone();
        move |request| note_endpoint(&endpoint, request.uri())
    }

    /// The failure with the endpoint in front.
    pub(super) fn asked(&self, failure: Failure) -> Failure {
        let endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        // Named by the operator, the environment or AWS, and by no log: it is shown as it is.
        let asked = Some(endpoint::shown(&endpoint)).filter(|shown| !shown.is_empty());
        Failure { asked, ..failure }
    }

    pub(super) fn own(&self, class: Class, reason: &str) -> Failure {
        Failure::own(class, reason, &self.redactor)
    }

    /// The lock of whoever makes something in `group`.
    pub(super) fn maker(&self, group: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner);
        if makers.len() >= GROUPS_MAX {
            makers.retain(|_, maker| Arc::strong_count(maker) > 1);
        }
        makers.entry(group.to_owned()).or_default().clone()
    }

    /// Puts a request. What may mend itself is tried again, with fewer requests at a time when the
    /// service throttles, until `deadline`.
    ///
    /// # Errors
    /// When it did not mend itself, or will not.
    pub async fn put(
        &self,
        target: &Target,
        request: &mut Request,
        format: Format,
        deadline: Deadline,
    ) -> Result<Rejected, Failure> {
        let body = request.body(&target.group, &target.stream);
        let (mut is_made, mut is_timed, mut is_renewed, mut n_tries) = (false, false, false, 0);
        loop {
            let pass = self.gate.enter().await;
            let answer = self.put_once(target, body.clone(), format).await;
            drop(pass);
            telemetry::CLOUDWATCH_CONCURRENCY.set(self.gate.limit() as f64);
            let failure = match answer {
                Ok(rejected) => {
                    self.gate.went_well();
                    self.troubles.end(self.access.exporter);
                    self.count_put(request, "ok");
                    return Ok(rejected);
                }
                Err(failure) => failure,
            };
            self.count_put(request, outcome(failure.class));
            match failure.class {
                Class::Missing if !is_made => {
                    let made = self.make(target, deadline.to_make()).await;
                    made.inspect_err(|failure| self.note(failure))?;
                    is_made = true;
                    continue;
                }
                // A new client would have to learn the time anew.
                Class::Signature if !is_timed => {
                    is_timed = true;
                    continue;
                }
                Class::Credentials | Class::Signature if !is_renewed => {
                    self.renew_credentials().await;
                    is_renewed = true;
                    continue;
                }
                Class::Throttled => self.gate.throttled(),
                Class::Refused | Class::Denied => return Err(failure),
                _ => {}
            }
            self.note(&failure);
            self.pause(&mut n_tries, failure, deadline.end).await?;
        }
    }

    /// Tells why a request is tried again. Fewer requests help against throttling, and what is denied
    /// is put aside: both are told elsewhere.
    fn note(&self, failure: &Failure) {
        let is_told =
            matches!(failure.class, Class::Throttled | Class::Denied | Class::StreamDenied);
        if !is_told {
            self.troubles.note(self.access.exporter, failure);
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The failure, when there is no time for one.
    pub(super) async fn pause(
        &self,
        n_tries: &mut u32,
        failure: Failure,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let pause = failure.retry_after.unwrap_or_else(|| pause(*n_tries, PAUSE_MAX));
        if Instant::now() + pause >= deadline {
            return Err(failure);
        }
        *n_tries += 1;
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// One try of that.
    pub(super) async fn put_once(
        &self,
        target: &Target,
        body: hyper::body::Bytes,
        format: Format,
    ) -> Result<Rejected, Failure> {
        let client = self.client().await?;
        let n_bytes = body.len();
        let note = self.noting();
        let change = move |request: &mut HttpRequest| {
            note(request);
            // The SDK would copy every message twice on the way to the same bytes.
            *request.body_mut() = body.clone().into();
            request.headers_mut().insert("content-length", n_bytes.to_string());
            if format == Format::EmbeddedMetrics {
                request.headers_mut().insert("x-amzn-logs-format", "json/emf");
            }
        };
        let put = client
            .put_log_events()
            .log_group_name(&target.group)
            .log_stream_name(&target.stream)
            .set_log_events(Some(Vec::new()));
        let answer = put.customize().mutate_request(change).send().await;
        let output = answer.map_err(|error| self.failure(&error))?;
        if output.request_id().is_none() {
            // Whoever answered was not the service, or did not say that it has stored anything.
            let reason = "an answer without a request id: whether it was stored is not known";
            return Err(self.asked(self.own(Class::Transient, reason)));
        }
        if let Some(info) = output.rejected_entity_info() {
            telemetry::CLOUDWATCH_ENTITIES_REJECTED.add(1);
            tracing::debug!(error_type = info.error_type().as_str(), "the entity was rejected");
        }
        let info = output.rejected_log_events_info();
        let index = |index: Option<i32>| index.and_then(|index| usize::try_from(index).ok());
        Ok(info.map_or_else(Rejected::default, |info| Rejected {
            too_old_end: index(info.too_old_log_event_end_index()).unwrap_or(0),
            expired_end: index(info.expired_log_event_end_index()).unwrap_or(0),
            too_new_start: index(info.too_new_log_event_start_index()),
        }))
    }

    fn count_put(&self, request: &Request, outcome: &str) {
        telemetry::CLOUDWATCH_REQUESTS.add(outcome, 1);
        if outcome == "ok" {
            telemetry::CLOUDWATCH_BYTES.add(request.bytes() as u64);
        }
    }
}

fn note_endpoint(endpoint: &Mutex<String>, uri: &str) {
    let uri = uri.trim_end_matches('/');
    let mut endpoint = endpoint.lock().unwrap_or_else(PoisonError::into_inner);
    if *endpoint != uri {
        uri.clone_into(&mut endpoint);
    }
}

fn outcome(class: Class) -> &'static str {
    match class {
        Class::Throttled => "throttled",
        Class::Missing => "missing",
        Class::Refused => "refused",
        Class::Denied | Class::StreamDenied => "denied",
        Class::Credentials | Class::Signature => "credentials",
        Class::Transient | Class::Exists => "error",
    }
}
