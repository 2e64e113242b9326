//! Which members a destination leaves out of its records, where it is paid by the byte.

/// Members that may be left out. The rest is what a record is: its body, its severity, its times, and
/// that it was cut.
pub const OMITTABLE: [&str; 20] = [
    "logger",
    "thread",
    "exception_type",
    "job_id",
    "job_name",
    "run_id",
    "user_id",
    "run_context",
    "source_data_path",
    "engine",
    "component",
    "executor_id",
    "stage_id",
    "task_id",
    "trace_id",
    "span_id",
    "trace_id_origin",
    "file",
    "offset",
    "host",
];

/// A set of [`OMITTABLE`] members.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Omitted(u32);

impl Omitted {
    /// The set of `names`.
    ///
    /// # Errors
    /// The first of them that is none of [`OMITTABLE`].
    pub fn new(names: &[String]) -> Result<Self, &str> {
        names.iter().try_fold(Self::default(), |Self(bits), name| {
            let index = OMITTABLE.iter().position(|known| known == name).ok_or(name.as_str())?;
            Ok(Self(bits | 1 << index))
        })
    }

    /// True when the member is left out.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        let index = OMITTABLE.iter().position(|known| *known == name);
        index.is_some_and(|index| self.0 >> index & 1 == 1)
    }
}
