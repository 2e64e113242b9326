//! The two operations of STS: the query protocol, answered in XML.

use super::auth::{self, Session};
use super::state::State;
use super::wire::{Refusal, extended_time};
use hyper::HeaderMap;

/// Credentials that are remembered; the oldest make room.
const SESSIONS_MAX: usize = 1_000;
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The fields of a form.
#[derive(Debug)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(key, value)| (decode(key), decode(value))).collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn required(&self, key: &str) -> Result<&str, Refusal> {
        let rule = format!("The request must contain the parameter {key}");
        self.get(key)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Refusal::broken("MissingParameter", &rule))
    }
}

/// The access key and the XML that answers.
pub(crate) fn answer(
    form: &Form,
    headers: &HeaderMap,
    state: &mut State,
    request_id: &str,
) -> Result<(String, String), Refusal> {
    if form.get("Version") != Some("2011-06-15") {
        let rule = "Could not find operation for the version; it is 2011-06-15.";
        return Err(Refusal::broken("InvalidAction", rule));
    }
    match form.get("Action").unwrap_or_default() {
        "GetCallerIdentity" => {
            let key = auth::check(headers, "sts", state).map_err(renamed)?;
            let account = &state.rules.account_id;
            let result = format!(
                "<Arn>arn:aws:sts::{account}:assumed-role/sidelight/{key}</Arn>\
                 <UserId>{key}</UserId><Account>{account}</Account>"
            );
            Ok((key, document("GetCallerIdentity", &result, request_id)))
        }
        "AssumeRoleWithWebIdentity" => {
            let result = assume_role(form, state)?;
            Ok((String::new(), document("AssumeRoleWithWebIdentity", &result, request_id)))
        }
        other => {
            let rule = format!("Could not find operation {other} for version 2011-06-15");
            Err(Refusal::broken("InvalidAction", &rule))
        }
    }
}

fn assume_role(form: &Form, state: &mut State) -> Result<String, Refusal> {
    let (role, name) = (form.required("RoleArn")?, form.required("RoleSessionName")?);
    let shown = form.required("WebIdentityToken")?;
    if state.rules.web_identity_token.as_deref().is_some_and(|wanted| wanted != shown) {
        let message = "The web identity token that was passed is not the present one.";
        return Err(Refusal::new("InvalidIdentityToken", message));
    }
    state.n_sessions += 1;
    let n = state.n_sessions;
    let lifetime_ms = i64::try_from(state.rules.session_lifetime.as_millis()).unwrap();
    let expires_ms = state.now_ms() + lifetime_ms;
    let (key, token) = (format!("ASIAEXAMPLE{n:05}"), format!("session-token-{n}"));
    if state.sessions.len() >= SESSIONS_MAX {
        // The first are the credentials of the rules.
        state.sessions.remove(1);
    }
    let session = Session { access_key_id: key.clone(), token: Some(token.clone()), expires_ms };
    state.sessions.push_back(session);
    let expiration = extended_time(expires_ms);
    Ok(format!(
        "<SubjectFromWebIdentityToken>sidelight</SubjectFromWebIdentityToken>\
         <Audience>sts.amazonaws.com</Audience>\
         <AssumedRoleUser><Arn>{role}/{name}</Arn><AssumedRoleId>{key}:{name}</AssumedRoleId>\
         </AssumedRoleUser><Credentials><SessionToken>{token}</SessionToken>\
         <SecretAccessKey>secret-{n}</SecretAccessKey><Expiration>{expiration}</Expiration>\
         <AccessKeyId>{key}</AccessKeyId></Credentials><Provider>sidelight</Provider>"
    ))
}

fn document(operation: &str, result: &str, request_id: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>{result}\
         </{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId>\
         </ResponseMetadata></{operation}Response>"
    )
}

/// The document of a refusal.
pub(crate) fn refusal_document(refusal: &Refusal, request_id: &str) -> String {
    let Refusal { code, message, .. } = refusal;
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

/// STS has other names for the same refusals, and status 403.
fn renamed(refusal: Refusal) -> Refusal {
    let code = match refusal.code.as_str() {
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "ExpiredTokenException" => "ExpiredToken",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        _ => "IncompleteSignature",
    };
    Refusal { status: 403, code: code.to_owned(), ..refusal }
}

fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'+', _) => decoded.push(b' '),
            (b'%', Some(byte)) => {
                decoded.push(byte);
                rest = &rest[2..];
            }
            (byte, _) => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
