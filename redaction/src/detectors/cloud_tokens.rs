//! Credentials of cloud and data platforms, by the prefixes that they document or that their first
//! bytes always encode.

use super::token::{Head, Token, is_any_base64, is_base64url, is_mixed, is_varied};

/// Keys of Amazon Bedrock: `BedrockAPIKey-` or `bedrock.amazonaws.com` in base64.
pub(crate) const AWS_BEDROCK_KEY: Token = Token {
    entity: "AWS_BEDROCK_KEY",
    prefixes: &["ABSKQmVkcm9ja0FQSUtleS", "bedrock-api-key-YmVkcm9jay"],
    alphabet: is_any_base64,
    positive: &[
        "WARN Enricher: 403 with «ABSKQmVkcm9ja0FQSUtleS1kQ2mX7vB9nL4pR8wT1yZ=» in eu-west-1",
        r#"{"msg":"using\n«bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9B»"}"#,
        "line was cut at «ABSKQmVkcm9ja0FQSUtleS1kQ2mX7»",
    ],
    negative: &[
        "xABSKQmVkcm9ja0FQSUtleS1kQ2mX7vB9nL4pR8wT1yZ is a part of a word",
        "a bedrock-api-key-id of 12 and ABSKQmVkcm9ja0FQSUtleS alone",
        "abskqmvkcm9ja0fqsutlesabcdefghijklm1234",
    ],
    ..Token::PLAIN
};

/// Session tokens of AWS STS, whose first bytes are always the same.
pub(crate) const AWS_SESSION_TOKEN: Token = Token {
    entity: "AWS_SESSION_TOKEN",
    prefixes: &["FwoGZXIvYXdz", "FQoGZXIvYXdz", "IQoJb3JpZ2lu", "AQoDYXdz"],
    alphabet: is_any_base64,
    positive: &[
        "DEBUG Sts: assumed role, session «FwoGZXIvYXdzEBYaDKq2mX7+vB9nL4/pR8wT1yZ==» for 1 h",
        r#"{"creds":["x","«IQoJb3JpZ2luX2VjEJr2mX7vB9nL4pR8wT1yZ»"]}"#,
        "GET /?t=«FQoGZXIvYXdzEBYaDKq2mX7%2BvB9nL4%2FpR8wT1yZ%3D»&n=1",
        "line was cut at «IQoJb3JpZ2luX2VjEJ»",
    ],
    negative: &[
        "fwogzxivyxdzebyadkq2mx7vb9nl4pr8wt1yz IQoJb3JpZ2lu is how they begin",
        "xIQoJb3JpZ2luX2VjEJr2mX7vB9nL4pR8wT1yZ inside a word",
        "AQoDYXdz AQoDYXdzE and more",
    ],
    ..Token::PLAIN
};

/// Keys of storage accounts and event hubs in connection strings, and client secrets of Entra ID:
/// three letters, a digit and `Q~` before 31 to 34 others.
pub(crate) const AZURE_KEY: Token = Token {
    entity: "AZURE_KEY",
    prefixes: &["AccountKey=", "SharedAccessKey="],
    inner: &["6Q~", "7Q~", "8Q~", "9Q~"],
    head: Head { alphabet: is_client_secret, least: 3, most: 3, ..Head::NONE },
    alphabet: |b| is_any_base64(b) || matches!(b, b'~' | b'.'),
    least: 24,
    proof: is_mixed,
    is_reserved: false,
    positive: &[
        "AccountName=lake;AccountKey=«a1B2c3D4/e5F6+g7H8i9J0k1L2m3N4==»;EndpointSuffix=core.windows.net",
        "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=«Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Q=»",
        r#"{"args":["id","«aB.8Q~c1D2e3F4g5H6i7J8k9L0m1N2o3P4»"]} and «~_x7Q~c1D2e3F4.g5H6~i7J8-k9L0_m1N2»."#,
    ],
    negative: &[
        "AccountName=lake;EndpointSuffix=core.windows.net;SharedAccessKeyName=root",
        "8Q~c1D2e3F4g5H6i7J8k9L0m1N2o3P4 without a head, aB.8Q~ without a tail",
        "width 8q~ of image aB.8q~c1d2e3f4g5h6i7j8k9l0m1n2o3p4 and aB.8Q~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
    ],
};

