//! A Spark UI that answers as the recorded one did at the end of its run.

use std::io::{Read, Write};
use std::net::TcpListener;

const ANSWERS: &str = include_str!("../fixtures/demo/rest.json");

/// Starts it; it ends with the tests.
pub(super) fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<serde_json::Value> = serde_json::from_str(ANSWERS).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = line.split([' ', '?']).nth(1).unwrap_or_default();
            let is_asked = |answer: &&serde_json::Value| {
                answer["path"].as_str().unwrap().split('?').next() == Some(path)
            };
            let found = answers.iter().rev().find(is_asked);
            let (status, body) = found.map_or((404, String::new()), |answer| {
                (answer["status"].as_u64().unwrap(), answer["body"].to_string())
            });
            let length = body.len();
            // Whoever asked may be gone.
            let _ = write!(
                stream,
                "HTTP/1.1 {status} as recorded\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    port
}
