//! A policy made ready: detectors, what is left alone, and what stands instead of the rest.

use std::collections::HashSet;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::custom;
use crate::detectors::{DETECTORS, DETECTORS_ON_REQUEST, Detector};
use crate::engine::{Asked, Engine, Hits};
use crate::lexis::{line_end, line_start};
use crate::placeholders::{DROPPED_LINE, Placeholders};
use crate::policy::{Policy, Problem, Strategy};
use crate::settle;
use crate::simd::Path;
use crate::spans::{Finding, unite};

/// What a redactor does.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) engine: Engine,
    pub(crate) placeholders: Placeholders,
    /// One for each detector of the engine.
    pub(crate) strategies: Vec<Strategy>,
    /// Custom rules that cost a pass of their own.
    pub(crate) slow: Vec<String>,
    /// First bytes of a hash of all that the rules are made of, in hex.
    pub(crate) hash: String,
    allow: HashSet<Box<[u8]>>,
    keep_internal_ips: bool,
}

impl Rules {
    pub(crate) fn new(policy: &Policy, path: Path) -> Result<Self, Vec<Problem>> {
        let mut problems = unknown_types(policy);
        let wants_key = policy.strategies.values().chain([&policy.default_strategy]);
        let wants_key = wants_key.chain(policy.rules.iter().map(|rule| &rule.strategy));
        if policy.pseudonym_key.is_none() && wants_key.into_iter().any(is_pseudonym) {
            let message = "pseudonyms need a key: name a file or a variable that holds one";
            problems.push(Problem { rule: None, message: message.to_owned(), span: None });
        }
        let compiled = custom::compile(&policy.rules).map_err(|more| problems.extend(more));
        let Ok(compiled) = compiled else { return Err(problems) };
        if !problems.is_empty() {
            return Err(problems);
        }
        let built_in = selected(policy);
        let mut strategies: Vec<_> =
            built_in.iter().map(|d| strategy_of(policy, d.rule().entity)).collect();
        strategies.extend(policy.rules.iter().map(|rule| rule.strategy));
        let custom_base = u8::try_from(built_in.len()).expect("the registry leaves room for rules");
        let mut detectors: Vec<_> = built_in.into_iter().map(Asked::BuiltIn).collect();
        detectors.extend(compiled.detectors.into_iter().map(Asked::Custom));
        let engine = Engine::new(detectors, path, compiled.sweep, custom_base);
        Ok(Self {
            placeholders: Placeholders::new(&engine, &strategies, policy.pseudonym_key.clone()),
            hash: hash(policy, &engine, &strategies),
            engine,
            strategies,
            slow: compiled.slow,
            allow: policy
                .allow
                .iter()
                .map(|text| text.to_ascii_lowercase().into_bytes().into())
                .collect(),
            keep_internal_ips: policy.keep_internal_ips,
        })
    }

    /// Replaces the findings of `hits` by what is hidden in `raw`: sorted, disjoint, final.
    pub(crate) fn search(&self, raw: &[u8], hits: &mut Hits) {
        hits.dropped.clear();
        self.scan(raw, hits);
        if hits.findings.is_empty() {
            return;
        }
        unite(&mut hits.findings);
        settle::settle(self, raw, hits);
        if !hits.dropped.is_empty() {
            drop_lines(raw, &mut hits.findings, &hits.dropped);
        }
    }

    fn is_dropped(&self, finding: &Finding) -> bool {
        self.strategies.get(usize::from(finding.detector)) == Some(&Strategy::DropRecord)
    }

    /// Replaces the findings of `hits` by what one pass finds in `raw` and the policy hides.
    pub(crate) fn scan(&self, raw: &[u8], hits: &mut Hits) {
        self.engine.scan(raw, hits);
        if self.keep_internal_ips || !self.allow.is_empty() {
            hits.findings.retain(|finding| !self.is_allowed(raw, finding));
        }
        let dropped = hits.findings.iter().filter(|finding| self.is_dropped(finding));
        hits.dropped.extend(dropped.cloned());
    }

