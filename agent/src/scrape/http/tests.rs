//! One test per decision that an answer can lead to.

use super::{Client, HttpError, Limits, UrlError};
use crate::scrape::fake_ui::{FakeUi, Reply};
use crate::scrape::meter::{Meter, Outcome};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

const SECRET: &str = "jane.doe@example.com";

fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        first_response: Duration::from_secs(5),
        response: Duration::from_secs(5),
        response_bytes_max: 1_000,
    }
}

async fn get(reply: Reply, limits: Limits) -> (Result<Vec<u64>, HttpError>, Meter) {
    let ui = FakeUi::start(move |_| reply.clone()).await;
    let mut client = Client::new(&ui.url(), limits).unwrap();
    let mut meter = Meter::new(Duration::from_secs(1));
    let answer = client.get("/api", &mut meter).await;
    (answer, meter)
}

/// Checks how an answer is counted, and that its error repeats nothing of it.
async fn check(reply: Reply, outcome: Outcome) -> HttpError {
    let (answer, meter) = get(reply, limits()).await;
    let error = answer.unwrap_err();
    assert_eq!(error.outcome(), outcome);
    assert_eq!(meter.stats().requests_with(outcome), 1);
    assert_eq!(meter.stats().requests.iter().sum::<u64>(), 1);
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    error
}

#[tokio::test]
async fn json_is_read_and_its_bytes_are_counted() {
    let (answer, meter) = get(Reply::Json("[1, 2]".to_owned()), limits()).await;
    assert_eq!(answer.unwrap(), [1, 2]);
    assert_eq!(meter.stats().response_bytes, 6);
    assert_eq!(meter.stats().requests_with(Outcome::Ok), 1);
}

#[tokio::test]
async fn a_page_with_status_200_is_not_json() {
    let page = Reply::Other(200, "text/html;charset=utf-8", "<!DOCTYPE html>jane.doe@example.com");
    assert!(matches!(check(page, Outcome::Html).await, HttpError::Html));
}

#[tokio::test]
async fn statuses_lead_to_their_own_errors() {
    let text = |status| Reply::Other(status, "text/plain", SECRET);
    assert!(matches!(check(text(404), Outcome::ClientError).await, HttpError::NotFound));
    let error = check(text(403), Outcome::ClientError).await;
    assert!(matches!(error, HttpError::ClientError(status) if status == 403));
    let error = check(text(500), Outcome::ServerError).await;
    assert!(matches!(error, HttpError::ServerError(status) if status == 500));
    let error = check(text(302), Outcome::Redirected).await;
    assert!(matches!(error, HttpError::Redirected(status) if status == 302));
}

#[tokio::test]
async fn json_that_is_cut_short_or_of_another_shape_names_only_the_place() {
    let cut = Reply::Json("[1,\n 2".to_owned());
    let error = check(cut, Outcome::Parse).await;
    assert!(matches!(error, HttpError::Parse { line: 2, .. }), "{error:?}");
    check(Reply::Json(format!("[\"{SECRET}\"]")), Outcome::Parse).await;
}

#[tokio::test]
async fn a_large_answer_on_the_blocking_pool_gives_the_same_numbers() {
    let numbers: Vec<u64> = (0..50_000).collect();
    let body = serde_json::to_string(&numbers).unwrap();
    let limits = Limits { response_bytes_max: body.len(), ..limits() };
    let (answer, _) = get(Reply::Json(body), limits).await;
    assert_eq!(answer.unwrap(), numbers);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let just_fits = format!("[1111111111{}]", " ".repeat(988));
    assert_eq!(just_fits.len(), 1_000);
    let (answer, _) = get(Reply::Json(just_fits.clone()), limits()).await;
    assert_eq!(answer.unwrap(), [1_111_111_111]);
    let error = check(Reply::Json(just_fits + " "), Outcome::TooLarge).await;
    assert!(matches!(error, HttpError::TooLarge(1_000)));
}

