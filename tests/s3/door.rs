//! A door before moto: lets requests pass, holds them, or answers for it that it cannot now.

use std::io::{Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// It passes.
    Pass,
    /// Those whose first line holds this text wait until the rule changes.
    Hold(&'static str),
    /// It is answered with 503.
    Refuse,
    /// Those whose first line holds this text are answered as a policy that denies them does.
    Deny(&'static str),
}

#[derive(Debug)]
struct State {
    rule: Rule,
    n_held: usize,
    heads: Vec<String>,
}

/// See the head of the file.
#[derive(Debug, Clone)]
pub(super) struct Door {
    state: Arc<(Mutex<State>, Condvar)>,
    port: u16,
}

impl Door {
    /// A door before `127.0.0.1:port`.
    pub(super) fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State { rule: Rule::Pass, n_held: 0, heads: Vec::new() };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let door = Self { state, port: listener.local_addr().unwrap().port() };
        let shared = door.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let door = shared.clone();
                // What the agent does when it is killed breaks its connections.
                std::thread::spawn(move || door.pass(stream, port).is_ok());
            }
        });
        door
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn set(&self, rule: Rule) {
        let mut state = self.state.0.lock().unwrap();
        (state.rule, state.n_held) = (rule, 0);
        self.state.1.notify_all();
    }

    /// Requests that wait under this rule, or have waited.
    pub(super) fn n_held(&self) -> usize {
        self.state.0.lock().unwrap().n_held
    }

    /// Heads of all requests.
    pub(super) fn heads(&self) -> Vec<String> {
        self.state.0.lock().unwrap().heads.clone()
    }

    fn pass(&self, mut client: TcpStream, port: u16) -> Result<()> {
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") {
            if client.read(&mut byte)? == 0 {
                return Ok(());
            }
            request.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&request).into_owned();
        if head.to_ascii_lowercase().contains("expect: 100-continue") {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let value = |name: &str| {
            let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(name);
            head.lines().find(is_it).and_then(|line| line.split(':').nth(1)?.trim().parse().ok())
        };
        let mut body = vec![0; value("content-length:").unwrap_or(0)];
        client.read_exact(&mut body)?;
        let mut state = self.state.0.lock().unwrap();
        state.heads.push(head.clone());
        if let Rule::Hold(text) = state.rule
            && head.lines().next().unwrap_or_default().contains(text)
        {
            state.n_held += 1;
            let is_held = |state: &mut State| matches!(state.rule, Rule::Hold(_));
            state = self.state.1.wait_while(state, is_held).unwrap();
        }
        let rule = state.rule;
        drop(state);
        match rule {
            Rule::Refuse => {
                return client.write_all(
                    b"HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                );
            }
            Rule::Deny(text) if head.lines().next().unwrap_or_default().contains(text) => {
                let body =
                    "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
                return write!(
                    client,
                    "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
            _ => {}
        }
        let mut server = TcpStream::connect(("127.0.0.1", port))?;
        for line in head.trim_end().lines() {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if !["connection", "expect"].contains(&name.as_str()) {
                write!(server, "{line}\r\n")?;
            }
        }
        server.write_all(b"Connection: close\r\n\r\n")?;
        server.write_all(&body)?;
        std::io::copy(&mut server, &mut client).map(drop)
    }
}