    /// True for a finding that stays. One that overlaps it does not stay because of that.
    fn is_allowed(&self, raw: &[u8], finding: &Finding) -> bool {
        let value = &raw[finding.bytes()];
        let is_internal = || {
            let entity = self.engine.detector(finding.detector).rule().entity;
            entity == "IP_ADDRESS" && std::str::from_utf8(value).is_ok_and(is_internal_ip)
        };
        (self.keep_internal_ips && is_internal())
            || (!self.allow.is_empty() && self.allow.contains(&*value.to_ascii_lowercase()))
    }
}

fn is_pseudonym(strategy: &Strategy) -> bool {
    *strategy == Strategy::Pseudonym
}

fn unknown_types(policy: &Policy) -> Vec<Problem> {
    let all = || DETECTORS.iter().chain(DETECTORS_ON_REQUEST);
    let is_known = |name: &str| all().any(|detector| detector.rule().entity == name);
    let unknown = policy.strategies.keys().filter(|name| !is_known(name));
    unknown
        .map(|name| Problem {
            rule: None,
            message: format!("{name} is no type: `sidelight detectors` lists them"),
            span: None,
        })
        .collect()
}

/// The built-in detectors that the policy wants.
fn selected(policy: &Policy) -> Vec<&'static dyn Detector> {
    let is_wanted = |detector: &&'static dyn Detector, is_default: bool| {
        let rule = detector.rule();
        match policy.strategies.get(rule.entity) {
            Some(strategy) => *strategy != Strategy::Keep,
            None => {
                let is_kept = policy.default_strategy == Strategy::Keep;
                is_default && policy.profile.has(rule.family) && !is_kept
            }
        }
    };
    let usual = DETECTORS.iter().copied().filter(|detector| is_wanted(detector, true));
    let others = DETECTORS_ON_REQUEST.iter().copied().filter(|detector| is_wanted(detector, false));
    usual.chain(others).collect()
}

fn strategy_of(policy: &Policy, entity: &str) -> Strategy {
    policy.strategies.get(entity).copied().unwrap_or(policy.default_strategy)
}

fn hash(policy: &Policy, engine: &Engine, strategies: &[Strategy]) -> String {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    for (detector, strategy) in engine.detectors().zip(strategies) {
        let rule = detector.rule();
        hash.update(format!("{} {} {}\n", rule.entity, rule.validator, strategy.name()));
    }
    let Policy { keep_internal_ips, allow, rules, pseudonym_key, .. } = policy;
    // The key shows as its name only.
    hash.update(format!("{keep_internal_ips} {allow:?} {rules:?} {pseudonym_key:?}"));
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 1918, RFC 4193, loopback, link-local, and the unspecified address.
fn is_internal_ip(text: &str) -> bool {
    let text = text.split('%').next().unwrap_or_default();
    match text.parse() {
        Ok(IpAddr::V4(v4)) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
        }
        Ok(IpAddr::V6(v6)) => {
            v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_unique_local()
                || v6.is_unspecified()
                || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_private() || v4.is_loopback())
        }
        Err(_) => false,
    }
}

/// Makes one finding of each line, or of the lines, of a dropped one; others in them go with it.
fn drop_lines(raw: &[u8], findings: &mut Vec<Finding>, dropped: &[Finding]) {
    let mut lines: Vec<Finding> = dropped
        .iter()
        .map(|finding| {
            let range = finding.bytes();
            Finding::new(DROPPED_LINE, line_start(raw, range.start)..line_end(raw, range.end))
        })
        .collect();
    unite(&mut lines);
    findings.retain_mut(|finding| {
        let next = lines.partition_point(|line| line.range.end <= finding.range.start);
        let Some(line) = lines.get_mut(next) else { return true };
        let overlaps = line.range.start < finding.range.end;
        if overlaps {
            line.range.start = line.range.start.min(finding.range.start);
            line.range.end = line.range.end.max(finding.range.end);
        }
        !overlaps
    });
    findings.append(&mut lines);
    unite(findings);
}

