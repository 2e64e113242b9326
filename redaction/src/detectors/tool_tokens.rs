//! Tokens of databases, hosting and tools, by the prefixes that they document and registered with
//! GitHub's secret scanning.

use super::token::{Token, is_any_base64, is_base64url, is_mixed, is_random};

/// Secret keys of `age` (<https://age-encryption.org/v1>): `AGE-SECRET-KEY-1` and 58 others in Bech32.
pub(crate) const AGE_SECRET_KEY: Token = Token {
    entity: "AGE_SECRET_KEY",
    prefixes: &["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"],
    alphabet: |b| b.is_ascii_uppercase() || b.is_ascii_digit(),
    least: 32,
    positive: &[
        "INFO Sops: decrypting with «AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L» of team data",
        r#"{"msg":"public age1xyz\n«AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L»\n"}"#,
        "line was cut at «AGE-SECRET-KEY-1QQPZRY»",
    ],
    negative: &[
        "AGE-SECRET-KEY-1 is the prefix, AGE-SECRET-KEY-1QQPZRY is short",
        "age-secret-key-1qqpzry9x8gf2tvdw0s3jn54khce6mua7l is lower case, age1qqpzry9x8gf2tvdw0s3jn54khce6 public",
        "AGE-SECRET-KEY-1XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX of the docs, PAGE-SECRET-KEY-1",
    ],
    ..Token::PLAIN
};

/// Tokens of people (`dp.pt.`), services (`dp.st.`), the command line (`dp.ct.`), service accounts
/// (`dp.sa.`), SCIM and audit: 40 to 44 letters and digits, of services behind the environment's name.
pub(crate) const DOPPLER_TOKEN: Token = Token {
    entity: "DOPPLER_TOKEN",
    prefixes: &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."],
    alphabet: |b| is_base64url(b) || b == b'.',
    least: 32,
    proof: is_mixed,
    // An expression of code may begin so.
    is_reserved: false,
    positive: &[
        "WARN Config: no secrets with «dp.pt.kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8» of project etl",
        r#"{"msg":"fetch\n«dp.st.prd_eu.kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8»\n"}"#,
        "tokens («dp.ct.Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8», «dp.sa.Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8»).",
    ],
    negative: &[
        "dp.pt.close() dp.st.setName of dp.ct.x",
        "xdp.pt.kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8 DP.PT.KQ2MX7VB9NL4PR8WT1YZA1B2C3D4E5F6G7H8",
        "dp.st.columns.of.the.whole.table.without.any.key.at.all dp.pt.kQ2mX7 is short",
    ],
    ..Token::PLAIN
};

