//! Tokens of mail, chat, payment and sign-on services, by the formats that they document, and webhooks
//! whose path is all that it takes to post to them.

use super::token::{Head, Token, is_base64url, is_mixed, is_random, is_varied};

/// Webhooks: a number of 17 digits or more and 68 others
/// (<https://discord.com/developers/docs/resources/webhook>).
pub(crate) const DISCORD_WEBHOOK: Token = Token {
    entity: "DISCORD_WEBHOOK",
    prefixes: &[
        "discord.com/api/webhooks/",
        "discordapp.com/api/webhooks/",
        "discord.com/api/v8/webhooks/",
        "discord.com/api/v9/webhooks/",
        "discord.com/api/v10/webhooks/",
    ],
    alphabet: |b| is_base64url(b) || b == b'/',
    least: 32,
    positive: &[
        "POST https://discord.com/api/webhooks/«123456789012345678/kQ2mX7vB9nL4_pR8wT1yZ-a1B2c3D4» 404",
        r#"{"url":"https://ptb.discordapp.com/api/webhooks/«123456789012345678/Zz9Yy8Xx7Ww6Vv5Uu4»?wait=true"}"#,
        "WARN Alerting: HTTPS://DISCORD.COM/API/V10/WEBHOOKS/«123456789012345678/kQ2mX7vB9nL4pR8wT1yZ»",
    ],
    negative: &[
        "https://discord.com/api/webhooks/ and https://discord.com/api/webhooks/help of",
        "GET https://discord.com/api/v10/channels/123456789012345678/messages 200",
        "https://notdiscord.com/api/webhooks/123456789012345678/kQ2mX7vB9nL4pR8wT1yZ",
    ],
    ..Token::PLAIN
};

/// 32 hex digits, a hyphen and the data centre, `us` with a number.
pub(crate) const MAILCHIMP_KEY: Token = Token {
    entity: "MAILCHIMP_KEY",
    prefixes: &[],
    inner: &["-us"],
    head: Head { alphabet: |b| b.is_ascii_hexdigit(), least: 32, most: 32, ..Head::NONE },
    alphabet: |b| b.is_ascii_digit(),
    least: 1,
    proof: |body| body.len() <= 2,
    is_reserved: false,
    positive: &[
        "WARN Mailer: 401 with «9f8e7d6c5b4a39281706f5e4d3c2b1a0-us21» for digest",
        r#"{"msg":"sent\n«0123456789abcdef0123456789abcdef-us6»\n"}"#,
        "https://us5.api.mailchimp.com/3.0/?k=«9f8e7d6c5b4a39281706f5e4d3c2b1a0-us5»&n=1",
    ],
    negative: &[
        "bucket 9f8e7d6c5b4a39281706f5e4d3c2b1a0-us-east-1 and 9f8e7d6c5b4a39281706f5e4d3c2b1a0-user1",
        "9f8e7d6c5b4a39281706f5e4d3c2b1a0-US21 a9f8e7d6c5b4a39281706f5e4d3c2b1a0-us21",
        "deadbeef-us2 and 9f8e7d6c5b4a39281706f5e4d3c2b1a0-us123",
    ],
};

/// `key-` and 32 hex digits.
pub(crate) const MAILGUN_KEY: Token = Token {
    entity: "MAILGUN_KEY",
    prefixes: &["key-"],
    alphabet: |b| b.is_ascii_hexdigit(),
    least: 32,
    proof: |body| body.len() == 32 && is_random(body),
    // Names begin so.
    is_reserved: false,
    positive: &[
        "WARN Mailer: 401 with «key-9f8e7d6c5b4a39281706f5e4d3c2b1a0» for mg.example.com",
        r#"{"msg":"mail\n«key-0123456789abcdef0123456789abcdef»\n"}"#,
        "mail(«key-9f8e7d6c5b4a39281706f5e4d3c2b1a0», x)",
    ],
    negative: &[
        "key-9f8e7d6c of key-value, KEY-9F8E7D6C5B4A39281706F5E4D3C2B1A0 in capitals",
        "monkey-9f8e7d6c5b4a39281706f5e4d3c2b1a0 key-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
        "key-00000000000000000000000000000000 and key-9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0",
    ],
    ..Token::PLAIN
};