fn is_client_secret(byte: u8) -> bool {
    is_base64url(byte) || matches!(byte, b'~' | b'.')
}

/// API secrets of Confluent Cloud: `cflt` and 60 others since July 2025.
pub(crate) const CONFLUENT_SECRET: Token = Token {
    entity: "CONFLUENT_SECRET",
    prefixes: &["cflt"],
    alphabet: is_any_base64,
    least: 40,
    proof: is_mixed,
    is_reserved: false,
    positive: &[
        "WARN Login: rejected pair ABCD1234567890AB «cfltkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0/+k1» of lkc-1",
        r#"{"args":["«cfltZz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6»","x"]}"#,
        "sasl.jaas=(«cfltZz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6==»)",
    ],
    negative: &[
        "cfltgateway-confluent-flink-compute-pool-of-eu-west-1-prod",
        "CFLTKQ2MX7VB9NL4PR8WT1YZA1B2C3D4E5F6G7H8I9J0K1 in capitals",
        "confltkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0/+k1 inside a word, cflt1B2c3D",
    ],
    ..Token::PLAIN
};

/// Personal access tokens (`dapi`) and OAuth secrets (`dose`): 32 hex digits, then maybe `-2`.
pub(crate) const DATABRICKS_TOKEN: Token = Token {
    entity: "DATABRICKS_TOKEN",
    prefixes: &["dapi", "dose"],
    alphabet: |b| b.is_ascii_hexdigit() || b == b'-',
    least: 28,
    positive: &[
        "INFO Jobs: login with «dapi0123456789abcdef0123456789ab» to adb-1.azuredatabricks.net",
        r#"{"msg":"tried\n«dapi9f8e7d6c5b4a39281706f5e4d3c2b1a0-3»\n"}"#,
        "jdbc:databricks://h:443/default;AuthMech=3;X=«dose9f8e7d6c5b4a39281706f5e4d3c2b1»;y",
        "line was cut at «dapi9f8e7d»",
    ],
    negative: &[
        "dapi is a prefix, dapi9f8e7d6c5b4a is short; a dose of deadbeef",
        "xdapi0123456789abcdef0123456789ab and DAPI0123456789ABCDEF0123456789AB",
        "dapi-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa dapi/2.0/jobs/list",
    ],
    ..Token::PLAIN
};

