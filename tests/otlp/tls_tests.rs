//! Certificates: right ones, wrong ones, none, and new ones.

use super::bed::{Bed, LIMIT};
use super::receiver::Receiver;
use crate::harness::wait;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// An authority and what it has signed, made by openssl in a folder.
struct Authority(PathBuf);

impl Authority {
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        openssl(
            folder,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
             -keyout ca.key -out ca.pem",
        );
        Self(folder.to_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes `NAME.pem` and `NAME.key`, good for `localhost`.
    fn sign(&self, name: &str) {
        fs::write(self.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
        openssl(
            &self.0,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} \
                 -keyout {name}.key -out {name}.csr"
            ),
        );
        openssl(
            &self.0,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                 -extfile names -out {name}.pem"
            ),
        );
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(name)).unwrap()
    }

    /// A receiver with the certificate `server`, that wants one of this authority too or not.
    fn receiver(&self, is_grpc: bool, wants_client: bool) -> Receiver {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate("ca.pem")).unwrap();
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let builder = if wants_client {
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let tls = builder.with_single_cert(vec![self.certificate("server.pem")], key).unwrap();
        Receiver::with_tls(is_grpc, Some(tls))
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn tls_needs_an_authority_that_is_known() {
    for is_grpc in [true, false] {
        let mut bed = Bed::new("");
        let authority = Authority::new(&bed.path("authority"));
        authority.sign("server");
        let other = Authority::new(&bed.path("other"));
        let receiver = authority.receiver(is_grpc, false);
        let of = |ca: PathBuf| {
            let (url, protocol) = (receiver.url(), receiver.protocol());
            format!("endpoint = {url:?}\nprotocol = {protocol:?}\nca_file = {ca:?}\n")
        };
        bed.exporter = of(other.path("ca.pem"));
        bed.start();
        bed.write("a.log", 10);
        wait::until("the log says it", LIMIT, || bed.log().contains("certificate").then_some(()));
        assert_eq!(receiver.seen().len(), 0);
        let told = String::from_utf8(bed.check_online().stdout).unwrap();
        assert!(told.contains("FAILED") && told.contains("certificate"), "{told}");
        bed.stop();
        bed.exporter = of(authority.path("ca.pem"));
        bed.start();
        bed.wait_for(&receiver, 10);
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn mutual_tls_takes_up_a_new_certificate_while_it_runs() {
    for is_grpc in [true, false] {
        let mut bed = Bed::new("");
        let authority = Authority::new(&bed.path("authority"));
        authority.sign("server");
        authority.sign("agent");
        let other = Authority::new(&bed.path("other"));
        other.sign("agent");
        let receiver = authority.receiver(is_grpc, true);
        // The agent reads what these name.
        let (certificate, key) = (bed.path("client.pem"), bed.path("client.key"));
        let give = |authority: &Authority| {
            fs::copy(authority.path("agent.key"), &key).unwrap();
            fs::copy(authority.path("agent.pem"), &certificate).unwrap();
        };
        give(&other);
        bed.exporter = format!(
            "endpoint = {:?}\nprotocol = {:?}\nca_file = {:?}\ncertificate_file = {certificate:?}\n\
             key_file = {key:?}\n",
            receiver.url(),
            receiver.protocol(),
            authority.path("ca.pem"),
        );
        bed.start();
        bed.write("a.log", 10);
        bed.wait_for_metric("sidelight_otlp_requests_total", "outcome=\"transient\"", |n| n > 0.0);
        assert_eq!(receiver.seen().len(), 0);
        // A file that is half written changes nothing.
        fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nhalf").unwrap();
        wait::until("it is told", LIMIT, || bed.log().contains("cannot be read").then_some(()));
        give(&authority);
        bed.wait_for(&receiver, 10);
        bed.wait_for_metric("sidelight_otlp_certificate_reloads_total", "logs", |n| n > 0.0);
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn a_file_that_is_not_there_stops_the_start_with_its_key() {
    let bed = Bed::new("endpoint = \"https://localhost:1\"\nca_file = \"/nowhere/ca.pem\"\n");
    let output = bed.once();
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("[exporters.otlp]") && told.contains("ca_file /nowhere/ca.pem"),
        "{told}"
    );
}

/// A proxy that makes tunnels: what it was asked to connect to, in order.
fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut head) = (stream.unwrap(), Vec::new());
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let Some(target) = head.strip_prefix("CONNECT ") else { continue };
            let target = target.split(' ').next().unwrap().to_owned();
            told.lock().unwrap().push(target.clone());
            let to = TcpStream::connect(target.replace("localhost", "127.0.0.1")).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            for (mut from, mut to) in
                [(stream.try_clone().unwrap(), to.try_clone().unwrap()), (to, stream)]
            {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (port, asked)
}

#[test]
fn a_proxy_of_the_environment_is_used_for_tls() {
    for is_grpc in [true, false] {
        let mut bed = Bed::new("");
        let authority = Authority::new(&bed.path("authority"));
        authority.sign("server");
        let receiver = authority.receiver(is_grpc, false);
        let (port, asked) = proxy();
        bed.exporter = format!(
            "endpoint = {:?}\nprotocol = {:?}\nca_file = {:?}\n",
            receiver.url(),
            receiver.protocol(),
            authority.path("ca.pem")
        );
        let proxy_url = format!("http://127.0.0.1:{port}");
        bed.environment.insert("HTTPS_PROXY".to_owned(), proxy_url);
        bed.environment.insert("NO_PROXY".to_owned(), "example.com".to_owned());
        bed.start();
        bed.write("a.log", 10);
        bed.wait_for(&receiver, 10);
        bed.stop();
        bed.expect_all(&receiver);
        let want = receiver.url().replace("https://", "");
        assert_eq!(*asked.lock().unwrap(), [want]);
    }
}
