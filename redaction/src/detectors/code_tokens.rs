//! Tokens of code hosts, package registries and deployment tools, by the prefixes that they document
//! and registered with GitHub's secret scanning.

use super::token::{Head, Token, is_base64url, is_mixed};

/// API keys (`AKCp...`) and reference tokens (`reftkn` in base64) of JFrog Artifactory.
pub(crate) const ARTIFACTORY_TOKEN: Token = Token {
    entity: "ARTIFACTORY_TOKEN",
    prefixes: &["AKCp", "cmVmdGtuO"],
    least: 40,
    proof: is_mixed,
    is_reserved: false,
    positive: &[
        "INFO Ivy: resolving with «AKCpkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1» of repo libs",
        r#"{"msg":"tried\n«cmVmdGtuOjAxOjE3MDAwMDAwMDA6a1B2c3D4e5F6g7H8i9J0k1»\n"}"#,
        "X-JFrog-Art-Api is «AKCpZz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6».",
    ],
    negative: &[
        "AKCpkQ2mX7vB9nL4p is short, akcpkq2mx7vb9nl4pr8wt1yza1b2c3d4e5f6g7h8i9j0k1 is lower case",
        "blob gYnkgAKCpkQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1",
        "cmVmdGtuOjAx and gYnkgcmVmdGtuOjAxOjE3MDAwMDAwMDA6a1B2c3D4e5F6g7H8i9J0k1",
    ],
    ..Token::PLAIN
};

/// API tokens of users (`ATATT3`) and of repositories and sites (`ATCTT3`).
pub(crate) const ATLASSIAN_TOKEN: Token = Token {
    entity: "ATLASSIAN_TOKEN",
    prefixes: &["ATATT3", "ATCTT3"],
    alphabet: |b| is_base64url(b) || b == b'=',
    positive: &[
        "WARN Jira: ticket not created with «ATATT3xFfGF0kQ2mX7vB9nL4pR8wT1yZ=1A2B» for OPS-1",
        r#"{"msg":"clone\n«ATCTT3xFfGN0Zz9Yy8Xx7_Ww6-Vv5»\n"}"#,
        "line was cut at «ATATT3xFfGF0k»",
    ],
    negative: &[
        "atatt3xffgf0kq2mx7vb9nl4pr8wt1yz ATATT3 alone",
        "sequence GATATT3xFfGF0kQ2mX7vB9nL4pR8wT1yZ of a genome",
        "ATATT3xF and ATCTT3GG are short",
    ],
    ..Token::PLAIN
};

