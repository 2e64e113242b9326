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
        names.iter().try_fold(Self::default(), |Self(bits), name| match bit(name) {
            0 => Err(name.as_str()),
            bit => Ok(Self(bits | bit)),
        })
    }

    /// True when the member with that [`bit`] is left out.
    #[must_use]
    pub fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// What stands for a member in the set; 0 for one that is always there. Constant, for what is asked
/// about every record.
pub(super) const fn bit(name: &str) -> u32 {
    let mut index = 0;
    while index < OMITTABLE.len() {
        if is_same(OMITTABLE[index].as_bytes(), name.as_bytes()) {
            return 1 << index;
        }
        index += 1;
    }
    0
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