/// Tokens of the API behind their scheme `SSWS`: `00` and 40 others.
pub(crate) const OKTA_TOKEN: Token = Token {
    entity: "OKTA_TOKEN",
    prefixes: &["SSWS 00"],
    alphabet: is_base64url,
    least: 28,
    is_reserved: false,
    positive: &[
        "DEBUG Scim: retry with «SSWS 00kQ2mX7vB9nL4-pR8wT1yZa1B2_c3D4e5F6» of dev-1",
        r#"{"headers":["«SSWS 00Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0»"]}"#,
        "scheme «SSWS 00kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6».",
    ],
    negative: &[
        "SSWS 00 of the scheme SSWS and its token, SSWS 0012 is short",
        "ssws 00kq2mx7vb9nl4pr8wt1yza1b2c3d4e5f6 is lower case",
        "XSSWS 00kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6 of another word",
    ],
    ..Token::PLAIN
};

/// Access tokens (`sq0atp-`) and secrets of applications (`sq0csp-`); `sq0idp-` is public.
pub(crate) const SQUARE_TOKEN: Token = Token {
    entity: "SQUARE_TOKEN",
    prefixes: &["sq0atp-", "sq0csp-"],
    alphabet: is_base64url,
    least: 16,
    positive: &[
        "WARN PaymentSink: 401 with «sq0atp-kQ2mX7vB9nL4_pR8wT1y-Z» amount=12.00",
        r#"{"msg":"pay\n«sq0csp-Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6L»\n"}"#,
        "line was cut at «sq0atp-kQ2mX7»",
    ],
    negative: &[
        "sq0idp-kQ2mX7vB9nL4pR8wT1yZ is public, sq0atp- the prefix, sq0atp-kQ2m short",
        "xsq0atp-kQ2mX7vB9nL4pR8wT1yZ SQ0ATP-KQ2MX7VB9NL4PR8WT1YZ",
        "sq0csp-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// Access tokens of Square since 2018: `EAAA` and 60 others.
pub(crate) const SQUARE_ACCESS_TOKEN: Token = Token {
    entity: "SQUARE_ACCESS_TOKEN",
    prefixes: &["EAAAE", "EAAAl", "EAAAF"],
    alphabet: is_base64url,
    least: 55,
    proof: |body| body.len() <= 64 && is_mixed(body),
    // Other base64 may begin so.
    is_reserved: false,
    positive: &[
        "WARN PaymentSink: 401 with «EAAAEkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0» of L1",
        r#"{"msg":"pay\n«EAAAlZz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6Ll5Kk4Jj3Ii2Hh1Gg»\n"}"#,
        "pay(«EAAAFZz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6Ll5Kk4Jj3Ii2Hh1Gg», x)",
    ],
    negative: &[
        "blob EAAAEkQ2mX7vB9nL4pR8w is short, eaaaekq2mx7vb9nl4pr8wt1yza1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8",
        "xEAAAEkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0",
        "EAAAEkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0kQ2mX7vB9nL4pR8wT1yZ is longer",
    ],
    ..Token::PLAIN
};

/// Incoming webhooks of connectors: ids of group, tenant and owner, and 32 hex digits between.
pub(crate) const TEAMS_WEBHOOK: Token = Token {
    entity: "TEAMS_WEBHOOK",
    prefixes: &[
        "webhook.office.com/webhookb2/",
        "outlook.office.com/webhook/",
        "outlook.office365.com/webhook/",
    ],
    alphabet: |b| is_base64url(b) || matches!(b, b'/' | b'@' | b'%'),
    least: 32,
    proof: is_varied,
    positive: &[
        "POST https://acme.webhook.office.com/webhookb2/«9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0@0a1b2c3d-5b4a-3928-1706-f5e4d3c2b1a0/IncomingWebhook/9f8e7d6c5b4a39281706f5e4d3c2b1a0/9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0» 404",
        r#"{"url":"https://outlook.office.com/webhook/«9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0@0a1b/IncomingWebhook/9f8e7d6c»"}"#,
        "WARN Alerting: https://outlook.office365.com/webhook/«9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0%400a1b»",
    ],
    negative: &[
        "https://acme.webhook.office.com/webhookb2/ and https://outlook.office.com/webhook/help of",
        "GET https://outlook.office.com/mail/inbox/id/9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0 200",
        "https://myoutlook.office.com/webhook/9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0/x",
    ],
    ..Token::PLAIN
};
