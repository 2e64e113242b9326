//! One connection of the fake: HTTP, who asks, the faults, the operation, and the record of it.

use super::fake::Shared;
use super::fault::{self, Kind, Moment, Target};
use super::operations::{self, Call, Forced};
use super::state::{Request as Seen, State};
use super::sts::{self, Form};
use super::wire::{Refusal, http_time};
use super::{auth, emf};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// Escaping can make six bytes of one; more than this no batch of 1 MiB needs.
const BODY_BYTES_MAX: usize = 8 << 20;
const JSON: &str = "application/x-amz-json-1.1";
const FORM: &str = "application/x-www-form-urlencoded";
const TARGET: &str = "Logs_20140328.";
const HTML: &str = "<html><body><h1>Blocked by your organisation</h1></body></html>";

type Answer = Response<Full<Bytes>>;

/// Answers the requests of one connection until it ends.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| respond(request, &shared));
    // The client sees the cut; there is nobody else to tell.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A call while it is worked on.
struct Work {
    request_id: String,
    headers: HeaderMap,
    body: Vec<u8>,
    seen: Seen,
    is_sts: bool,
}

/// Counts a call as open until it is dropped, which is also when its client goes away.
struct Open<'a> {
    shared: &'a Shared,
    stream: Option<(String, String)>,
}

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.open += 1;
        state.open_max.total = state.open_max.total.max(state.open);
        Self { shared, stream: None }
    }

    fn set_stream(&mut self, group: &str, stream: &str) {
        let key = (group.to_owned(), stream.to_owned());
        self.shared.state().open_stream(&key);
        self.stream = Some(key);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.open -= 1;
        if let Some(key) = &self.stream {
            state.close_stream(key);
        }
    }
}

/// What becomes of a call.
enum Verdict {
    Done(String),
    Refused(Refusal),
    Empty,
    Html(u16),
    Hang,
    Close,
}

async fn respond(request: Request<Incoming>, shared: &Shared) -> io::Result<Answer> {
    let mut open = Open::new(shared);
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let too_large = body
        .as_ref()
        .err()
        .is_some_and(|error| error.downcast_ref::<http_body_util::LengthLimitError>().is_some());
    let body = match body {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) if too_large => Vec::new(),
        Err(error) => return Err(io::Error::other(error)),
    };
    let mut work = begin(parts.headers, body, shared);
    let mut call = shape(&parts.method, parts.uri.path(), too_large, &work);
    if let Ok(Some(call)) = &call {
        describe(call, &mut work.seen);
        if matches!(call, Call::Put(_)) {
            open.set_stream(&work.seen.group, &work.seen.stream);
        }
    }
    if let Some(delay) = delay(&call, &work, shared) {
        tokio::time::sleep(delay).await;
    }
    let verdict = {
        let mut state = shared.state();
        let verdict = match std::mem::replace(&mut call, Ok(None)) {
            Ok(call) => decide(call, &mut work, &mut state),
            Err(refusal) => Verdict::Refused(refusal),
        };
        record(&verdict, &mut work, shared, &mut state);
        verdict
    };
    match verdict {
        Verdict::Hang => std::future::pending().await,
        Verdict::Close => Err(io::Error::other("closed on request")),
        verdict => Ok(answer(verdict, &work, shared)),
    }
}

fn begin(headers: HeaderMap, body: Vec<u8>, shared: &Shared) -> Work {
    let text = |name: &str| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let is_sts = text("content-type").is_some_and(|kind| kind.starts_with(FORM));
    let operation = if is_sts {
        Form::parse(&body).get("Action").unwrap_or_default().to_owned()
    } else {
        let target = text("x-amz-target").unwrap_or_default();
        target.strip_prefix(TARGET).unwrap_or(&target).to_owned()
    };
    let seen = Seen {
        after: Duration::ZERO,
        operation,
        group: String::new(),
        stream: String::new(),
        n_events: 0,
        bytes: 0,
        body_bytes: body.len(),
        has_entity: false,
        logs_format: text("x-amzn-logs-format"),
        access_key_id: String::new(),
        user_agent: text("user-agent").unwrap_or_default(),
        outcome: String::new(),
    };
    let mut state = shared.state();
    state.n_requests += 1;
    let n = state.n_requests;
    let request_id = format!("{n:08x}-0000-4000-8000-{n:012x}");
    drop(state);
    Work { request_id, headers, body, seen, is_sts }
}

/// What HTTP and JSON say alone; none for a call of STS.
fn shape(
    method: &hyper::Method,
    path: &str,
    too_large: bool,
    work: &Work,
) -> Result<Option<Call>, Refusal> {
    if too_large {
        let rule = "The body is larger than any batch needs.";
        return Err(Refusal { status: 413, ..Refusal::broken("RequestEntityTooLarge", rule) });
    }
    if method != hyper::Method::POST || path != "/" {
        return Err(Refusal::broken("UnknownOperationException", "It is not POST /."));
    }
    if work.is_sts {
        return Ok(None);
    }
    if work.headers.get("content-type").is_none_or(|kind| kind != JSON) {
        let rule = format!("The content type is not {JSON}.");
        return Err(Refusal::broken("SerializationException", &rule));
    }
    let target = work.headers.get("x-amz-target").map(hyper::header::HeaderValue::as_bytes);
    if target.is_none_or(|target| !target.starts_with(TARGET.as_bytes())) {
        let rule = format!("x-amz-target does not begin with {TARGET}");
        return Err(Refusal::broken("UnknownOperationException", &rule));
    }
    Call::parse(&work.seen.operation, &work.body).map(Some)
}