#[tokio::test]
async fn the_first_answer_may_take_longer_than_later_ones() {
    let ui = FakeUi::start(|path| match path {
        "/hang" => Reply::Hang,
        _ => Reply::Json("[]".to_owned()),
    })
    .await;
    let short = Duration::from_millis(20);
    let limits = Limits { response: short, first_response: short * 2, ..limits() };
    let mut client = Client::new(&ui.url(), limits).unwrap();
    let mut meter = Meter::new(Duration::from_secs(1));
    let error = client.get::<Vec<u64>>("/hang", &mut meter).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout(limit) if limit == short * 2));
    // A loaded machine may need more than the limit for this one; the state is what matters.
    client.has_answered = true;
    let error = client.get::<Vec<u64>>("/hang", &mut meter).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout(limit) if limit == short));
    assert_eq!(meter.stats().requests_with(Outcome::Timeout), 2);
    assert!(meter.stats().busy >= short * 3);
}

#[tokio::test]
async fn one_connection_serves_all_requests_until_an_error() {
    let ui = FakeUi::start(|path| match path {
        "/base/ok" => Reply::Json("[]".to_owned()),
        _ => Reply::Other(404, "text/plain", "no"),
    })
    .await;
    let mut client = Client::new(&format!("{}/base/", ui.url()), limits()).unwrap();
    let mut meter = Meter::new(Duration::from_secs(1));
    for path in ["/ok", "/ok", "/missing", "/ok"] {
        let _ = client.get::<Vec<u64>>(path, &mut meter).await;
    }
    assert_eq!(ui.take_requests(), ["/base/ok", "/base/ok", "/base/missing", "/base/ok"]);
    assert_eq!(ui.n_connections(), 2);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_made_again() {
    let first = FakeUi::start(|_| Reply::Json("[1]".to_owned())).await;
    let port = first.port();
    let mut client = Client::new(&first.url(), limits()).unwrap();
    let mut meter = Meter::new(Duration::from_secs(1));
    assert_eq!(client.get::<Vec<u64>>("/", &mut meter).await.unwrap(), [1]);
    first.stop().await;
    let error = client.get::<Vec<u64>>("/", &mut meter).await.unwrap_err();
    assert!(matches!(error, HttpError::Gone { .. }), "{error:?}");
    let _second = FakeUi::start_on(port, |_| Reply::Json("[2]".to_owned())).await;
    assert_eq!(client.get::<Vec<u64>>("/", &mut meter).await.unwrap(), [2]);
}

/// A server that writes `answer` to its first client and ends.
fn serve_once(answer: String) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (url, server)
}

#[tokio::test]
async fn a_connection_that_breaks_within_an_answer_is_told_from_a_missing_ui() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n[";
    let (url, server) = serve_once(head.to_owned());
    let mut client = Client::new(&url, limits()).unwrap();
    let mut meter = Meter::new(Duration::from_secs(1));
    let error = client.get::<Vec<u64>>("/", &mut meter).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken), "{error:?}");
    server.join().unwrap();
    let error = client.get::<Vec<u64>>("/", &mut meter).await.unwrap_err();
    assert!(matches!(error, HttpError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_of_unknown_length_is_refused_when_it_passes_the_limit() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let (url, server) = serve_once(format!("{head}[1{}]", " ".repeat(998)));
    let mut client = Client::new(&url, limits()).unwrap();
    let mut meter = Meter::new(Duration::from_secs(1));
    let error = client.get::<Vec<u64>>("/", &mut meter).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge(1_000)), "{error:?}");
    server.join().unwrap();
}

#[test]
fn only_plain_http_urls_of_a_host_are_taken() {
    let error = |url: &str| Client::new(url, limits()).unwrap_err();
    assert_eq!(error("https://driver:4440"), UrlError::Https);
    for url in ["", "driver:4040", "ftp://driver", "http://user:pw@driver:4040", "http://d/?a=b"] {
        assert_eq!(error(url), UrlError::Malformed, "{url}");
    }
    let client = Client::new("http://driver", limits()).unwrap();
    assert_eq!((client.host(), client.port()), ("driver", 80));
}
