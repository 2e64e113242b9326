//! What all exporters to AWS share: region, credentials, TLS, proxies and times.
//!
//! Region and credentials come from where every AWS tool takes them: environment, profile, web
//! identity (IRSA), Pod Identity or task role, IMDS. The SDK refreshes credentials before they expire
//! and corrects the clock that requests are signed with.

pub mod credentials;
pub mod endpoint;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatchlogs::config::StalledStreamProtectionConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use std::fs;
use std::time::Duration;

/// Time to connect; a region on the other side of the world answers within a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why AWS cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No source names one.
    #[error(
        "no AWS region is known: set `region` in the section of the exporter, or AWS_REGION; without \
         them, the profile and IMDS were asked"
    )]
    NoRegion,
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error("AWS_CA_BUNDLE names {path:?}, which cannot be used: {reason}")]
    CaBundle {
        /// As in the environment.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The agent is ending.
    #[error("the client for AWS was not made: {0}")]
    Ended(String),
    /// The proxy of the environment cannot be used.
    #[error("the proxy that {variable} names cannot be used: {reason}")]
    Proxy {
        /// Name of the variable; its value may hold a password.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// A variable of the environment of this process.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Finds region and credentials, and makes ready whatever sends. `request_timeout` is for one request.
///
/// # Errors
/// When nothing tells the region, or TLS or the proxy of the environment cannot be used. Credentials
/// are looked for with the first request.
pub async fn load(region: Option<&str>, request_timeout: Duration) -> Result<SdkConfig, AwsError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(request_timeout)
        .operation_timeout(request_timeout)
        .build();
    // It reads the certificates of the system.
    let http_client = tokio::task::spawn_blocking(http_client).await;
    let http_client = http_client.map_err(|ending| AwsError::Ended(ending.to_string()))??;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client)
        // One layer retries, and that is ours.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let config = loader.load().await;
    if config.region().is_none() { Err(AwsError::NoRegion) } else { Ok(config) }
}

/// A client with rustls that trusts what the system trusts, or what `AWS_CA_BUNDLE` says.
fn http_client() -> Result<aws_sdk_cloudwatchlogs::config::SharedHttpClient, AwsError> {
    let (trust, proxy) = (trust_store()?, proxy()?);
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|error| AwsError::CaBundle {
        path: std::env::var("AWS_CA_BUNDLE").unwrap_or_default(),
        reason: error.to_string(),
    })?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    }))
}

fn trust_store() -> Result<TrustStore, AwsError> {
    trust(variable("AWS_CA_BUNDLE"))
}

/// What the PEM file at `path` says, or else the system. An empty variable is none.
fn trust(path: Option<String>) -> Result<TrustStore, AwsError> {
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Ok(TrustStore::default());
    };
    let failed = |reason: String| AwsError::CaBundle { path: path.clone(), reason };
    let pem = fs::read(&path).map_err(|error| failed(error.to_string()))?;
    if memchr::memmem::find(&pem, b"-----BEGIN CERTIFICATE-----").is_none() {
        return Err(failed("there is no PEM certificate in it".to_owned()));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

/// The proxy for TLS alone: metadata services of instances, pods and tasks speak plain HTTP on
/// addresses that no proxy reaches.
fn proxy() -> Result<ProxyConfig, AwsError> {
    let variables = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let value = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some((variable, url)) = variables.iter().find_map(|name| Some((*name, value(*name)?)))
    else {
        return Ok(ProxyConfig::disabled());
    };
    let proxy = ProxyConfig::https(url)
        .map_err(|error| AwsError::Proxy { variable, reason: error.to_string() })?;
    let direct = value("NO_PROXY").or_else(|| value("no_proxy"));
    Ok(direct.map_or(proxy.clone(), |direct| proxy.no_proxy(direct)))
}

#[cfg(test)]
mod tests {
    use super::trust;

    #[test]
    fn an_empty_ca_bundle_is_none_and_one_that_is_not_there_is_told() {
        assert!(trust(None).is_ok() && trust(Some(String::new())).is_ok());
        let told = trust(Some("/nowhere/ca.pem".to_owned())).unwrap_err().to_string();
        assert!(told.starts_with("AWS_CA_BUNDLE names \"/nowhere/ca.pem\""), "{told}");
    }
}
