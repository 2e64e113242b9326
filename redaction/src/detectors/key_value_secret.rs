//! KEY_VALUE_SECRET: the value of a key whose last word says that it is secret.
//!
//! Only the value is hidden, so a record still tells which setting was logged.

mod nested;

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::{Joint, bare_end, key_start, opening_quote, quoted, value_start};
use crate::haystack::Haystack;
use crate::lexis::{backward, forward, has_at, has_before, is_hump, is_line_end, skip_blanks};
use crate::spans::Found;

/// Last words of secret keys, or how they begin (see [`word_end`]): the search gets slower with their
/// number. `key` alone names columns and partitions: it needs a word before.
const WORDS: &[&str] = &[
    "pwd",
    "pass",
    "bindpw",
    "identified by",
    "identified with ",
    "secret",
    "token",
    "credential",
    "auth.user.info",
    "redis.auth",
    "rediscli_auth",
    "_key",
    "-key",
    ".key",
    "api key",
    "access key",
    "private key",
    "apikey",
    "accesskey",
    "privatekey",
    "accountkey",
    "encryptionkey",
    "signingkey",
    "sharedkey",
    "authkey",
    "masterkey",
    "пароль",
    "Пароль",
    "ПАРОЛЬ",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
];

/// The same in languages whose letters tell where a word begins: German, Spanish, Portuguese, Dutch,
/// Swedish, Polish. `passwort` and `mot_de_passe` are found by their `pass`.
const PREFIXES: &[&str] = &[
    // The key of a kubeconfig.
    "client-key-data",
    "kennwort",
    "contraseña",
    "CONTRASEÑA",
    "contrasena",
    "senha",
    "wachtwoord",
    "lösenord",
    "LÖSENORD",
    "losenord",
    "hasło",
    "HASŁO",
    "haslo",
];

/// Words before `_key` that make it a secret.
const KEY_QUALIFIERS: &[&[u8]] = &[
    b"api",
    b"access",
    b"secret",
    b"private",
    b"account",
    b"encryption",
    b"signing",
    b"shared",
    b"auth",
    b"master",
    b"keystore",
    b"service",
    b"hmac",
    b"ssh",
    b"license",
    b"app",
    b"application",
    b"fernet",
    b"subscription",
];

/// Words that mean a password and nothing else; what follows them may look like anything.
const PASSWORD_WORDS: &[&[u8]] = &[
    b"pass",
    b"pwd",
    b"bindpw",
    b"identified ",
    b"kennwort",
    b"contrase",
    b"senha",
    b"wachtwoord",
    b"losenord",
    b"haslo",
];

/// What stands before `token` where that is no secret, or that of another type.
const OTHER_TOKENS: &[&[u8]] = &[
    b"amz-security-",
    b"sequence",
    b"sequence_",
    b"next",
    b"next_",
    b"page",
    b"page_",
    b"continuation",
    b"continuation_",
    b"pagination",
    b"pagination_",
];

/// Longest name of a resource of AWS before the name of its secret.
const RESOURCE_BYTES_MAX: usize = 96;

/// Values that are no secret: nothing, a type of a schema, or hidden already.
const PLAIN_VALUES: &[&[u8]] = &[
    b"null",
    b"none",
    b"nil",
    b"true",
    b"false",
    b"empty",
    b"undefined",
    b"disabled",
    b"enabled",
    b"string",
    b"int",
    b"integer",
    b"long",
    b"bigint",
    b"double",
    b"float",
    b"boolean",
    b"binary",
    b"date",
    b"timestamp",
    b"stringtype",
    b"integertype",
    b"longtype",
    b"binarytype",
    b"-",
    b"...",
    b"[hidden]",
    b"<hidden>",
    b"[redacted]",
    b"<redacted>",
    b"[masked]",
    b"[protected]",
    b"()",
    b"none)",
    b"{}",
    b"<none>",
    b"<redacted>",
    b"<hidden>",
    b"<masked>",
    b"<unset>",
    b"[redacted]",
    b"redacted",
    b"%s",
    b"n/a",
    b"<null>",
    b"<empty>",
    b"optional.empty",
    b"not",
    b"required",
];

