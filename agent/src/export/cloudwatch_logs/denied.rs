//! Log groups and streams that take nothing, and for how long each is left alone.

use super::super::cloudwatch::failure::{Class, Failure};
use super::super::cloudwatch::target::Target;
use redaction::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long one is left alone at first, and at most.
const PAUSE_MIN: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How many are remembered; over it, those that may be asked again are forgotten.
const REMEMBERED_MAX: usize = 1_000;

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Denied(HashMap<String, Pause>);

#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
    reason: Value,
}

/// What is left alone now.
#[derive(Debug)]
pub(super) struct LeftAlone {
    /// The group, or the stream as `GROUP:STREAM`: neither name has a colon.
    pub(super) name: String,
    pub(super) reason: Value,
    pub(super) retry_after: Duration,
}

/// The name of the stream alone.
fn stream(target: &Target) -> String {
    format!("{}:{}", target.group, target.stream)
}

impl Denied {
    fn of(&self, target: &Target) -> impl Iterator<Item = (String, &Pause)> {
        let names = [target.group.clone(), stream(target)].into_iter();
        names.filter_map(|name| self.0.get(&name).map(|pause| (name, pause)))
    }

    /// True when it took nothing the last time that it was asked.
    pub(super) fn has(&self, target: &Target) -> bool {
        self.of(target).next().is_some()
    }

    /// What of `target` is not to be asked now.
    pub(super) fn now(&self, target: &Target) -> Option<LeftAlone> {
        let now = Instant::now();
        let (name, pause) = self.of(target).find(|(_, pause)| pause.until > now)?;
        let (reason, retry_after) = (pause.reason.clone(), pause.until - now);
        Some(LeftAlone { name, reason, retry_after })
    }

    /// Notes what `target` said: one that takes nothing is left alone for longer each time, until it
    /// takes something.
    pub(super) fn note(&mut self, target: &Target, failure: Option<&Failure>, is_taken: bool) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.retain(|_, pause| pause.until > Instant::now());
        }
        let denied = failure.and_then(|failure| match failure.class {
            Class::Denied => Some((target.group.clone(), failure)),
            Class::StreamDenied => Some((stream(target), failure)),
            _ => None,
        });
        if let Some((name, failure)) = denied {
            let before = self.0.get(&name);
            if before.is_some_and(|pause| pause.until > Instant::now()) {
                // Another stream of the group has told so in the same call.
                return;
            }
            let longer = || before.map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
            // What is throttled mends itself, and tells how long that takes.
            let length = failure.retry_after.map_or_else(longer, |asked| asked.min(PAUSE_MAX));
            let (until, reason) = (Instant::now() + length, failure.reason.clone());
            self.0.insert(name, Pause { until, length, reason });
        } else if is_taken {
            self.0.remove(&target.group);
            self.0.remove(&stream(target));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Denied, Failure, PAUSE_MAX, PAUSE_MIN, REMEMBERED_MAX, Target};
    use redaction::Redactor;
    use std::time::Duration;
    use tokio::time::advance;

    fn target(group: &str, stream: &str) -> Target {
        Target { group: group.to_owned(), stream: stream.to_owned() }
    }

    fn deny(denied: &mut Denied, target: &Target, class: Class) {
        let failure = Failure::own(class, "no", &Redactor::new());
        denied.note(target, Some(&failure), false);
    }

    fn left_alone(denied: &Denied, target: &Target) -> Option<(String, Duration)> {
        denied.now(target).map(|it| (it.name, it.retry_after))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_cannot_be_made_leaves_the_others_of_its_group_alone() {
        let mut denied = Denied::default();
        let (a, b) = (target("g", "a"), target("g", "b"));
        deny(&mut denied, &a, Class::StreamDenied);
        assert_eq!(left_alone(&denied, &a), Some(("g:a".to_owned(), PAUSE_MIN)));
        assert_eq!(left_alone(&denied, &b), None);
        denied.note(&b, None, true);
        assert!(denied.has(&a));
        deny(&mut denied, &b, Class::Denied);
        assert_eq!(left_alone(&denied, &target("g", "c")), Some(("g".to_owned(), PAUSE_MIN)));
        denied.note(&a, None, true);
        assert!(!denied.has(&a) && !denied.has(&b));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_within_bounds_and_so_does_what_is_remembered() {
        let (mut denied, a) = (Denied::default(), target("g", "a"));
        let mut length = PAUSE_MIN;
        for _ in 0..10 {
            deny(&mut denied, &a, Class::Denied);
            deny(&mut denied, &target("g", "b"), Class::Denied);
            assert_eq!(left_alone(&denied, &a), Some(("g".to_owned(), length)));
            advance(length).await;
            assert_eq!(left_alone(&denied, &a), None);
            length = (length * 2).min(PAUSE_MAX);
        }
        for n in 0..REMEMBERED_MAX + 10 {
            deny(&mut denied, &target(&n.to_string(), "a"), Class::Denied);
            advance(PAUSE_MIN).await;
        }
        assert!(denied.0.len() <= REMEMBERED_MAX, "{}", denied.0.len());
    }
}