fn describe(call: &Call, seen: &mut Seen) {
    let (group, stream) = call.names();
    (seen.group, seen.stream) = (group.to_owned(), stream.to_owned());
    if let Call::Put(put) = call {
        seen.n_events = put.events().len();
        seen.bytes = put.bytes();
        seen.has_entity = put.entity.is_some();
    }
}

fn delay(call: &Result<Option<Call>, Refusal>, work: &Work, shared: &Shared) -> Option<Duration> {
    let call = call.as_ref().ok()?.as_ref();
    match strike(Moment::Delay, call, &work.seen, &mut shared.state()) {
        Some(Kind::Delay(delay)) => Some(delay),
        _ => None,
    }
}

fn strike(moment: Moment, call: Option<&Call>, seen: &Seen, state: &mut State) -> Option<Kind> {
    let messages = match call {
        Some(Call::Put(put)) => put.events(),
        _ => &[],
    };
    let target = Target {
        operation: &seen.operation,
        group: &seen.group,
        messages,
        has_entity: seen.has_entity,
    };
    fault::strike(&mut state.faults, moment, &target)
}

fn decide(call: Option<Call>, work: &mut Work, state: &mut State) -> Verdict {
    if !work.is_sts {
        match auth::check(&work.headers, "logs", state) {
            Ok(key) => work.seen.access_key_id = key,
            Err(refusal) => return Verdict::Refused(refusal),
        }
    }
    match strike(Moment::Instead, call.as_ref(), &work.seen, state) {
        Some(Kind::Refuse(refusal)) => return Verdict::Refused(refusal),
        Some(Kind::Poison(_)) => {
            let message = "A parameter is specified incorrectly.";
            return Verdict::Refused(Refusal::new("InvalidParameterException", message));
        }
        Some(Kind::Html(status)) => return Verdict::Html(status),
        Some(_) => return Verdict::Empty,
        None => {}
    }
    let done = match call {
        None => sts::answer(&Form::parse(&work.body), &work.headers, state, &work.request_id).map(
            |(key, document)| {
                work.seen.access_key_id = key;
                document
            },
        ),
        Some(call) => do_call(call, &work.seen, state),
    };
    let body = match done {
        Ok(body) => body,
        Err(refusal) => return Verdict::Refused(refusal),
    };
    match strike(Moment::After, None, &work.seen, state) {
        Some(Kind::StoreThenHang) => Verdict::Hang,
        Some(Kind::StoreThenClose) => Verdict::Close,
        Some(_) => Verdict::Empty,
        None => Verdict::Done(body),
    }
}

fn do_call(call: Call, seen: &Seen, state: &mut State) -> Result<String, Refusal> {
    if let (Call::Put(put), Some(format)) = (&call, &seen.logs_format) {
        let now_ms = state.now_ms();
        for problem in emf::batch_problems(format, put.events(), now_ms) {
            state.violate(format!("{} {}/{}: {problem}", seen.operation, seen.group, seen.stream));
        }
    }
    let mut forced = Forced::default();
    // A call that fails anyway uses up no fault.
    if state.stream(&seen.group, &seen.stream).is_some() {
        match strike(Moment::During, Some(&call), seen, state) {
            Some(Kind::Reject { too_old, expired, too_new }) => {
                forced.reject = Some((too_old, expired, too_new));
            }
            Some(Kind::RejectEntity(reason)) => forced.entity = Some(reason),
            _ => {}
        }
    }
    operations::answer(&seen.operation, call, &forced, state).map(|body| body.to_string())
}

fn record(verdict: &Verdict, work: &mut Work, shared: &Shared, state: &mut State) {
    let seen = &mut work.seen;
    seen.after = shared.started.elapsed();
    seen.outcome = match verdict {
        Verdict::Done(_) => "ok".to_owned(),
        Verdict::Refused(refusal) => refusal.code.clone(),
        Verdict::Empty => "empty".to_owned(),
        Verdict::Html(status) => format!("html {status}"),
        Verdict::Hang => "stored, not answered".to_owned(),
        Verdict::Close => "stored, closed".to_owned(),
    };
    if let Verdict::Refused(refusal) = verdict {
        for rule in &refusal.broken {
            state.violate(format!("{} {}/{}: {rule}", seen.operation, seen.group, seen.stream));
        }
    }
    state.remember(seen.clone());
}

fn answer(verdict: Verdict, work: &Work, shared: &Shared) -> Answer {
    let date = http_time(shared.state().now_ms());
    let (status, kind, body) = match verdict {
        Verdict::Done(body) if work.is_sts => (200, "text/xml", body),
        Verdict::Done(body) => (200, JSON, body),
        Verdict::Refused(refusal) if work.is_sts => {
            let document = sts::refusal_document(&refusal, &work.request_id);
            (refusal.status().as_u16(), "text/xml", document)
        }
        Verdict::Refused(refusal) => (refusal.status().as_u16(), JSON, refusal.json()),
        Verdict::Html(status) => (status, "text/html", HTML.to_owned()),
        Verdict::Empty | Verdict::Hang | Verdict::Close => (200, "", String::new()),
    };
    let mut response = Response::builder().status(status).header("date", date);
    if !kind.is_empty() {
        response = response.header("content-type", kind);
    }
    // Neither a proxy nor an empty answer has one.
    if kind == JSON || kind == "text/xml" {
        response = response.header("x-amzn-requestid", &work.request_id);
    }
    response.body(Full::from(body)).expect("the parts of the answer are valid")
}