/// See [`Rule::positive`].
const POSITIVE: &[&str] = &[
    "PlainLoginModule required username=\"svc\" password=\"«6DBvdjZ\\\"nn»\";",
    "jdbc:mysql://db:3306/hive?user=hive&password=«HFzeC7t,RJ»&useSSL=false",
    "fs.s3a.secret.key=«uqCh2hI5JwB/mZqEwz83K+»  fs.s3a.endpoint=s3.amazonaws.com",
    r#"{"user":"x","api_key":"«k y»","n":1,"a":{"clientSecret" : "«q\"\\»"}}"#,
    r#"{"msg":"body {\"password\":\"«hunter2»\",\"n\":1}","x":"token=«t1»\nnext"}"#,
    "{database.username=pg, database.password=«postgres», access-key: «a», x=y}",
    "--conf spark.ssl.keyPassword=«changeit» --password «hunter2» --class X",
    "conf: (spark.hadoop.fs.s3a.secret.key,«abc/def») [('my.token', '«t»'), ('a', 'b')]",
    "Map(password -> «swordfish», user -> bob) AWS_SECRET_ACCESS_KEY=«x»",
    "fs.azure.account.key.store.dfs.core.windows.net=«abc==» pwd: «letmein»",
    "CREATE USER bob PASSWORD '«x y»'; <name>a.password</name><value>«x»</value>",
    "-Dspark.redis.auth=«r1» -Ddb.pass=«p1» {'DB_PASS': '«p2»', 'es.auth.pass': '«p3»'}",
    "HIVE_PASS -> «p4», hive.ldap.bindpw=«p5» ALTER USER x IDENTIFIED BY '«p6»'",
    "user=sa;password=«{Str0ng;Pass}»;encrypt=true password=«{noop}changeit» end",
    "ssl.keystore.key = «MIIEvQ» X-Vault-Token: «s.kQ2mX7vB9nL4» X-Api-Key: «a1b2»",
    "OPTIONS ('password' '«p7»', 'token' '«t7»') {\"SecretString\":\"«s7»\",\"pass\":\"«p8»\"}",
    "[] - Loading configuration property: s3.access-key, «minio1»",
    r"body {\u0022password\u0022:«\u0022hunter2\u0022»,\u0022n\u0022:1}",
    "spark.hadoop.fs.s3a.secret.key   «wJalrXUtnFEMI/K7»",
    "fs.azure.account.oauth2.client.secret.lake.dfs.core.windows.net=«a~b» x",
    "CREATE USER b IDENTIFIED WITH mysql_native_password BY '«p9»'",
    "SECRET_ACCESS_KEY '«k1/2»' jdbc:sqlserver://h;password=«{p }} q}»;encrypt=true",
    r#"{"env":[{"name":"DB_PASSWORD","value":"«p0»"}]} <property name="password" value="«p1»"/>"#,
    "ConfigEntry(name=ssl.keystore.password, value=«p2», source=STATIC)",
    "jdbc:snowflake://a/?private_key_base64=«MIIE»&x=1 NEW_RELIC_LICENSE_KEY=«l1»",
    "dbPass=«h2» keystorePass=\"«s3»\" {\"trustPass\":\"«t4»\"} pass=«Xk29» passcode=«99x»",
    r#"env: - name: DB_PASSWORD value: «k8s1» {"msg":"- name: DB_PASSWORD\n  value: «nl2»\n"}"#,
    "AIRFLOW__CORE__FERNET_KEY=«f1» Ocp-Apim-Subscription-Key: «0a1b» client-key-data: «LS0t»",
    r#"{"password":{"value":"«p1»"},"n":1} {\"pwd\":{\"old\":\"«p2»\",\"new\":\"«p3»\"}}"#,
    "Config(password={type=plain, value=«p1»}, token={value=«k9Q2mX7vB9»})",
    "ALTER USER b PASSWORD '«it''s»'; password='«abc''def»' and user='x'",
    "<x y=\"password=&quot;«p 1»&quot; user=&quot;x&quot;\"> &quot;password&quot;:&quot;«p2»&quot;, password=&#39;«p3»&#39;",
    "ds.setPassword(\"«p1»\"); b.url(u).password('«p2»').withApiKey( \"«k1»\" ).option(\"password\",\"«p3»\")",
    "INFO X: spark.hadoop.fs.s3a.secret.key                      «wJalrXUtnFEMI/K7»",
    "passwort=«p1» Kennwort: «p2» contraseña=«p3» contrasena: «p4» senha=«p5» {\"wachtwoord\":\"«p6»\",\"db_lösenord\":\"«p7»\"}",
    "losenord=«p1» hasło: «p2» HASŁO=«p3» mot_de_passe=«p4» motDePasse=«p5» пароль=«p1» ПАРОЛЬ: «p2» {\"密码\":\"«p3»\"} 密码：«p4» パスワード: «p5» 비밀번호=«p6»",
];

