//! Chooses the format of `/metrics` from the `Accept` header.

/// A text format that Prometheus reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text format 0.0.4, which everything reads.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Chooses by an `Accept` header (RFC 9110, 12.5.1); empty means anything goes.
    ///
    /// OpenMetrics is sent only to those who name it and like it no less than plain text, so a
    /// browser or curl gets text. Nobody is refused: text is the answer to everything else.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        let mut open_metrics = 0.0_f32;
        let mut text = 0.0_f32;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let mut version = "";
            let mut quality = 1.0;
            for (key, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
                match key.trim().to_ascii_lowercase().as_str() {
                    "version" => version = value.trim().trim_matches('"'),
                    // A weight that is no number counts as the least, not as the default of 1.
                    "q" => quality = value.trim().parse::<f32>().unwrap_or(0.0),
                    _ => {}
                }
            }
            match (media.as_str(), version) {
                ("application/openmetrics-text", "" | "1.0.0") => {
                    open_metrics = open_metrics.max(quality);
                }
                ("text/plain" | "text/*" | "*/*", _) => text = text.max(quality),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of this format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Format::{self, OpenMetrics, Text};

    #[track_caller]
    fn check(accept: &str, want: Format) {
        assert_eq!(Format::negotiate(accept), want, "{accept}");
    }

    #[test]
    fn prometheus_gets_openmetrics_in_every_version() {
        // What 2.42 and 3.x send (scrape/scrape.go of those releases).
        let v2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let v3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        check(v2, OpenMetrics);
        check(v3, OpenMetrics);
    }

    #[test]
    fn people_and_old_readers_get_plain_text() {
        check("", Text);
        check("*/*", Text);
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Text);
        check("text/plain;version=0.0.4", Text);
        check("application/openmetrics-text; version=0.0.1", Text);
        check("application/json", Text);
    }

    #[test]
    fn weights_decide_between_the_two() {
        check("application/openmetrics-text;q=0.5, text/plain", Text);
        check("application/openmetrics-text, text/plain", OpenMetrics);
        check(
            "text/plain; q=0.3, Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.4",
            OpenMetrics,
        );
        check("application/openmetrics-text;q=0", Text);
        check("application/openmetrics-text;q=NaN,", Text);
        check("application/openmetrics-text;q=;;=,;", Text);
    }
}