#[cfg(test)]
mod tests {
    use crate::{CustomRule, Matcher, Policy, Profile, PseudonymKey, Redactor, Strategy, Text};

    fn redact(policy: &Policy, raw: &str) -> String {
        let redactor = Redactor::with_policy(policy).unwrap();
        let mut text = Text::default();
        redactor.redact_chunk(raw.as_bytes(), &mut text);
        let once = String::from_utf8(text.as_bytes().to_vec()).unwrap();
        text.clear();
        redactor.redact_chunk(once.as_bytes(), &mut text);
        assert_eq!(once.as_bytes(), text.as_bytes(), "redacting twice changes nothing");
        once
    }

    fn with(strategy: Strategy) -> Policy {
        let pseudonym_key = PseudonymKey::new("k1", b"0123456789abcdef");
        Policy { default_strategy: strategy, pseudonym_key, ..Policy::default() }
    }

    const RAW: &str = "card 4111 1111 1111 1111 of joe@example.com password=hunter2\"x";

    #[test]
    fn each_strategy_writes_its_form() {
        let check = |strategy, want: &str| assert_eq!(redact(&with(strategy), RAW), want);
        check(Strategy::Mask, "card [CREDIT_CARD] of [EMAIL] password=[KEY_VALUE_SECRET]");
        check(
            Strategy::Partial,
            "card [CREDIT_CARD:**1111] of [EMAIL:**.com] password=[KEY_VALUE_SECRET:**r2*x]",
        );
        check(
            Strategy::FormatPreserving,
            "card 0000 0000 0000 0000 of xxx@xxxxxxx.xxx password=xxxxxx0xx",
        );
        check(Strategy::DropRecord, "[DROPPED]");
        check(Strategy::Keep, RAW);
    }

    #[test]
    fn pseudonyms_are_equal_for_one_value_however_it_is_printed_and_differ_by_type_and_key() {
        let policy = with(Strategy::Pseudonym);
        let of = |raw: &str| redact(&policy, raw).replace("x ", "");
        let card = of("x 4111 1111 1111 1111");
        assert_eq!(card, of("x 4111-1111-1111-1111"));
        assert_eq!(card, of("x 4111111111111111"));
        assert_ne!(card, of("x 5500 0000 0000 0004"));
        assert!(card.starts_with("[CREDIT_CARD:k1:") && card.len() == 16 + 24 + 1, "{card}");
        assert_eq!(of("x Joe@Example.com"), of("x joe@example.com"));
        let other = PseudonymKey::new("k2", b"0123456789abcdeg");
        let other = redact(&Policy { pseudonym_key: other, ..policy.clone() }, "4111111111111111");
        assert!(other.starts_with("[CREDIT_CARD:k2:") && other[16..] != card[16..], "{other}");
    }

    #[test]
    fn pseudonyms_are_hmac_sha_256_of_type_and_value() {
        // printf 'EMAIL\0joe@example.com' | openssl dgst -sha256 -hmac 0123456789abcdef
        let want = "[EMAIL:k1:577e0a7d0658316ce35698e1]";
        assert_eq!(redact(&with(Strategy::Pseudonym), "joe@example.com"), want);
    }