/// See [`Rule::negative`].
const NEGATIVE: &[&str] = &[
    "token parameter is required; Project [password_hash#12, token_id#5L]",
    "numTokens=5 maxTokens: 7 tokens: 5 token_type=x secretName=y passwordless=true",
    "ssl.key.password = null, sasl.jaas.config = [hidden] secret: none",
    "ssl.key.password = [hidden]\npassword=<redacted>\nssl.truststore.password = <unset>\npassword=REDACTED",
    r#"{"nextSequenceToken": "495", "nextToken":"a1","next_page_token":"b","continuationToken":"c"}"#,
    "a pass=3 byPass=true bypass=x2 dbPassed: x2",
    "spark.authenticate.secret=*********(redacted) password=[KEY_VALUE_SECRET]",
    "key=1 partition key: 7 primary_key=id keyBy=user sortKey: a monkey=1",
    " |-- password: string (nullable = true) struct<token:string,pwd:int>",
    "PWD=/opt/spark OLDPWD=/ /run/secrets/token: no such file; Token::new()",
    "could not obtain token: connection refused; password=${DB_PASSWORD}",
    "tests: 3 pass, 0 fail; first-pass: 2 of 3 {\"pass\":12}; two_pass=true compass=n by_pass: 0",
    r#"{"secret":[1,2,3],"x":1} {"password":[true,null]} {"secret":[[1],[2]]}"#,
    "credentials=() secret={a=b} password={} password={\"a\":1}",
    "Loading configuration property: taskmanager.numberOfTaskSlots, 4",
    "org.apache.hadoop.security.token expired for bob",
    r#"{"columns":["id","password","name"],"key":"password","n":1}"#,
    "secret 'db' not found; IDENTIFIED WITH kerberos; fs.azure.account.auth.type=x",
    "Unrecognized token 'abc': was expecting JSON ('true', 'false' or 'null')",
    "ParseException: mismatched input near line 1. Token: SELECT",
    "read arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbC123 of stage",
    r#"{"password":{"type":"string","description":"of the user"}} {"token":{"type":"WORD","value":"SELECT"}}"#,
    "getSecret(\"db-main\") store.token(\"refresh\") new Token('abc') readPassword(\"prompt\")",
    "пароль не задан, 密码错误, senhas=3, Kennwortrichtlinie: 12, password='' user='x'",
    "security.token  expired  for spark.sql.token  of bob",
];

/// Finds values of secret keys.
#[derive(Debug)]
pub(crate) struct KeyValueSecret;

