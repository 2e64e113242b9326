//! Regular expressions that say where each of the 18 types may be found, for the engines that the
//! crate is compared with.
//!
//! A locator is a superset of its detector: what it hits is decided by the crate. It ends as early
//! as it can, because an engine without start of match reports every end, and uses only what both
//! `regex` and vectorscan understand.

/// The types that all engines look for.
pub(crate) const ENTITIES: &[&str] = &[
    "EMAIL",
    "CREDIT_CARD",
    "US_SSN",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "IBAN",
    "PHONE",
    "AWS_KEY_ID",
    "JWT",
    "GITHUB_TOKEN",
    "SLACK_TOKEN",
    "GOOGLE_API_KEY",
    "URL_USERINFO",
    "KEY_VALUE_SECRET",
    "AUTH_HEADER",
    "PRIVATE_KEY",
    "PRESIGNED_SIGNATURE",
];

/// One regular expression; bytes, no Unicode, `^` at every line.
pub(crate) struct Locator {
    pub(crate) entity: &'static str,
    pub(crate) pattern: String,
}

/// What precedes a number that begins a word: an escape is not part of the word.
const WORD_START: &str = r"(?:\b|\\[nrtbf]|\\u[0-9A-Fa-f]{4})";

/// What stands between the last word of a key and its value: closing quotes, blanks, a joint.
const JOINT: &str =
    concat!(r#"\\{0,7}(?:u0022|["'`]\]?)?[ \t]{0,16}"#, r#"(?:=|:|->|%3[da]|\\|,|>|</name>|["'])"#);

/// Where a key begins whose value may follow a mere blank: `--key v`, or a line of properties.
const BLANK_KEY: &str = r"(?:^|--)[a-z0-9_.$-]*";

/// Last words of keys whose value is secret.
const SECRET_WORD: &str = concat!(
    r"(?:pwd|pass(?:word|wd|phrase)?|bindpw|identified by|secret(?: ?key|string)?|token",
    r"|credentials?|auth\.user\.info|redis\.auth",
    r"|(?:api|access|secret|private|account|encryption|signing|shared|auth|master|keystore",
    r"|service|hmac|ssh)[ _.-]?key|account\.key\.[a-z0-9.-]{1,128})\d{0,2}(?:[-_.]?value)?"
);

/// Names of URL parameters that sign the request.
const SIGNATURE_WORD: &str = concat!(
    r"(?:[?&;]sig|[?&]signature|(?:amz|goog)-signature|amz-security-token",
    r"|(?:amz|goog)-credential)"
);

/// One locator a type; two for the two kinds of addresses.
pub(crate) fn locators() -> Vec<Locator> {
    let locator = |entity, pattern: &str| Locator { entity, pattern: pattern.to_owned() };
    let formatted = |entity, pattern: String| Locator { entity, pattern };
    vec![
        locator(
            "EMAIL",
            concat!(
                r"[A-Za-z0-9._%+'\x80-\xff-](?:@|%40|\\[uU]0040)[A-Za-z0-9._\x80-\xff-]+\.",
                r"(?:[A-Za-z\x80-\xff]{2}|[Xx][Nn]--)"
            ),
        ),
        formatted(
            "CREDIT_CARD",
            format!(
                r"{WORD_START}(?:(?:[2-6]\d{{11,18}}|1800\d{{11}})\b|[1-6]\d{{3}}[ -](?:\d{{4}}[ -]\d{{4}}[ -]\d{{4}}|\d{{6}}[ -]\d{{4}}))"
            ),
        ),
        locator("US_SSN", r"\d{3}-\d{2}-\d{4}"),
        locator("IP_ADDRESS", r"\d\.\d{1,3}\.\d{1,3}\.\d"),
        locator(
            "IP_ADDRESS",
            r"::[0-9A-Fa-f]|[0-9A-Fa-f]::|[0-9A-Fa-f](?::[0-9A-Fa-f]{1,4}){5}[:.][0-9A-Fa-f]",
        ),
        locator(
            "MAC_ADDRESS",
            concat!(
                r"[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})",
                r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"
            ),
        ),
        locator("IBAN", r"[A-Z]{2}\d{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4} ?[A-Z0-9]{3}"),
        locator(
            "PHONE",
            r"\+\(?\d(?:[ ().-]{0,3}\d){6}|\(\d{3}\) ?\d{3}[-. ]\d{4}|\b\d{3}[-.]\d{3}[-.]\d{4}\b",
        ),
        locator("AWS_KEY_ID", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{4}"),
        locator("JWT", r"eyJ[A-Za-z0-9_=-]{9}"),
        locator("GITHUB_TOKEN", r"gh[pousr]_[A-Za-z0-9]{4}|github_pat_[A-Za-z0-9]{4}"),
        locator("SLACK_TOKEN", r"xox[a-z]-[A-Za-z0-9]|xapp-\d|hooks\.slack\.com/"),
        locator("GOOGLE_API_KEY", r"AIza[A-Za-z0-9_-]{4}|GOCSPX-|ya29\."),
        locator(
            "URL_USERINFO",
            r#"(?::(?://|\\/\\/)|jdbc:oracle:(?:thin|oci):)[^\x00- "<>\\`\x7f]+@"#,
        ),
        formatted(
            "KEY_VALUE_SECRET",
            format!(r"(?i)(?:{SECRET_WORD}{JOINT}|{BLANK_KEY}{SECRET_WORD}[ \t])"),
        ),
        formatted(
            "AUTH_HEADER",
            format!(
                r"(?i)(?:authorization{JOINT}|{BLANK_KEY}authorization[ \t]|(?:bearer|basic)[ \t]{{1,16}}[a-z0-9._~+/=-]{{8}})"
            ),
        ),
        locator("PRIVATE_KEY", r"(?i)-----BEGIN[a-z0-9 ]{0,64}PRIVATE KEY"),
        formatted("PRESIGNED_SIGNATURE", format!(r"(?i){SIGNATURE_WORD}{JOINT}")),
    ]
}
