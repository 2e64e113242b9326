//! Answers the REST calls of a recorded job with what its UI had answered at that time of the run.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// One recorded answer.
#[derive(Debug, Deserialize)]
struct Answer {
    at_ms: u64,
    path: String,
    status: u16,
    body: Box<RawValue>,
}

/// All answers of a run, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Recording(Vec<Answer>);

impl Recording {
    pub(super) fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).expect("the recording in the binary is whole"))
    }

    /// The last answer to `path` before `at_ms`. Queries only choose what the recording has anyway.
    fn find(&self, path: &str, at_ms: u64) -> Option<&Answer> {
        let is_asked =
            |answer: &&Answer| answer.at_ms <= at_ms && answer.path.split('?').next() == Some(path);
        self.0.iter().rev().find(is_asked)
    }

    fn duration_ms(&self) -> u64 {
        self.0.last().map_or(0, |answer| answer.at_ms + 1)
    }
}

/// Serves `recording`, squeezed into `replay`, on a free port of the loopback address.
pub(super) async fn start(
    recording: Recording,
    began: Instant,
    replay: Duration,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let recording = Arc::new(recording);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let recording = recording.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let position = began.elapsed().as_secs_f64() / replay.as_secs_f64();
                let at_ms = (position * recording.duration_ms() as f64) as u64;
                let response = respond(&recording, request.uri().path(), at_ms);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(async move {
                // A connection that breaks is the client's business.
                let _ = connection.await;
            });
        }
    });
    Ok(address)
}

fn respond(recording: &Recording, path: &str, at_ms: u64) -> Response<Full<Bytes>> {
    let (status, body) = match recording.find(path, at_ms) {
        Some(answer) => (answer.status, answer.body.get().to_owned()),
        None if path == "/api/v1/applications" => (200, "[]".to_owned()),
        None => (404, "\"not yet\"".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::Recording;
    use crate::demo::REST_ANSWERS;

    #[test]
    fn the_recording_shows_the_state_of_its_time() {
        let recording = Recording::parse(REST_ANSWERS);
        let jobs = recording.0.iter().find(|answer| answer.path.ends_with("/jobs")).unwrap();
        let early = recording.find(&jobs.path, jobs.at_ms).unwrap();
        let late = recording.find(&jobs.path, u64::MAX).unwrap();
        assert!(
            early.body.get().len() < late.body.get().len(),
            "jobs are added as the run goes on"
        );
        assert!(recording.find(&jobs.path, 0).is_none());
    }
}
