//! Rules of the config.

use crate::detectors::Detector;
use crate::policy::{CustomRule, Problem};

/// Rules made ready.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub(crate) detectors: Vec<Box<dyn Detector>>,
    pub(crate) slow: Vec<String>,
}

pub(crate) fn compile(_: &[CustomRule]) -> Result<Compiled, Vec<Problem>> {
    Ok(Compiled::default())
}
