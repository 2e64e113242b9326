//! What the executors of a run cost so far, by the operator's own prices: an estimate, never a bill.

use crate::config::Section;
use crate::model::{Kind, MetricBatch, MetricDescriptor, Sample, SampleValue};
use crate::scrape::spark::metrics::application::{
    APP_EXECUTOR_CORE_SECONDS, APP_EXECUTOR_MEMORY_SECONDS,
};
use crate::scrape::spark::metrics::descriptor;
use redaction::{Redactor, Value};
use serde::{Deserialize, Serialize};

const SECONDS_PER_HOUR: f64 = 3_600.0;
const BYTES_PER_GIB: f64 = 1_073_741_824.0;

/// What the executors of the run cost so far.
///
/// A gauge: under other prices it may fall.
pub static JOB_COST: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_cost_estimate",
    "",
    "What the executors of the run cost so far, in the currency of [pricing]",
    "spark_app_executor_core_seconds_total and spark_app_executor_memory_byte_seconds_total, with [pricing]",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[&JOB_COST];

/// `[pricing]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Price of one executor core for an hour. Default 0.
    pub vcpu_hour: f64,
    /// Price of one GiB of executor memory for an hour. Default 0; with both 0 there is no estimate.
    pub memory_gib_hour: f64,
    /// Three capital letters, as in ISO 4217. Default `USD`.
    pub currency: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { vcpu_hour: 0.0, memory_gib_hour: 0.0, currency: "USD".to_owned() }
    }
}

impl Config {
    /// Reads the section and holds it to its laws.
    pub(crate) fn configure(section: &mut Section<'_>) -> Self {
        let config: Self = section.parse();
        for (key, price) in
            [("vcpu_hour", config.vcpu_hour), ("memory_gib_hour", config.memory_gib_hour)]
        {
            section.require(key, price >= 0.0 && price.is_finite(), "must be at least 0");
        }
        let currency = config.currency.as_bytes();
        let is_code = currency.len() == 3 && currency.iter().all(u8::is_ascii_uppercase);
        section.require("currency", is_code, "must be three capital letters, such as USD");
        config
    }
}

/// Prices, and what they are in.
#[derive(Debug, Clone)]
pub struct Prices {
    config: Config,
    currency: Value,
}

impl Prices {
    /// None where nothing has a price.
    #[must_use]
    pub fn new(config: &Config, redactor: &Redactor) -> Option<Self> {
        let has_price = config.vcpu_hour > 0.0 || config.memory_gib_hour > 0.0;
        has_price
            .then(|| Self { config: config.clone(), currency: redactor.value(&config.currency) })
    }

    /// Adds the estimate to the samples of a run whose executors are known.
    pub fn add(&self, batch: &mut MetricBatch) {
        let total = |descriptor: &MetricDescriptor| {
            let mut samples = batch.samples.iter();
            match samples.find(|it| it.descriptor.name == descriptor.name)?.value {
                SampleValue::Number(number) => Some(number),
                SampleValue::Histogram(_) => None,
            }
        };
        let Some(core_seconds) = total(&APP_EXECUTOR_CORE_SECONDS) else { return };
        let byte_seconds = total(&APP_EXECUTOR_MEMORY_SECONDS).unwrap_or_default();
        let cost = core_seconds / SECONDS_PER_HOUR * self.config.vcpu_hour
            + byte_seconds / BYTES_PER_GIB / SECONDS_PER_HOUR * self.config.memory_gib_hour;
        let labels = vec![("currency", self.currency.clone())];
        batch.samples.push(Sample::number(&JOB_COST, labels, cost));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        APP_EXECUTOR_CORE_SECONDS, APP_EXECUTOR_MEMORY_SECONDS, Config, Prices, Redactor, Sample,
    };
    use crate::model::MetricBatch;
    use crate::scrape::samples::number;
    use std::sync::Arc;

    fn batch(core_seconds: Option<f64>) -> MetricBatch {
        let cores = core_seconds.map(|it| Sample::number(&APP_EXECUTOR_CORE_SECONDS, vec![], it));
        // Two hours of 8 GiB.
        let memory = 2.0 * 3_600.0 * f64::from(1 << 30) * 8.0;
        let memory = Sample::number(&APP_EXECUTOR_MEMORY_SECONDS, vec![], memory);
        MetricBatch {
            resource: Arc::default(),
            labels: vec![],
            created_unix_ms: 0,
            time_unix_ms: 0,
            samples: cores.into_iter().chain([memory]).collect(),
        }
    }

    #[test]
    fn cores_and_memory_have_their_price_by_the_hour() {
        let config = Config { vcpu_hour: 0.05, memory_gib_hour: 0.005, currency: "EUR".to_owned() };
        let prices = Prices::new(&config, &Redactor::new()).unwrap();
        // Four cores for two hours.
        let mut run = batch(Some(8.0 * 3_600.0));
        prices.add(&mut run);
        let cost = number(&run, "job_cost_estimate", &[("currency", "EUR")]).unwrap();
        assert!((cost - (8.0 * 0.05 + 16.0 * 0.005)).abs() < 1e-9, "{cost}");
        let mut of_another_engine = batch(None);
        prices.add(&mut of_another_engine);
        assert_eq!(number(&of_another_engine, "job_cost_estimate", &[]), None);
    }

    #[test]
    fn nothing_is_estimated_without_a_price() {
        assert!(Prices::new(&Config::default(), &Redactor::new()).is_none());
    }
}