/// Tokens of the API, of OAuth clients and of PaaS: 24 public letters and digits, a dot and 64 others.
pub(crate) const DYNATRACE_TOKEN: Token = Token {
    entity: "DYNATRACE_TOKEN",
    prefixes: &["dt0c01.", "dt0s01.", "dt0s02.", "dt0s03.", "dt0s06.", "dt0s08.", "dt0s16."],
    alphabet: |b| b.is_ascii_alphanumeric() || b == b'.',
    least: 32,
    positive: &[
        "WARN Metrics: 401 with «dt0c01.KQ2MX7VB9NL4PR8WT1YZA1B2.C3D4E5F6G7H8I9J0K1L2M3N4» of abc12345.live",
        r#"{"args":["x","«dt0s16.KQ2MX7VB.Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0»"]}"#,
        "line was cut at «dt0c01.KQ2MX7VB9NL4»",
    ],
    negative: &[
        "dt0c01. is the prefix, dt0c01.KQ2MX7VB9NL4PR8WT1YZ is the public part",
        "xdt0c01.KQ2MX7VB9NL4PR8WT1YZA1B2.C3D4E5F6G7H8I9J0 DT0C01.KQ2MX7VB9NL4PR8WT1YZA1B2.C3D4E5F6G7H8I9J0",
        "dt0c01.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// `figd_` and about 40 others.
pub(crate) const FIGMA_TOKEN: Token = Token {
    entity: "FIGMA_TOKEN",
    prefixes: &["figd_"],
    alphabet: is_base64url,
    least: 24,
    proof: is_mixed,
    is_reserved: false,
    positive: &[
        "INFO Ui: icons with «figd_kQ2mX7vB9nL4-pR8wT1yZa1B2_c3D4» of file 7",
        r#"{"msg":"icons\n«figd_Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1»\n"}"#,
        "X-Figma is «figd_kQ2mX7vB9nL4pR8wT1yZa1B2c3D4».",
    ],
    negative: &[
        "figd_ and figd_kQ2mX7 are short, FIGD_KQ2MX7VB9NL4PR8WT1YZA1B2C3D4 in capitals",
        "xfigd_kQ2mX7vB9nL4pR8wT1yZa1B2c3D4",
        "figd_count_of_the_rows_of_the_table_in_7_days",
    ],
    ..Token::PLAIN
};

/// Macaroons of Fly.io: `fm2_`, `fm1r_`, `fm1a_` and base64; several are joined by commas.
pub(crate) const FLY_TOKEN: Token = Token {
    entity: "FLY_TOKEN",
    prefixes: &["fm2_", "fm1r_", "fm1a_"],
    alphabet: is_any_base64,
    least: 40,
    proof: is_mixed,
    is_reserved: false,
    positive: &[
        "WARN Deploy: 401 with FlyV1 «fm2_lJPECAAAAAAAkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8/i9+J0=»",
        r#"{"msg":"login\n«fm2_lJPECAAAAAAAZz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8»","x":1}"#,
        "FlyV1 «fm1r_lJPECAAAAAAAZz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8»,«fm2_lJPETAAAAAAAkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6»",
    ],
    negative: &[
        "fm2_lJPECAAAAAAA is short, FM2_LJPECAAAAAAAKQ2MX7VB9NL4PR8WT1YZA1B2C3D4E5F6 in capitals",
        "xfm2_lJPECAAAAAAAkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8",
        "fm2_score_of_the_second_factorisation_machine_per_user_7d",
    ],
    ..Token::PLAIN
};

/// Tokens of integrations: `ntn_` and 46 others, `secret_` and 43 others until September 2024.
pub(crate) const NOTION_TOKEN: Token = Token {
    entity: "NOTION_TOKEN",
    prefixes: &["ntn_", "secret_"],
    least: 40,
    proof: is_mixed,
    // Both begin names.
    is_reserved: false,
    positive: &[
        "INFO Docs: page read with «ntn_12345678901kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6» of team data",
        r#"{"msg":"page\n«secret_kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L»\n"}"#,
        "client(«secret_Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6L», x)",
    ],
    negative: &[
        "secret_name of ntn_count and secret_kQ2mX7vB9nL4pR8wT1yZ is short",
        "xntn_12345678901kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6 NTN_12345678901KQ2MX7VB9NL4PR8WT1YZA1B2C3D4E5F6",
        "secret_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// Service tokens (`pscale_tkn_`), passwords of branches (`pscale_pw_`) and tokens of OAuth.
pub(crate) const PLANETSCALE_TOKEN: Token = Token {
    entity: "PLANETSCALE_TOKEN",
    prefixes: &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"],
    alphabet: |b| is_base64url(b) || b == b'.',
    least: 24,
    proof: is_mixed,
    positive: &[
        "INFO Jdbc: login with «pscale_pw_kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6» to aws.connect.psdb.cloud",
        r#"{"msg":"branch\n«pscale_tkn_Zz9Yy8Xx7Ww6-Vv5Uu4.Tt3Ss2_Rr1»\n"}"#,
        "line was cut at «pscale_oauth_kQ2mX7»",
    ],
    negative: &[
        "pscale_tkn_ and pscale_pw_kQ2mX7 are short, PSCALE_PW_KQ2MX7VB9NL4PR8WT1YZA1B2C3D4E5F6 in capitals",
        "xpscale_pw_kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6",
        "pscale_pw_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// `rubygems_` and 48 hex digits.
pub(crate) const RUBYGEMS_KEY: Token = Token {
    entity: "RUBYGEMS_KEY",
    prefixes: &["rubygems_"],
    alphabet: |b| b.is_ascii_hexdigit(),
    least: 32,
    is_reserved: false,
    positive: &[
        "INFO Gem: push with «rubygems_9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c» of acme",
        r#"{"msg":"push\n«rubygems_0123456789abcdef0123456789abcdef01234567»\n"}"#,
        "env («rubygems_9f8e7d6c5b4a39281706f5e4d3c2b1a0», x)",
    ],
    negative: &[
        "rubygems_9f8e7d6c is short, RUBYGEMS_9F8E7D6C5B4A39281706F5E4D3C2B1A0 in capitals",
        "xrubygems_9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "rubygems_00000000000000000000000000000000 is all zero",
    ],
    ..Token::PLAIN
};

/// Tokens of projects (`sqp_`), people (`squ_`) and global analysis (`sqa_`): 40 hex digits.
pub(crate) const SONARQUBE_TOKEN: Token = Token {
    entity: "SONARQUBE_TOKEN",
    prefixes: &["sqp_", "squ_", "sqa_"],
    alphabet: |b| b.is_ascii_hexdigit(),
    least: 32,
    is_reserved: false,
    positive: &[
        "INFO Scan: analysis with «squ_9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c» of etl-jobs",
        r#"{"msg":"scan\n«sqp_0123456789abcdef0123456789abcdef01234567»\n"}"#,
        "env («sqa_9f8e7d6c5b4a39281706f5e4d3c2b1a0», x)",
    ],
    negative: &[
        "sqp_9f8e7d6c is short, SQU_9F8E7D6C5B4A39281706F5E4D3C2B1A0 in capitals",
        "xsqp_9f8e7d6c5b4a39281706f5e4d3c2b1a0 and sqa_decade of squ_face",
        "sqa_00000000000000000000000000000000 is all zero",
    ],
    ..Token::PLAIN
};

/// Tokens of people (`sbp_`, 40 hex digits) and secret keys of projects (`sb_secret_`).
pub(crate) const SUPABASE_KEY: Token = Token {
    entity: "SUPABASE_KEY",
    prefixes: &["sbp_", "sb_secret_"],
    alphabet: is_base64url,
    least: 28,
    proof: is_supabase,
    is_reserved: false,
    positive: &[
        "INFO Deploy: migrations with «sbp_9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c» of ref abc",
        r#"{"msg":"rest\n«sb_secret_kQ2mX7vB9nL4-pR8wT1yZa_1B2c3D4»\n"}"#,
        "oauth («sbp_oauth_9f8e7d6c5b4a39281706f5e4d3c2b1a0», «sbp_v0_9f8e7d6c5b4a39281706f5e4d3c2b1a0»)",
    ],
    negative: &[
        "sbp_9f8e7d6c is short, SB_SECRET_KQ2MX7VB9NL4PR8WT1YZA1B2C3D4 in capitals",
        "xsbp_9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
        "columns sbp_mean_of_the_last_30_days_per_patient and sb_secret_name_of_the_service_account_2",
    ],
    ..Token::PLAIN
};

/// True for 28 hex digits behind at most one more word, and for random base64.
fn is_supabase(body: &[u8]) -> bool {
    let last = body.rsplit(|b| *b == b'_').next().unwrap_or_default();
    let is_hex = last.len() >= 28 && last.iter().all(u8::is_ascii_hexdigit);
    is_hex && is_random(last) || is_mixed(body)
}
