//! Sends sealed segments to the bucket, the oldest first, on a task of its own.

use super::bucket::Bucket;
use super::object::{self, Form};
use super::stage::Stage;
use super::staging::Next;
use crate::export::Troubles;
use crate::export::cloudwatch::failure::{Class, Failure};
use crate::health::Health;
use crate::telemetry;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The pause after a failure that mends itself only when somebody changes something.
const DENIED_PAUSE: Duration = Duration::from_secs(10);
/// Failures in a row after which the agent is not ready: with their pauses, some minutes.
const FAILURES_MANY: u32 = 16;
/// Why it is not.
const NOT_SENT: &str = "archive_not_sent:s3";
const NAME: &str = super::DEFINITION.name;
/// Parts that are ready before they are sent.
const PARTS_READY: usize = 1;

/// What the exporter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// More may come.
    Stopped,
    /// Nothing more comes: send what is there and end. `is_all` says that nothing waits before us.
    Empty {
        /// Whether manifests are complete then.
        is_all: bool,
    },
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Shipper {
    /// What is sent.
    pub(super) stage: Arc<Stage>,
    /// To where.
    pub(super) bucket: Bucket,
    /// How.
    pub(super) form: Form,
    /// For why nothing is sent.
    pub(super) troubles: Arc<Troubles>,
    /// For whoever has to act.
    pub(super) health: Arc<Health>,
}

impl Shipper {
    /// Sends until it is told that nothing more comes, and that is sent.
    pub(super) async fn run(self, mut until: watch::Receiver<Until>) {
        let (mut n_failures, mut is_in_trouble) = (0, false);
        loop {
            let asked = *until.borrow_and_update();
            match self.turn(asked, n_failures > 0).await {
                Ok(true) => {
                    is_in_trouble = is_in_trouble && !self.is_over().await;
                    n_failures = 0;
                }
                Ok(false) if asked != Until::Stopped => return,
                Ok(false) => self.wait(&mut until).await,
                Err(failure) => {
                    self.note_failure(&failure, n_failures).await;
                    let end = Instant::now() + pause(&failure, n_failures);
                    (n_failures, is_in_trouble) = (n_failures + 1, true);
                    tokio::select! {
                        () = sleep_until(end) => {}
                        // One try at once when the end comes, and then with the same pauses.
                        changed = until.changed() => if changed.is_err() { return },
                    }
                }
            }
        }
    }

    /// Sends one segment, or the manifests that the bucket does not have; false when there was neither.
    async fn turn(&self, asked: Until, has_failed: bool) -> Result<bool, Failure> {
        let now = Instant::now();
        let front = self.stage.with(move |staging| {
            staging.seal_old(now);
            Ok(staging.front())
        });
        if let Some(next) = front.await.map_err(|error| self.own(&error.to_string()))? {
            self.ship(next, has_failed).await?;
            return Ok(true);
        }
        let is_complete = asked == (Until::Empty { is_all: true });
        let unsent = self.stage.with(move |staging| {
            if is_complete {
                staging.complete()?;
            }
            Ok(staging.unsent())
        });
        let unsent = unsent.await.map_err(|error| self.own(&error.to_string()))?;
        let is_any = !unsent.is_empty();
        self.send_manifests(unsent).await?;
        Ok(is_any)
    }

    /// The object, then the manifest that names it, then the segment goes. A crash between any two of
    /// these repeats them, with the same keys and the same bytes.
    async fn ship(&self, next: Next, has_failed: bool) -> Result<(), Failure> {
        let number = next.number;
        let shipped = self.try_ship(next, has_failed).await;
        if let Err(failure) = &shipped
            && is_of_one(failure)
        {
            // Others may be taken: it comes again behind them.
            let back = self.stage.with(move |staging| {
                staging.put_back(number);
                Ok(())
            });
            back.await.map_err(|error| self.own(&error.to_string()))?;
        }
        shipped
    }