/// `dop_v1_` (personal), `doo_v1_` (OAuth), `dor_v1_` (refresh) and 64 hex digits.
pub(crate) const DIGITALOCEAN_TOKEN: Token = Token {
    entity: "DIGITALOCEAN_TOKEN",
    prefixes: &["dop_v1_", "doo_v1_", "dor_v1_"],
    positive: &[
        "WARN Spaces: 401 with «dop_v1_9f8e7d6c5b4a39281706f5e4d3c2b1a0» in fra1",
        r#"{"msg":"refresh\n«dor_v1_9f8e7d6c5b4a39281706f5e4»\n"}"#,
        "env DO=«doo_v1_9f8e7d6c5b4a39281706f5e4d3»; line was cut at «dop_v1_9f8e7d»",
    ],
    negative: &[
        "dop_v1_ and dop_v1_9f are prefixes of DOP_V1_9F8E7D6C5B4A39281706F5E4D3C2B1A0",
        "xdop_v1_9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "metric dor_v1_count_of_rows and doo_v1_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
    ..Token::PLAIN
};

/// `AIza` and about 35 others, as all API keys of Google have.
pub(crate) const GOOGLE_API_KEY: Token = Token {
    entity: "GOOGLE_API_KEY",
    prefixes: &["AIza"],
    alphabet: is_base64url,
    least: 24,
    positive: &[
        "INFO Maps: geocode with «AIzaSyB1c2D3e4F5g6H7i8J9k0L1m2» took 14 ms",
        r#"{"url":"/geocode?k=«AIzaSy-1c2_3e4F5g6H7i8J9k0L1m2»&n=1"}"#,
        r#"{"msg":"k\n«AIzaSyB1c2D3e4F5g6H7i8J9k0L1m2»"}"#,
        "line was cut at «AIzaSyB1c2»",
    ],
    negative: &[
        "aizasyb1c2d3e4f5g6h7i8j9k0l1m2 AIZASYB1C2D3E4F5G6H7I8J9K0L1M2",
        "blob zesbAIzaSyB1c2D3e4F5g6H7i8J9k0L1m2 AIzaSy is short",
        "AIza-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa of classAIza",
    ],
    ..Token::PLAIN
};

/// Access tokens (`ya29.`), client secrets (`GOCSPX-`) and refresh tokens (`1//0`).
pub(crate) const GOOGLE_OAUTH_TOKEN: Token = Token {
    entity: "GOOGLE_OAUTH_TOKEN",
    prefixes: &["ya29.", "GOCSPX-", "1//0"],
    alphabet: |b| is_base64url(b) || b == b'.',
    least: 24,
    proof: is_mixed,
    is_reserved: false,
    positive: &[
        "DEBUG Gcs: refreshed, now «ya29.a0AfB_byC1d2E3f4G5h6I7j8K9l0» until 12:00",
        r#"{"client":["x.apps","«GOCSPX-a1B2c3D4e5F6g7H8i9J0k1L2»"]}"#,
        "refresh with «1//0gA1b2C3d4E5f6G7h8-I9j0_K1l2M3n4O5p6».",
    ],
    negative: &[
        "hdfs://nn1//0000-part-00000 s3://b/k1//0 1//0",
        "YA29.A0AFB_BYC1D2E3F4G5H6I7J8K9L0 ya29.short GOCSPX-secret",
        "xya29.a0AfB_byC1d2E3f4G5h6I7j8K9l0 and s3://b/2021//0gA1b2C3d4E5f6G7h8-I9j0_K1l2M3n4O5p6",
    ],
    ..Token::PLAIN
};

/// Tokens of users of OpenShift: `sha256~` and 43 others.
pub(crate) const OPENSHIFT_TOKEN: Token = Token {
    entity: "OPENSHIFT_TOKEN",
    prefixes: &["sha256~"],
    alphabet: is_base64url,
    positive: &[
        "INFO K8s: client with «sha256~kQ2mX7vB9nL4pR8wT1yZ_a-b» of namespace jobs",
        r#"{"msg":"login\n«sha256~Zz9Yy8Xx7Ww6Vv5Uu4Tt3»\n"}"#,
        "oc login «sha256~kQ2mX7vB9nL4pR8wT1yZ_a-b» --server=https://api:6443",
        "line was cut at «sha256~kQ2mX7»",
    ],
    negative: &[
        "image sha256:9f8e7d6c5b4a39281706f5e4d3c2b1a0 and sha256~ and sha256~short",
        "SHA256~KQ2MX7VB9NL4PR8WT1YZ_A-B xsha256~kQ2mX7vB9nL4pR8wT1yZ_a-b",
        "sha256~xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx in the docs",
    ],
    ..Token::PLAIN
};

/// Session and master tokens, `ver:1-hint:1234-...`, as drivers of Snowflake send and log them.
pub(crate) const SNOWFLAKE_TOKEN: Token = Token {
    entity: "SNOWFLAKE_TOKEN",
    prefixes: &["ver:1-hint:", "ver:2-hint:", "ver:3-hint:"],
    alphabet: is_any_base64,
    least: 16,
    proof: is_varied,
    positive: &[
        "DEBUG SFSession: renewed «ver:1-hint:12345678-ETMsDgAAAYkQ2mX7vB9n+L4/p==» in 80 ms",
        r#"{"data":["«ver:3-hint:987-ETMsDgAAAYkQ2mX7vB9n»",3600]}"#,
        r#"{"msg":"got\n«ver:2-hint:987-ETMsDgAAAYkQ2mX7vB9n»\n"}"#,
        "line was cut at «ver:1-hint:12345678»",
    ],
    negative: &[
        "ver:1-hint: is the prefix, ver:1-hint:12 is short; driver:1-hint:no",
        "server:1-hint:12345678-ETMsDgAAAYkQ2mX7 of another system",
        "VER:1-HINT:12345678-ETMSDGAAAYKQ2MX7VB9N in capitals",
    ],
    ..Token::PLAIN
};