/// Access tokens of people (`dckr_pat_`) and organisations (`dckr_oat_`).
pub(crate) const DOCKER_TOKEN: Token = Token {
    entity: "DOCKER_TOKEN",
    prefixes: &["dckr_pat_", "dckr_oat_"],
    alphabet: is_base64url,
    positive: &[
        "INFO K8s: pull secret «dckr_pat_kQ2mX7vB9-nL4pR8wT1yZ» of flink:1.20",
        r#"{"msg":"login\n«dckr_oat_Zz9Yy8Xx7_Ww6Vv5Uu4Tt3»\n"}"#,
        "line was cut at «dckr_pat_kQ2mX7»",
    ],
    negative: &[
        "dckr_pat_ and dckr_pat_1 are short, DCKR_PAT_KQ2MX7VB9NL4PR8WT1YZ in capitals",
        "xdckr_pat_kQ2mX7vB9nL4pR8wT1yZ",
        "dckr_pat_xxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// Tokens of people, apps, servers and refresh, and those with fine-grained rights.
pub(crate) const GITHUB_TOKEN: Token = Token {
    entity: "GITHUB_TOKEN",
    prefixes: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    // Those of apps may go on with a JWT.
    alphabet: |b| is_base64url(b) || b == b'.',
    positive: &[
        "INFO GitSource: cloning with «ghp_kQ2mX7vB9nL4pR8wT1yZa1» branch main",
        r#"{"msg":"fetch\n«github_pat_11ABCDEFG0kQ2mX7_vB9nL4pR8wT1yZ»\n"}"#,
        "tokens «gho_kQ2mX7vB9nL4pR8wT1yZ», «ghu_kQ2mX7vB9nL4pR8wT1yZ», «ghr_kQ2mX7vB9nL4pR8wT1yZ».",
        "app «ghs_123456_eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiIxIn0.kQ2mX7vB9n» is new",
        "line was cut at «ghp_kQ2mX7»",
    ],
    negative: &[
        "ghp_short GHP_KQ2MX7VB9NL4PR8WT1YZA1 ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "xghp_kQ2mX7vB9nL4pR8wT1yZa1 weighs_12 laughs_at ghs_count of rows",
        "column ghr_per_sqkm_of_the_whole_region",
    ],
    ..Token::PLAIN
};

/// Every kind of token that GitLab lists: of people, deployment, runners, jobs, triggers, feeds.
pub(crate) const GITLAB_TOKEN: Token = Token {
    entity: "GITLAB_TOKEN",
    prefixes: &[
        "glpat-", "gloas-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-",
        "glagent-", "glsoat-", "glffct-",
    ],
    alphabet: |b| is_base64url(b) || b == b'.',
    least: 16,
    positive: &[
        "INFO GitSource: cloning with «glpat-kQ2mX7vB9nL4pR8w» branch main",
        r#"{"msg":"runner\n«glrt-t1_kQ2mX7vB9nL4pR8w»\n"}"#,
        "routable «glpat-kQ2mX7vB9nL4pR8wT1yZ.01.0a1b2c3d4», «gldt-kQ2mX7vB9nL4pR8w».",
        "line was cut at «glcbt-64_kQ2m»",
    ],
    negative: &[
        "glpat-short GLPAT-KQ2MX7VB9NL4PR8W glft-per-square-metre-and-year",
        "xglpat-kQ2mX7vB9nL4pR8w joglrt-kQ2mX7vB9nL4pR8w",
        "glpat-xxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};

/// `npm_` and 36 others.
pub(crate) const NPM_TOKEN: Token = Token {
    entity: "NPM_TOKEN",
    prefixes: &["npm_"],
    // npm puts its settings into variables `npm_config_...`.
    is_reserved: false,
    positive: &[
        "INFO Ui: build with «npm_kQ2mX7vB9nL4pR8wT1yZa1» of registry.npmjs.org",
        r#"{"msg":"publish\n«npm_Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2»\n"}"#,
        "//registry.npmjs.org/:_x=«npm_kQ2mX7vB9nL4pR8wT1yZa1»,",
    ],
    negative: &[
        "npm_config_user_agent npm_lifecycle_event npm_package_version_1_2_3",
        "npm_kQ2mX7 is short, NPM_KQ2MX7VB9NL4PR8WT1YZA1 in capitals",
        "xnpm_kQ2mX7vB9nL4pR8wT1yZa1 and npm_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ],
    ..Token::PLAIN
};

/// `pul-` and 40 hex digits.
pub(crate) const PULUMI_TOKEN: Token = Token {
    entity: "PULUMI_TOKEN",
    prefixes: &["pul-"],
    alphabet: |b| b.is_ascii_hexdigit(),
    least: 32,
    is_reserved: false,
    positive: &[
        "INFO Deploy: stack up with «pul-9f8e7d6c5b4a39281706f5e4d3c2b1a0» of org acme",
        r#"{"msg":"login\n«pul-0123456789abcdef0123456789abcdef01»\n"}"#,
        "env («pul-9f8e7d6c5b4a39281706f5e4d3c2b1a0», x)",
    ],
    negative: &[
        "pul-9f8e7d6c5b4a is short, PUL-9F8E7D6C5B4A39281706F5E4D3C2B1A0 in capitals",
        "xpul-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "pul-00000000000000000000000000000000 is all zero",
    ],
    ..Token::PLAIN
};

/// Macaroons of PyPI: `pypi-` and a fixed head in base64.
pub(crate) const PYPI_TOKEN: Token = Token {
    entity: "PYPI_TOKEN",
    prefixes: &["pypi-AgE"],
    alphabet: is_base64url,
    positive: &[
        "INFO Pip: upload with «pypi-AgEIcHlwaS5vcmcCJGkQ2mX7vB9n» to upload.pypi.org",
        r#"{"msg":"upload\n«pypi-AgENdGVzdC5weXBpLm9yZwIkZz9Yy8Xx7»\n"}"#,
        "line was cut at «pypi-AgEIcHlwaS»",
    ],
    negative: &[
        "pypi-server-1.4.2.tar.gz pypi-agent-of-the-cluster-in-eu-west-1",
        "PYPI-AGEICHLWAS5VCMCCJGKQ2MX7VB9N pypi-AgE alone",
        "xpypi-AgEIcHlwaS5vcmcCJGkQ2mX7vB9n",
    ],
    ..Token::PLAIN
};

/// Tokens of Terraform Cloud: 14 letters or digits, `.atlasv1.` and 60 or more others.
pub(crate) const TERRAFORM_TOKEN: Token = Token {
    entity: "TERRAFORM_TOKEN",
    prefixes: &[],
    inner: &[".atlasv1."],
    head: Head { alphabet: |b| b.is_ascii_alphanumeric(), least: 8, most: 32, ..Head::NONE },
    alphabet: |b| is_base64url(b) || b == b'=',
    positive: &[
        "INFO Deploy: plan with «kQ2mX7vB9nL4pR.atlasv1.Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2» of ws-1",
        r#"{"msg":"login\n«a1B2c3D4e5F6g7.atlasv1.kQ2mX7vB9nL4pR8w-T1yZ_a»\n","x":"\u0022«a1B2c3D4e5F6g7.atlasv1.kQ2mX7vB9nL4pR8w-T1yZ_a»"}"#,
        "line was cut at «kQ2mX7vB9nL4pR.atlasv1.Zz9Yy8»",
    ],
    negative: &[
        "com.acme.atlasv1.Catalog kQ2mX7vB9nL4pR.atlasv1.Catalog of",
        "kQ2mX7vB9nL4pR.ATLASV1.ZZ9YY8XX7WW6VV5UU4TT3SS2",
        "a.atlasv1.kQ2mX7vB9nL4pR8wT1yZ has a short head",
    ],
    ..Token::PLAIN
};

/// Service, batch and recovery tokens of HashiCorp Vault since 1.10.
pub(crate) const VAULT_TOKEN: Token = Token {
    entity: "VAULT_TOKEN",
    prefixes: &["hvs.", "hvb.", "hvr."],
    alphabet: is_base64url,
    positive: &[
        "INFO Vault: renewed «hvs.CAESIkQ2mX7vB9nL4pR8wT1yZ» for 768h",
        r#"{"auth":["«hvb.AAAAAQJkQ2mX7-vB9nL4pR8_wT1yZ»"]}"#,
        r#"{"msg":"unwrap\n«hvr.CAESIkQ2mX7vB9nL4pR8wT1yZ»."}"#,
        "line was cut at «hvs.CAESIk»",
    ],
    negative: &[
        "hvs.close() hvs.acceptanceTimeoutSeconds of hvs.x",
        "xhvs.CAESIkQ2mX7vB9nL4pR8wT1yZ HVS.CAESIKQ2MX7VB9NL4PR8WT1YZ",
        "hvs.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx of the docs",
    ],
    ..Token::PLAIN
};