impl Detector for KeyValueSecret {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "KEY_VALUE_SECRET",
            family: Family::Secret,
            confidence: Confidence::Likely,
            validator: "name of the key",
            literals: WORDS,
            prefixes: PREFIXES,
            is_token: false,
            is_settled_alone: true,
            positive: POSITIVE,
            negative: NEGATIVE,
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(end) = word_end(raw, &anchor) else { return };
        let anchor = anchor.start..end;
        let is_joined = raw[anchor.start].is_ascii_alphabetic() || !raw[anchor.start].is_ascii();
        let is_key = has_before(raw, anchor.end, b"key");
        if !is_joined && is_key && !KEY_QUALIFIERS.iter().any(|q| has_before(raw, anchor.start, q))
        {
            return;
        }
        let key_start = key_start(raw, anchor.start + usize::from(!is_joined));
        let key_end = key_end(raw, key_start, &anchor);
        // Of the words in other letters all mean a password.
        let is_password = !raw[anchor.clone()].is_ascii()
            || PASSWORD_WORDS.iter().any(|w| has_at(raw, anchor.start, w));
        let Some((at, joint)) = value_start(raw, key_start, key_end) else {
            if goes_on(raw, key_start, key_end) {
                return found.never();
            }
            let given = nested::argument(raw, key_start..key_end, &anchor, is_password);
            return found.extend(given.filter(|range| is_secret(raw, range, is_password)));
        };
        let word = &raw[anchor];
        match joint {
            // `SECRET_ACCESS_KEY 'x'` of SQL, but not `secret 'x' not found`.
            Joint::Quote if !is_password && (is_joined || !is_key) => return,
            // `/run/secrets/token: no such file`: a path, not a key.
            Joint::Colon if key_start > 0 && raw[key_start - 1] == b'/' => return,
            Joint::Colon if is_resource_name(raw, key_start, key_end, at) => return,
            _ => {}
        }
        if raw.get(at) == Some(&b'[') && opening_quote(raw, skip_blanks(raw, at + 1)).is_some() {
            return find_in_array(raw, at + 1, found);
        }
        if raw.get(at) == Some(&b'{') {
            nested::find_in_object(raw, at + 1, is_password, found);
        }
        let braced_end = braced_end(raw, at).filter(|_| is_password);
        // `"secret":[1,2]` and `"secret":{...}` are no values; their strings are asked about apart.
        let is_json = matches!(raw.get(key_end), Some(b'"' | b'\\'));
        match raw.get(at) {
            Some(b'{' | b'(') if braced_end.is_none() => return,
            Some(b'[') if is_json => return,
            _ => {}
        }
        let range = quoted(raw, at).unwrap_or_else(|| at..bare_end(raw, braced_end.unwrap_or(at)));
        let is_bare = range.start == at;
        let is_prose = is_bare && joint == Joint::Colon && !is_password && is_prose(raw, &range);
        // `PWD=/home/x` is the working directory.
        let is_directory = word == b"PWD" && raw[range.clone()].starts_with(b"/");
        // `first-pass: 2 of 3` counts; the value of `password` may be a short number too.
        let is_any = is_password && word.len() != b"pass".len();
        if !is_prose && !is_directory && is_secret(raw, &range, is_any) {
            found.push(range);
        }
    }
}

/// True when what follows the key is text that no placeholder beside it turns into a joint:
/// `tokenizer`, `secret.key`, `access key id`.
fn goes_on(raw: &[u8], key_start: usize, key_end: usize) -> bool {
    match (raw.get(key_end), raw.get(key_end + 1)) {
        (Some(b'_' | b'.'), _) => true,
        (Some(b'-'), next) => next != Some(&b'>'),
        // Options and properties have their values behind blanks.
        (Some(b' '), Some(next)) if next.is_ascii_alphanumeric() => {
            let key = &raw[key_start..key_end];
            !key.contains(&b'.') && memchr::memmem::find(key, b"--").is_none()
        }
        (Some(byte), _) => byte.is_ascii_alphanumeric(),
        (None, _) => false,
    }
}

