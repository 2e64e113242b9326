//! OPENAI_KEY, ANTHROPIC_KEY, GROQ_KEY, HUGGING_FACE_TOKEN: keys of model providers, by the prefixes that they
//! document and registered with GitHub's secret scanning.

use super::token::{Head, Token, is_base64url, is_mixed, is_random};

/// `sk-ant-api03-...`, `sk-ant-admin01-...`, `sk-ant-oat01-...`.
pub(crate) const ANTHROPIC_KEY: Token = Token {
    entity: "ANTHROPIC_KEY",
    prefixes: &["sk-ant-"],
    alphabet: is_base64url,
    positive: &[
        "WARN Enricher: call failed with «sk-ant-api03-kQ2mX7vB9nL4pR8wT1yZ» after 3 tries",
        r#"{"cfg":"model=x\n«sk-ant-oat01-a_b-c9D8e7F6g5H4i3J2»\n"}"#,
        "spark.executorEnv.ANTHROPIC: «sk-ant-admin01-Zz9Yy8Xx7Ww6Vv5Uu4», (1)",
        "line was cut at «sk-ant-api03-k»",
    ],
    negative: &[
        "task-ant-1 of risk-ant-api03-kQ2mX7vB9nL4pR8wT1yZ is done",
        "SK-ANT-API03-KQ2MX7VB9NL4PR8WT1YZ and sk-ant- is the prefix",
        "sk-ant-api03-xx and sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx in the docs",
    ],
    ..Token::PLAIN
};

/// `gsk_` and 52 others.
pub(crate) const GROQ_KEY: Token = Token {
    entity: "GROQ_KEY",
    prefixes: &["gsk_"],
    least: 36,
    proof: is_mixed,
    // Tables of a company begin so.
    is_reserved: false,
    positive: &[
        "WARN Enricher: 429 with «gsk_kQ2mX7vB9nL4pR8wT1yZWGdyb3FYa1B2c3D4e5F6g7H8» of llama",
        r#"{"msg":"call\n«gsk_Zz9Yy8Xx7Ww6Vv5Uu4Tt3WGdyb3FYSs2Rr1Qq0Pp»\n"}"#,
        "client(«gsk_kQ2mX7vB9nL4pR8wT1yZWGdyb3FYa1B2c3D4», x)",
    ],
    negative: &[
        "tables gsk_sales_2024, gsk_orders and gsk_kQ2mX7vB9nL4 is short",
        "xgsk_kQ2mX7vB9nL4pR8wT1yZWGdyb3FYa1B2c3D4e5F6g7H8",
        "GSK_KQ2MX7VB9NL4PR8WT1YZWGDYB3FYA1B2C3D4E5F6G7H8 gsk_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
    ..Token::PLAIN
};

/// `hf_...`, and `api_org_...` of organisations.
pub(crate) const HUGGING_FACE_TOKEN: Token = Token {
    entity: "HUGGING_FACE_TOKEN",
    prefixes: &["hf_", "api_org_"],
    least: 28,
    // Both begin names of functions and columns.
    is_reserved: false,
    positive: &[
        "INFO Loader: download of bert with «hf_QmZkWpTrXbNyLdVgHsJcFqRtEwAzUx» begins",
        r#"{"env":["HF=«hf_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5»"]}"#,
        "hub user «api_org_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5» is not in the allow list",
    ],
    negative: &[
        "calls hf_requiredCharacteristicTypesForDisplayMetadata of hf_config_v2_final_3",
        "columns hf_avg_duration_7d, hf_p99 and api_org_id_2_of_tenant",
        "xhf_QmZkWpTrXbNyLdVgHsJcFqRtEwAzUx HF_QMZKWPTRXBNYLDVGHSJCFQRTEWAZUX",
    ],
    ..Token::PLAIN
};

/// `sk-proj-...`, `sk-svcacct-...`, `sk-admin-...`, and older ones by the `OpenAI` in base64 that is
/// in the middle of all of them.
pub(crate) const OPENAI_KEY: Token = Token {
    entity: "OPENAI_KEY",
    prefixes: &["sk-proj-", "sk-svcacct-", "sk-admin-"],
    inner: &["T3BlbkFJ"],
    head: Head { alphabet: is_base64url, most: 200, begins: b"sk-", ..Head::NONE },
    alphabet: is_base64url,
    least: 16,
    proof: is_random,
    positive: &[
        "ERROR Enricher: 401 for «sk-proj-kQ2mX7vB9nL4pR8wT1yZ», retry in 5 s",
        r#"{"msg":"key\n«sk-a1B2c3D4e5F6g7H8T3BlbkFJk9L8m7N6o5P4q3R2»\tused"}"#,
        "client(«sk-svcacct-Zz9Yy8Xx7Ww6Vv5U»).call",
        "line was cut at «sk-admin-k9L8m7»",
    ],
    negative: &[
        "task-proj-kQ2mX7vB9nL4pR8wT1yZ and disk-admin-kQ2mX7vB9nL4pR8wT1yZ",
        "block T3BlbkFJk9L8m7N6o5P4q3R2 has no head, sk-proj-1 no body",
        "SK-PROJ-KQ2MX7VB9NL4PR8WT1YZ sk-projection-of-columns-a-and-b-1",
    ],
    ..Token::PLAIN
};
