//! Limits and names of the service. `model.rs` compares them with the model that AWS publishes.

/// Most events of one call.
pub(crate) const EVENTS_MAX: usize = 10_000;
/// Most bytes of one call: UTF-8 of the messages, and `EVENT_OVERHEAD_BYTES` for each.
pub(crate) const BATCH_BYTES_MAX: usize = 1_048_576;
/// What an event counts beside its message.
pub(crate) const EVENT_OVERHEAD_BYTES: usize = 26;
/// Longest message that is known to pass: the model says "1 MB", Fluent Bit measured this.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1_048_546;
/// Characters of the name of a group or a stream.
pub(crate) const NAME_CHARS_MAX: usize = 512;
/// Older events are refused one by one.
pub(crate) const AGE_MS_MAX: i64 = 14 * DAY_MS;
/// Events further ahead are refused one by one.
pub(crate) const AHEAD_MS_MAX: i64 = 2 * 3_600_000;
/// Events of one call lie less than this apart.
pub(crate) const SPAN_MS: i64 = DAY_MS;
/// A day.
pub(crate) const DAY_MS: i64 = 24 * 3_600_000;
/// Days that a retention can have.
pub(crate) const RETENTION_DAYS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];
/// Classes of a group.
pub(crate) const CLASSES: [&str; 4] = ["STANDARD", "INFREQUENT_ACCESS", "DELIVERY", "ESSENTIALS"];
/// Characters of a KMS key's id.
pub(crate) const KMS_KEY_CHARS_MAX: usize = 256;
/// Tags of one call.
pub(crate) const TAGS_MAX: usize = 50;
/// Characters of a tag's key and of its value.
pub(crate) const TAG_KEY_CHARS_MAX: usize = 128;
pub(crate) const TAG_VALUE_CHARS_MAX: usize = 256;
/// Groups or streams of one page of a Describe call.
pub(crate) const DESCRIBE_MAX: i64 = 50;
/// Events of one page of `GetLogEvents`.
pub(crate) const PAGE_EVENTS_MAX: i64 = 10_000;
/// Calls of a second that the whole account may make.
pub(crate) const CREATE_STREAM_PER_SECOND: usize = 50;
pub(crate) const DESCRIBE_STREAMS_PER_SECOND: usize = 25;
/// Reasons for which an entity is refused while its events are taken.
pub(crate) const ENTITY_REJECTIONS: [&str; 7] = [
    "InvalidEntity",
    "InvalidTypeValue",
    "InvalidKeyAttributes",
    "InvalidAttributes",
    "EntitySizeTooLarge",
    "UnsupportedLogGroupType",
    "MissingRequiredFields",
];
/// Names that a key attribute of an entity can have.
pub(crate) const ENTITY_KEYS: [&str; 5] =
    ["Type", "ResourceType", "Identifier", "Name", "Environment"];
/// Pairs of an entity's two maps, and characters of their keys and values.
pub(crate) const ENTITY_KEY_ATTRIBUTES: std::ops::RangeInclusive<usize> = 2..=4;
pub(crate) const ENTITY_ATTRIBUTES_MAX: usize = 10;
pub(crate) const ENTITY_KEY_ATTRIBUTE_CHARS_MAX: usize = 32;
pub(crate) const ENTITY_ATTRIBUTE_CHARS_MAX: usize = 256;
pub(crate) const ENTITY_VALUE_CHARS_MAX: usize = 512;

/// The model's own text for the names below.
pub(crate) const GROUP_PATTERN: &str = r"[\.\-_/#A-Za-z0-9]+";
pub(crate) const STREAM_PATTERN: &str = "[^:*]*";
pub(crate) const TAG_KEY_PATTERN: &str = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$";
pub(crate) const TAG_VALUE_PATTERN: &str = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$";

/// What is wrong with the name of a group.
pub(crate) fn group_problem(name: &str) -> Option<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#".contains(c);
    length_problem("logGroupName", name, 1, NAME_CHARS_MAX)
        .or_else(|| pattern_problem("logGroupName", name, GROUP_PATTERN, is_allowed))
}

/// What is wrong with the name of a stream.
pub(crate) fn stream_problem(name: &str) -> Option<String> {
    let is_allowed = |c: char| c != ':' && c != '*';
    length_problem("logStreamName", name, 1, NAME_CHARS_MAX)
        .or_else(|| pattern_problem("logStreamName", name, STREAM_PATTERN, is_allowed))
}

/// What is wrong with one tag. Space stands for every separator of Unicode (`\p{Z}`).
pub(crate) fn tag_problem(key: &str, value: &str) -> Option<String> {
    let is_allowed =
        |c: char| c.is_alphabetic() || c.is_numeric() || c == ' ' || "_.:/=+-@".contains(c);
    length_problem("tags.key", key, 1, TAG_KEY_CHARS_MAX)
        .or_else(|| pattern_problem("tags.key", key, TAG_KEY_PATTERN, is_allowed))
        .or_else(|| length_problem("tags.value", value, 0, TAG_VALUE_CHARS_MAX))
        .or_else(|| pattern_problem("tags.value", value, TAG_VALUE_PATTERN, is_allowed))
}

/// What is wrong with the length, in the service's words. It counts UTF-16 units, as Java does.
pub(crate) fn length_problem(member: &str, value: &str, min: usize, max: usize) -> Option<String> {
    let units = value.encode_utf16().count();
    let constraint = match units {
        _ if units < min => format!("Member must have length greater than or equal to {min}"),
        _ if units > max => format!("Member must have length less than or equal to {max}"),
        _ => return None,
    };
    Some(constraint_problem(member, value, &constraint))
}

/// The service's words for a member that breaks a constraint of the model.
pub(crate) fn constraint_problem(member: &str, value: &str, constraint: &str) -> String {
    let shown: String = value.chars().take(40).collect();
    format!(
        "1 validation error detected: Value '{shown}' at '{member}' failed to satisfy \
         constraint: {constraint}"
    )
}

fn pattern_problem(
    member: &str,
    value: &str,
    pattern: &str,
    is_allowed: impl Fn(char) -> bool,
) -> Option<String> {
    let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
    (!value.chars().all(is_allowed)).then(|| constraint_problem(member, value, &constraint))
}