/// End of the secret word that begins with `anchor`; none when that is part of another word.
fn word_end(raw: &[u8], anchor: &Range<usize>) -> Option<usize> {
    let is = |word| has_at(&raw[anchor.clone()], 0, word);
    let rest = |words: &[&[u8]]| {
        words.iter().find(|word| has_at(raw, anchor.end, word)).map(|word| anchor.end + word.len())
    };
    if is(b"pass") {
        // `pass` alone is a password in `db.pass`, `"pass"`, `dbPass` and `pass=`, and a verb elsewhere.
        let before = anchor.start.checked_sub(1).map(|at| raw[at]);
        let is_joined = before.is_some_and(|b| b"_-.\"'".contains(&b));
        let is_camel = before.is_some_and(|b| is_hump(b, raw[anchor.start]));
        let is_assigned = raw.get(anchor.end) == Some(&b'=')
            && before.is_none_or(|b| !b.is_ascii_alphanumeric() && b < 0x80);
        let is_key = is_joined || is_camel || is_assigned;
        let is_french = [&b"motde"[..], b"mot_de_", b"mot de ", b"mot-de-"]
            .iter()
            .any(|before| has_before(raw, anchor.start, before));
        rest(&[b"word", b"wd", b"phrase", b"wort", b"code"])
            .or_else(|| rest(&[b"e"]).filter(|_| is_french))
            .or(is_key.then_some(anchor.end))
    } else if is(b"secret") {
        rest(&[b"key", b" key", b"string"]).or(Some(anchor.end))
    } else if is(b"identified with ") {
        // `IDENTIFIED WITH mysql_native_password BY 'x'`.
        let plugin = forward(raw, anchor.end, anchor.end + 64, |b| !b.is_ascii_whitespace());
        let by = skip_blanks(raw, plugin);
        has_at(raw, by, b"by ").then_some(by + 2)
    } else if is(b"token") {
        // `X-Amz-Security-Token` is a part of a presigned URL, and a page has its token too.
        let is_other = |word: &&[u8]| has_before(raw, anchor.start, word);
        (!OTHER_TOKENS.iter().any(is_other)).then_some(anchor.end)
    } else {
        Some(anchor.end)
    }
}

/// End of the key whose secret word is `anchor`.
fn key_end(raw: &[u8], key_start: usize, anchor: &Range<usize>) -> usize {
    let mut end = anchor.end;
    let key = &raw[key_start..anchor.end.max(key_start)];
    if raw.get(end) == Some(&b'.') && memchr::memmem::find(key, b"fs.azure.").is_some() {
        // Azure appends the name of the storage account.
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        end = forward(raw, end, end + 128, is_host);
    } else if has_at(raw, anchor.start, b"credential") {
        end += usize::from(matches!(raw.get(end), Some(b's' | b'S')));
    }
    end = forward(raw, end, end + 2, |b| b.is_ascii_digit());
    let suffix = end + usize::from(matches!(raw.get(end), Some(b'-' | b'_' | b'.')));
    let is = |word: &&&[u8]| has_at(raw, suffix, word);
    [&b"value"[..], b"base64"].iter().find(is).map_or(end, |word| suffix + word.len())
}

/// Hides every string of `"a","b"]`.
fn find_in_array(raw: &Haystack<'_>, mut at: usize, found: &mut Found) {
    loop {
        at = skip_blanks(raw, at);
        let Some(range) = quoted(raw, at) else { return };
        at = forward(raw, range.end, range.end + 7, |b| b == b'\\') + 1;
        if is_secret(raw, &range, true) {
            found.push(range);
        }
        at = skip_blanks(raw, at);
        if raw.get(at) != Some(&b',') {
            return;
        }
        at += 1;
    }
}

/// End of one value in braces, as SQL Server quotes it, or of a scheme before it, `{noop}x`.
fn braced_end(raw: &[u8], at: usize) -> Option<usize> {
    let is_inner = |b: u8| !matches!(b, b'{' | b'}' | b'=' | b':' | b'"' | b'\n');
    let limit = at + 128;
    let mut close = forward(raw, at + 1, limit, is_inner);
    // A brace inside is doubled.
    while has_at(raw, close, b"}}") {
        close = forward(raw, close + 2, limit, is_inner);
    }
    let is_braced = raw.get(at) == Some(&b'{') && close > at + 1 && raw.get(close) == Some(&b'}');
    is_braced.then_some(close + 1)
}