    #[test]
    fn records_to_drop_are_named_and_take_their_lines_along() {
        let strategies = [("EMAIL".to_owned(), Strategy::DropRecord)].into();
        let policy = Policy { strategies, ..Policy::default() };
        let raw = "one 10.0.0.1\ntwo joe@example.com 10.0.0.2\nthree 10.0.0.3";
        assert_eq!(redact(&policy, raw), "one [IP_ADDRESS]\n[DROPPED]\nthree [IP_ADDRESS]");
        assert_eq!(redact(&policy, "a\npassword=joe@example.com!x b\nc"), "a\n[DROPPED]\nc");
        let redactor = Redactor::with_policy(&policy).unwrap();
        let mut text = Text::default();
        redactor.redact_chunk(raw.as_bytes(), &mut text);
        assert_eq!(text.drops(), [13]);
        let counts = redactor.counts();
        let emails = counts.iter().find(|count| count.entity == "EMAIL").unwrap();
        assert_eq!((emails.strategy, emails.n_findings), (Strategy::DropRecord, 1));
    }

    #[test]
    fn profiles_choose_types_and_names_win_over_them() {
        let profile = |profile| Policy { profile, ..Policy::default() };
        let secrets = redact(&profile(Profile::Secrets), RAW);
        assert_eq!(
            secrets,
            "card 4111 1111 1111 1111 of joe@example.com password=[KEY_VALUE_SECRET]"
        );
        let pci = redact(&profile(Profile::Pci), RAW);
        assert_eq!(pci, "card [CREDIT_CARD] of joe@example.com password=[KEY_VALUE_SECRET]");
        let gdpr = redact(&profile(Profile::Gdpr), RAW);
        assert_eq!(gdpr, "card [CREDIT_CARD] of [EMAIL] password=hunter2\"x");
        let strategies =
            [("EMAIL".to_owned(), Strategy::Mask), ("CREDIT_CARD".to_owned(), Strategy::Keep)];
        let named = Policy { strategies: strategies.into(), ..profile(Profile::Pci) };
        assert_eq!(
            redact(&named, RAW),
            "card 4111 1111 1111 1111 of [EMAIL] password=[KEY_VALUE_SECRET]"
        );
    }

    #[test]
    fn what_is_allowed_stays_but_not_within_another_finding() {
        let allow = vec!["Noreply@example.com".to_owned()];
        let policy = Policy { allow, keep_internal_ips: true, ..Policy::default() };
        assert_eq!(
            redact(&policy, "noreply@example.com joe@example.com password=noreply@example.com!x"),
            "noreply@example.com [EMAIL] password=[KEY_VALUE_SECRET]"
        );
        assert_eq!(
            redact(&policy, "10.0.0.1 192.168.1.1 127.0.0.1 169.254.169.254 8.8.8.8 172.32.0.1"),
            "10.0.0.1 192.168.1.1 127.0.0.1 169.254.169.254 [IP_ADDRESS] [IP_ADDRESS]"
        );
    }

    #[test]
    fn all_problems_of_a_policy_are_told_at_once() {
        let strategies =
            [("EMIAL".to_owned(), Strategy::Mask), ("JWT".to_owned(), Strategy::Pseudonym)];
        let problems =
            Redactor::with_policy(&Policy { strategies: strategies.into(), ..Policy::default() });
        let messages: Vec<_> = problems.unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].contains("EMIAL") && messages[1].contains("key"), "{messages:?}");
    }

    #[test]
    fn the_hash_of_the_rules_changes_with_them_and_not_with_the_secret() {
        let hash = |policy: &Policy| Redactor::with_policy(policy).unwrap().rules_hash().to_owned();
        let base = with(Strategy::Mask);
        let same = PseudonymKey::new("k1", b"another secret of the same name");
        assert_eq!(hash(&base), hash(&Policy { pseudonym_key: same, ..base.clone() }));
        assert_ne!(hash(&base), hash(&with(Strategy::Partial)));
        let rule = CustomRule {
            name: "ID".to_owned(),
            matcher: Matcher::Terms(vec!["abc".to_owned()]),
            context: vec![],
            context_bytes: 48,
            strategy: Strategy::Mask,
        };
        assert_ne!(hash(&base), hash(&Policy { rules: vec![rule], ..base.clone() }));
    }
}
