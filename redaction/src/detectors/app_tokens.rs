//! Keys of messaging, payment, shop and monitoring services, by the prefixes that they document and
//! registered with GitHub's secret scanning.

use super::token::{Head, Token, is_any_base64, is_base64url, is_mixed, is_random};

/// Tokens of service accounts (`glsa_`), of Grafana Cloud (`glc_`), and old keys (`{"k":"` in base64).
pub(crate) const GRAFANA_TOKEN: Token = Token {
    entity: "GRAFANA_TOKEN",
    prefixes: &["glsa_", "glc_", "eyJrIjoi"],
    alphabet: is_any_base64,
    positive: &[
        "WARN Reporter: push failed with «glsa_kQ2mX7vB9nL4pR8wT1yZ_0a1b2c3d» to loki",
        r#"{"msg":"push\n«glc_eyJvIjoiMSIsIm4iOiJrUTJtWDd2QjluTDRwIn0=»\n"}"#,
        "key («eyJrIjoiT0trUTJtWDd2QjluTDRwUjh3VDF5WiJ9», admin)",
        "line was cut at «glsa_kQ2mX7»",
    ],
    negative: &[
        "glsa_ and glc_count of GLSA_KQ2MX7VB9NL4PR8WT1YZ_0A1B2C3D, glc_rows_7d of",
        "xglsa_kQ2mX7vB9nL4pR8wT1yZ_0a1b2c3d",
        "glc_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// `lin_api_` and 40 others.
pub(crate) const LINEAR_KEY: Token = Token {
    entity: "LINEAR_KEY",
    prefixes: &["lin_api_"],
    positive: &[
        "WARN Alerting: no issue made with «lin_api_kQ2mX7vB9nL4pR8wT1yZ» of team data",
        r#"{"msg":"issue\n«lin_api_Zz9Yy8Xx7Ww6Vv5Uu4Tt3»\n"}"#,
        "line was cut at «lin_api_kQ2mX7»",
    ],
    negative: &[
        "lin_api_ and lin_api_v2 of LIN_API_KQ2MX7VB9NL4PR8WT1YZ",
        "berlin_api_ok xlin_api_kQ2mX7vB9nL4pR8wT1yZ",
        "lin_api_xxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// Keys of users, of ingest, of queries, of browsers and of REST.
pub(crate) const NEW_RELIC_KEY: Token = Token {
    entity: "NEW_RELIC_KEY",
    prefixes: &["NRAK-", "NRII-", "NRIQ-", "NRRA-", "NRJS-", "NRSP-"],
    alphabet: is_base64url,
    least: 16,
    positive: &[
        "WARN Reporter: 403 with «NRAK-KQ2MX7VB9NL4PR8WT1YZ» in eu",
        r#"{"msg":"insert\n«NRII-kQ2mX7vB9nL4pR8wT1yZ»\n"}"#,
        "keys («NRJS-9f8e7d6c5b4a3928170», «NRRA-9f8e7d6c5b4a39281706f5e4»)",
        "line was cut at «NRAK-KQ2MX7»",
    ],
    negative: &[
        "nrak-kq2mx7vb9nl4pr8wt1yz NRAK-1 of",
        "xNRAK-KQ2MX7VB9NL4PR8WT1YZ",
        "NRII-XXXXXXXXXXXXXXXXXXXXXXXX of the docs",
    ],
    ..Token::PLAIN
};

/// `PMAK-`, 24 hex digits, a hyphen and 34 more.
pub(crate) const POSTMAN_KEY: Token = Token {
    entity: "POSTMAN_KEY",
    prefixes: &["PMAK-"],
    alphabet: |b| b.is_ascii_hexdigit() || b == b'-',
    positive: &[
        "INFO Probe: collection with «PMAK-9f8e7d6c5b4a39281706f5e4-d3c2b1a0» of team data",
        r#"{"msg":"probe\n«PMAK-0123456789abcdef01234567-89»\n"}"#,
        "line was cut at «PMAK-9f8e7d»",
    ],
    negative: &[
        "PMAK-1 and pmak-9f8e7d6c5b4a39281706f5e4-d3c2b1a0",
        "xPMAK-9f8e7d6c5b4a39281706f5e4-d3c2b1a0",
        "PMAK-000000000000000000000000-0000000000 of the docs",
    ],
    ..Token::PLAIN
};

/// `SG.`, 22 others, a dot and 43 others.
pub(crate) const SENDGRID_KEY: Token = Token {
    entity: "SENDGRID_KEY",
    prefixes: &["SG."],
    alphabet: |b| is_base64url(b) || b == b'.',
    least: 36,
    proof: is_sendgrid,
    // A sentence and a class may begin so.
    is_reserved: false,
    positive: &[
        "WARN Mailer: 401 with «SG.kQ2mX7vB9nL4pR8wT1yZ.Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2» for digest",
        r#"{"msg":"mail\n«SG.a1B2c3D4_e5F6g7H8-i9.kQ2mX7vB9nL4pR8wT1yZa1B2»."}"#,
        "Mail(«SG.kQ2mX7vB9nL4pR8wT1yZ.Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2», x)",
    ],
    negative: &[
        "MSG.kQ2mX7vB9nL4pR8wT1yZ.Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2 sg.kq2mx7vb9nl4pr8wt1yz.zz9yy8xx7ww6vv5uu4tt3ss2",
        "SG.config.of.the.signal.graph.of.stage.7.and.more.parts",
        "SG.kQ2mX7vB9nL4pR8wT1yZ has no second part",
    ],
    ..Token::PLAIN
};

fn is_sendgrid(body: &[u8]) -> bool {
    let first = body.iter().position(|b| *b == b'.').unwrap_or(0);
    (16..=24).contains(&first) && is_mixed(&body[..first]) && is_random(&body[first..])
}

/// Tokens of organisations (`sntrys_`) and users (`sntryu_`).
pub(crate) const SENTRY_TOKEN: Token = Token {
    entity: "SENTRY_TOKEN",
    prefixes: &["sntrys_", "sntryu_"],
    alphabet: is_any_base64,
    positive: &[
        "INFO Ui: sourcemaps with «sntryu_9f8e7d6c5b4a39281706f5e4d3» of acme",
        r#"{"msg":"upload\n«sntrys_eyJpYXQiOjE3MDAwMDAwMDAuMCwidXJsIjoi_kQ2mX7+vB9n/L4»\n"}"#,
        "line was cut at «sntryu_9f8e7d»",
    ],
    negative: &[
        "sntryu_1 and SNTRYU_9F8E7D6C5B4A39281706F5E4D3 in capitals",
        "xsntryu_9f8e7d6c5b4a39281706f5e4d3",
        "sntrys_xxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// Tokens of apps (`shpat_`, `shpca_`, `shppa_`) and their shared secret (`shpss_`).
pub(crate) const SHOPIFY_TOKEN: Token = Token {
    entity: "SHOPIFY_TOKEN",
    prefixes: &["shpat_", "shpca_", "shppa_", "shpss_"],
    positive: &[
        "INFO Orders: polling with «shpat_9f8e7d6c5b4a39281706f5e4d3» of shop 7",
        r#"{"msg":"hook\n«shpss_0123456789abcdef01234567»\n"}"#,
        "line was cut at «shpca_9f8e7d»",
    ],
    negative: &[
        "shpat_1 and SHPAT_9F8E7D6C5B4A39281706F5E4D3 in capitals",
        "xshpat_9f8e7d6c5b4a39281706f5e4d3",
        "shppa_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// Tokens of bots, users and apps, and the path of incoming webhooks.
pub(crate) const SLACK_TOKEN: Token = Token {
    entity: "SLACK_TOKEN",
    prefixes: &[
        "xoxb-",
        "xoxp-",
        "xoxa-",
        "xoxr-",
        "xoxs-",
        "xoxc-",
        "xoxd-",
        "xoxe-",
        "xoxe.",
        "xapp-",
        "xwfp-",
        "hooks.slack.com/services/",
        "hooks.slack.com/workflows/",
        "hooks.slack.com/triggers/",
    ],
    alphabet: |b| is_any_base64(b) || b == b'.',
    least: 16,
    positive: &[
        "WARN Alerting: slack post failed for «xoxb-123456-123456-kQ2mX7vB9nL4»",
        r#"{"msg":"rotated\n«xoxe.xoxp-1-kQ2mX7vB9nL4pR8wT1yZ»\n"}"#,
        "POST https://hooks.slack.com/services/«T0KQ2M/B0X7VB/kQ2mX7vB9nL4» 404",
        "socket «xapp-1-A0KQ2M-123456-9f8e7d6c», session «xoxd-kQ2mX7%2BvB9nL4%3D».",
        "line was cut at «xoxp-123456-12»",
    ],
    negative: &[
        "xoxo-kisses-and-hugs-1 xoxb-your-token-goes-here xoxb-12 of",
        "XOXB-123456-123456-KQ2MX7VB9NL4 axoxb-123456-123456-kQ2mX7vB9nL4",
        "https://hooks.slack.com/services/ and https://hooks.slack.com/services/help of",
    ],
    ..Token::PLAIN
};

/// Secret and restricted keys, of tests too, and secrets of webhooks. `pk_` keys are public.
pub(crate) const STRIPE_KEY: Token = Token {
    entity: "STRIPE_KEY",
    prefixes: &["sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"],
    alphabet: |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='),
    least: 16,
    positive: &[
        "ERROR PaymentSink: 402 with «sk_live_kQ2mX7vB9nL4pR8w» amount=12.00",
        r#"{"msg":"hook\n«whsec_kQ2mX7vB9nL4p+R8wT/1yZ=»\n"}"#,
        "keys («rk_live_kQ2mX7vB9nL4pR8w», «sk_test_kQ2mX7vB9nL4pR8w»)",
        "line was cut at «sk_live_kQ2mX7»",
    ],
    negative: &[
        "sk_test_helper and risk_test_kQ2mX7vB9nL4pR8w task_live_kQ2mX7vB9nL4pR8w",
        "SK_LIVE_KQ2MX7VB9NL4PR8W disk_live_1 and sk_live_short of",
        "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// Tokens of bots: their number, a colon, `AA` and 33 others.
pub(crate) const TELEGRAM_TOKEN: Token = Token {
    entity: "TELEGRAM_TOKEN",
    prefixes: &[],
    inner: &[":AA"],
    head: Head {
        alphabet: |b| b.is_ascii_digit(),
        least: 8,
        most: 10,
        begins: b"",
        behind: b"bot",
    },
    alphabet: is_base64url,
    least: 28,
    proof: is_mixed,
    is_reserved: false,
    positive: &[
        "WARN Alerting: no answer for «123456789:AAkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5» in 5 s",
        "GET https://api.telegram.org/bot«1234567890:AAkQ2mX7_vB9nL4-pR8wT1yZa1B2c3D4»/getMe 401",
        r#"{"msg":"sent\n«123456789:AAkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5»\n"}"#,
    ],
    negative: &[
        "peer 1A:2B:AA:BB at 12345678:AA and 12345678:AAkQ2mX7",
        "1234567:AAkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5 and 12345678901:AAkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5",
        "123456789:aakq2mx7vb9nl4pr8wt1yza1b2c3d4e5 is lower case",
    ],
};