    async fn try_ship(&self, next: Next, has_failed: bool) -> Result<(), Failure> {
        let (send, pieces) = mpsc::channel(PARTS_READY);
        let (form, redactors) = (self.form.clone(), self.stage.redactors());
        let segment = next.clone();
        let making =
            tokio::task::spawn_blocking(move || object::make(&segment, &form, &redactors, send));
        // A try that failed was given up, if the bucket could be reached then.
        let is_left_over = next.is_left_over || has_failed;
        let content_type = self.form.compression.content_type();
        let put = self.bucket.put_parts(pieces, content_type, is_left_over).await;
        self.count(&put);
        // It ends soon when nobody takes its parts.
        let made = making.await.map_err(Error::other).flatten();
        let unmade = |error: &Error| {
            let told = format!("{}: {error}", next.name);
            Failure::own(Class::Refused, &told, &self.bucket.redactor)
        };
        // Why the segment gave no more says more than that no more came. When nobody took its parts,
        // the bucket says why.
        match (&made, put) {
            (Err(error), _) if error.kind() != ErrorKind::BrokenPipe => return Err(unmade(error)),
            (_, put) => put?,
        }
        let made = made.map_err(|error| unmade(&error))?;
        let object = made.object.clone();
        let manifests = self.stage.with(move |staging| staging.note_object(made));
        let manifests = manifests.await.map_err(|error| self.own(&error.to_string()))?;
        let sent = self.send_manifests(manifests).await;
        // The manifest of another run may be denied.
        let (number, n_damaged_bytes) = (next.number, object.damaged_bytes);
        let removed = self.stage.with(move |staging| {
            let is_told = staging.is_told(number);
            if is_told { staging.remove(number, n_damaged_bytes).map(|()| true) } else { Ok(false) }
        });
        if removed.await.map_err(|error| self.own(&error.to_string()))? {
            telemetry::S3_OBJECTS.add(u64::from(object.key.is_some()));
            telemetry::S3_RECORDS.add(object.records);
            telemetry::S3_SENT_BYTES.add(object.compressed_bytes);
        }
        sent
    }

    /// Sends manifests, others also when one is denied; the first failure.
    async fn send_manifests(&self, manifests: Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
        let mut denied = None;
        for (key, bytes) in manifests {
            let put = self.bucket.put_manifest(&key, bytes).await;
            self.count(&put);
            match put {
                Err(failure) if is_of_one(&failure) => {
                    denied.get_or_insert(failure);
                    continue;
                }
                put => put?,
            }
            let noted = self.stage.with(move |staging| {
                staging.note_sent(&[key]);
                Ok(())
            });
            noted.await.map_err(|error| self.own(&error.to_string()))?;
        }
        denied.map_or(Ok(()), Err)
    }

    fn count(&self, put: &Result<(), Failure>) {
        let outcome = match put.as_ref().map_err(|failure| failure.class) {
            Ok(()) => "ok",
            Err(Class::Throttled) => "throttled",
            Err(Class::Denied | Class::Credentials) => "denied",
            Err(_) => "error",
        };
        telemetry::S3_UPLOADS.add(outcome, 1);
    }

    async fn note_failure(&self, failure: &Failure, n_failures: u32) {
        if failure.class == Class::Credentials {
            self.bucket.renew_client().await;
        }
        // At once, and then once a minute as long as it lasts.
        self.troubles.note(NAME, failure);
        let is_to_act = is_of_one(failure) || failure.class == Class::Credentials;
        if (is_to_act || n_failures >= FAILURES_MANY) && self.health.set_degraded(NOT_SENT, true) {
            tracing::error!(%failure, "the archive is not sent to S3; what is staged waits");
        }
    }

    /// True when something was taken after a failure and nothing waits that was not.
    async fn is_over(&self) -> bool {
        let is_any_put_back = self.stage.with(|staging| Ok(staging.is_any_put_back()));
        if is_any_put_back.await.unwrap_or(true) {
            return false;
        }
        tracing::info!("S3 takes the archive again");
        self.troubles.end(NAME);
        self.health.set_degraded(NOT_SENT, false);
        true
    }

    async fn wait(&self, until: &mut watch::Receiver<Until>) {
        let age = self.stage.with(|staging| Ok(staging.next_age())).await.ok().flatten();
        let age = async {
            match age {
                Some(age) => sleep_until(age).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stage.changed() => {}
            () = age => {}
            // The exporter is gone: whoever asked it to go has ended this task too.
            changed = until.changed() => if changed.is_err() { std::future::pending().await },
        }
    }

    fn own(&self, reason: &str) -> Failure {
        Failure::own(Class::Transient, reason, &self.bucket.redactor)
    }
}

/// True for a failure that others need not share: a policy may deny one prefix, the disk may not give one
/// segment.
fn is_of_one(failure: &Failure) -> bool {
    matches!(failure.class, Class::Denied | Class::Refused)
}

fn pause(failure: &Failure, n_failures: u32) -> Duration {
    let jittered = crate::export::pause(n_failures, PAUSE_MAX);
    match failure.class {
        // Another one is tried first.
        Class::Denied | Class::Refused if n_failures > 0 => jittered.max(DENIED_PAUSE),
        _ => failure.retry_after.map_or(jittered, |asked| asked.min(PAUSE_MAX)),
    }
}