/// True for `secret:name` at the end of `arn:aws:secretsmanager:eu-west-1:1234:secret:name`.
fn is_resource_name(raw: &[u8], key_start: usize, key_end: usize, value: usize) -> bool {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-');
    let begin = key_start.saturating_sub(RESOURCE_BYTES_MAX);
    let is_part = key_start > 0 && raw[key_start - 1] == b':' && value == key_end + 1;
    is_part && has_at(raw, backward(raw, key_start, begin, is_name), b"arn:")
}

/// Words that parsers call a token at the end of a line: `Token: SELECT`.
const SYNTAX_WORDS: &[&[u8]] = &[
    b"SELECT",
    b"FROM",
    b"WHERE",
    b"GROUP",
    b"ORDER",
    b"BY",
    b"JOIN",
    b"ON",
    b"AS",
    b"AND",
    b"OR",
    b"EOF",
    b"INSERT",
    b"CREATE",
    b"TABLE",
    b"WITH",
    b"UNION",
    b"LIMIT",
    b"IDENTIFIER",
    b"END",
];

/// True for the first word of a sentence, `token: connection refused`, and for a word of a language that
/// ends one.
fn is_prose(raw: &[u8], range: &Range<usize>) -> bool {
    let next = skip_blanks(raw, range.end);
    let is_keyword = is_line_end(raw, next) && SYNTAX_WORDS.contains(&&raw[range.clone()]);
    is_keyword
        || raw[range.clone()].iter().all(u8::is_ascii_alphabetic)
            && next > range.end
            && !is_line_end(raw, next)
            && raw[next].is_ascii_alphabetic()
            && range.len() <= 15
}

fn is_secret(raw: &Haystack<'_>, range: &Range<usize>, is_password: bool) -> bool {
    let value = &raw[range.clone()];
    // What closes a word such as `[hidden]` is no part of a bare value at the end of a line.
    let is_closed = matches!(raw.get(range.end), Some(b']' | b'>' | b')'));
    let whole = &raw[range.start..range.end + usize::from(is_closed)];
    let is_plain =
        |word: &&[u8]| value.eq_ignore_ascii_case(word) || whole.eq_ignore_ascii_case(word);
    let is_schema = [&b"array<"[..], b"struct<", b"map<", b"varchar(", b"decimal("]
        .iter()
        .any(|prefix| has_at(value, 0, prefix));
    // What Spark prints is `*********(redacted)`.
    let stars = value.strip_suffix(b")").unwrap_or(value);
    let stars = stars.strip_suffix(b"(redacted").unwrap_or(value);
    let is_masked = stars.len() >= 3 && stars.iter().all(|b| matches!(b, b'*' | b'x' | b'X'));
    let is_variable = value
        .strip_prefix(b"${")
        .filter(|name| name.ends_with(b"}") || raw.get(range.end) == Some(&b'}'))
        .is_some_and(|name| name.iter().all(|b| b.is_ascii_alphanumeric() || b"_.:-}".contains(b)));
    let is_count = !is_password && value.len() <= 3 && value.iter().all(u8::is_ascii_digit);
    let is_quoted = matches!(raw.get(range.end), Some(b'"' | b'\'' | b'\\'));
    let is_key = !is_password && !is_quoted && value.len() <= 64 && value.ends_with(b":");
    let is_only_marks = value.len() <= 3 && !value.iter().any(|b| b.is_ascii_alphanumeric());
    !value.is_empty()
        && !PLAIN_VALUES.iter().any(is_plain)
        && !(is_schema || is_masked || is_variable || is_count || is_key || is_only_marks)
        && raw.placeholder_end(range.start) != Some(range.end)
}
