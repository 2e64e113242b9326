//! Requests of one round: what an error costs, and request lines that Flink takes.

use crate::scrape::http::{Client, HttpError};
use crate::scrape::meter::Meter;
use serde::de::DeserializeOwned;
use std::fmt::Write;

/// Longest path with query in bytes. Flink answers 404 to request lines of more than 4,096 bytes; the
/// rest is for the method, the version and the path of a proxy.
pub(super) const PATH_BYTES_MAX: usize = 3_800;
/// Answers that may time out in one round, before the rest of it waits for the next one.
const TIMEOUTS_MAX: u32 = 1;

/// One round of requests to one JobManager. It can only ask: there is no other method than GET.
pub(super) struct Round<'a> {
    pub(super) client: &'a mut Client,
    pub(super) meter: &'a mut Meter,
    /// The first error that cost a part of the round.
    pub(super) trouble: Option<HttpError>,
    n_timeouts: u32,
}

impl<'a> Round<'a> {
    pub(super) fn new(client: &'a mut Client, meter: &'a mut Meter) -> Self {
        Self { client, meter, trouble: None, n_timeouts: 0 }
    }

    /// Asks for what the round cannot go on without.
    pub(super) async fn need<T>(&mut self, path: &str) -> Result<T, HttpError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.client.get(path, self.meter).await
    }

    /// Asks for a part. None when this part cannot be had; an error ends the round.
    pub(super) async fn part<T>(&mut self, path: &str) -> Result<Option<T>, HttpError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        match self.client.get(path, self.meter).await {
            Ok(answer) => Ok(Some(answer)),
            // This version does not know it, or it ended just now.
            Err(HttpError::NotFound) => Ok(None),
            Err(error @ HttpError::Timeout(_)) if self.n_timeouts < TIMEOUTS_MAX => {
                self.n_timeouts += 1;
                self.trouble.get_or_insert(error);
                Ok(None)
            }
            Err(error) if error.concerns_target() => Err(error),
            Err(error) => {
                self.trouble.get_or_insert(error);
                Ok(None)
            }
        }
    }
}

/// Paths that ask for all metrics of `ids` below `base`. None is over [`PATH_BYTES_MAX`], as long as
/// each id [`fits`].
pub(super) fn paths<'a>(base: &str, ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for id in ids {
        let id = encoded(id);
        match paths.last_mut() {
            Some(path) if path.len() + 1 + id.len() <= PATH_BYTES_MAX => {
                path.push(',');
                path.push_str(&id);
            }
            _ => paths.push(format!("{base}?get={id}")),
        }
    }
    paths
}

/// True if `id` can be asked for below `base`.
pub(super) fn fits(base: &str, id: &str) -> bool {
    base.len() + "?get=".len() + encoded(id).len() <= PATH_BYTES_MAX
}

/// Ids hold names of operators, in which anything may stand.
fn encoded(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{PATH_BYTES_MAX, fits, paths};

    #[test]
    fn every_id_is_asked_for_once_and_no_line_is_too_long() {
        let ids: Vec<String> =
            (0..400).map(|n| format!("Calc(select=[käse, {n}]).numRecordsIn")).collect();
        let paths = paths("/jobs/a/metrics", ids.iter().map(String::as_str));
        assert!(paths.len() > 1 && paths.iter().all(|path| path.len() <= PATH_BYTES_MAX));
        let asked: usize = paths.iter().map(|path| path.matches(',').count() + 1).sum();
        assert_eq!(asked, ids.len());
        assert!(
            paths[0].starts_with("/jobs/a/metrics?get=Calc%28select%3D%5Bk%C3%A4se%2C%200%5D%29.")
        );
        assert!(!fits("/jobs/a", &"x".repeat(PATH_BYTES_MAX)));
    }
}
