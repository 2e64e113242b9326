//! What a detector is, and the list of all of them.
//!
//! A new detector is one file in `detectors/` and two lines here: its `mod` and its entry in
//! [`DETECTORS`]. The tests below then hold it to its own samples.

mod aba_routing;
mod ai_tokens;
mod airtable_token;
mod app_tokens;
mod at_svnr;
mod au_abn;
mod au_medicare;
mod au_tfn;
mod auth_header;
mod aws_key_id;
mod aws_secret_key;
mod be_national_number;
mod bic;
mod br_cnpj;
mod br_cpf;
mod btc_address;
mod ca_sin;
mod card_security_code;
mod card_track;
mod ch_ahv;
mod cloud_tokens;
mod cn_resident_id;
mod code_tokens;
mod command_secret;
mod cookie;
mod credit_card;
mod cz_birth_number;
mod date_of_birth;
mod de_social_security;
mod de_tax_id;
mod dk_cpr;
mod driving_licence;
mod email;
mod es_nif;
mod es_nuss;
mod eth_address;
mod fi_hetu;
mod fr_nir;
mod iban;
mod ie_pps;
mod in_aadhaar;
mod in_pan;
mod ip_address;
mod it_fiscal_code;
mod jdbc_url;
mod jp_my_number;
mod jwt;
mod key_value_secret;
mod kr_rrn;
mod mac_address;
mod mx_curp;
mod mx_rfc;
mod nl_bsn;
mod no_fodselsnummer;
mod passport;
mod phone;
mod pl_pesel;
mod post_tokens;
mod presigned_signature;
mod private_key;
mod pt_nif;
mod ro_cnp;
mod se_personnummer;
mod sg_nric;
mod sql_literal;
mod th_national_id;
mod token;
mod tool_tokens;
mod tr_tckn;
mod twilio_key;
mod uk_nhs;
mod uk_nino;
mod url_userinfo;
mod us_ein;
mod us_itin;
mod us_npi;
mod us_ssn;
mod za_id;

use std::ops::Range;

pub use private_key::open_block;

use crate::haystack::Haystack;
use crate::shapes::Shape;
use crate::spans::Found;

/// Every detector that ships. Order does not matter: overlapping findings are united.
pub const DETECTORS: &[&dyn Detector] = &[
    &aba_routing::ABA_ROUTING,
    &ai_tokens::ANTHROPIC_KEY,
    &ai_tokens::GROQ_KEY,
    &ai_tokens::HUGGING_FACE_TOKEN,
    &ai_tokens::OPENAI_KEY,
    &airtable_token::AirtableToken,
    &app_tokens::GRAFANA_TOKEN,
    &app_tokens::LINEAR_KEY,
    &app_tokens::NEW_RELIC_KEY,
    &app_tokens::POSTMAN_KEY,
    &app_tokens::SENDGRID_KEY,
    &app_tokens::SENTRY_TOKEN,
    &app_tokens::SHOPIFY_TOKEN,
    &app_tokens::SLACK_TOKEN,
    &app_tokens::STRIPE_KEY,
    &app_tokens::TELEGRAM_TOKEN,
    &at_svnr::AT_SVNR,
    &au_abn::AU_ABN,
    &au_medicare::AU_MEDICARE,
    &au_tfn::AU_TFN,
    &auth_header::AuthHeader,
    &aws_key_id::AwsKeyId,
    &aws_secret_key::AwsSecretKey,
    &be_national_number::BE_NATIONAL_NUMBER,
    &bic::Bic,
    &br_cnpj::BrCnpj,
    &br_cpf::BR_CPF,
    &btc_address::BtcAddress,
    &ca_sin::CA_SIN,
    &card_security_code::CardSecurityCode,
    &card_track::CardTrack,
    &ch_ahv::CH_AHV,
    &cloud_tokens::AWS_BEDROCK_KEY,
    &cloud_tokens::AWS_SESSION_TOKEN,
    &cloud_tokens::AZURE_KEY,
    &cloud_tokens::CONFLUENT_SECRET,
    &cloud_tokens::DATABRICKS_TOKEN,
    &cloud_tokens::DIGITALOCEAN_TOKEN,
    &cloud_tokens::GOOGLE_API_KEY,
    &cloud_tokens::GOOGLE_OAUTH_TOKEN,
    &cloud_tokens::OPENSHIFT_TOKEN,
    &cloud_tokens::SNOWFLAKE_TOKEN,
    &cn_resident_id::CnResidentId,
    &code_tokens::ARTIFACTORY_TOKEN,
    &code_tokens::ATLASSIAN_TOKEN,
    &code_tokens::DOCKER_TOKEN,
    &code_tokens::GITHUB_TOKEN,
    &code_tokens::GITLAB_TOKEN,
    &code_tokens::NPM_TOKEN,
    &code_tokens::PULUMI_TOKEN,
    &code_tokens::PYPI_TOKEN,
    &code_tokens::TERRAFORM_TOKEN,
    &code_tokens::VAULT_TOKEN,
    &command_secret::CommandSecret,
    &cookie::Cookie,
    &credit_card::CreditCard,
    &cz_birth_number::CZ_BIRTH_NUMBER,
    &date_of_birth::DateOfBirth,
    &de_social_security::DE_SOCIAL_SECURITY,
    &de_tax_id::DE_TAX_ID,
    &dk_cpr::DK_CPR,
    &driving_licence::DrivingLicence,
    &email::Email,
    &es_nif::ES_NIF,
    &es_nuss::ES_NUSS,
    &eth_address::EthAddress,
    &fi_hetu::FiHetu,
    &fr_nir::FrNir,
    &iban::Iban,
    &ie_pps::IE_PPS,
    &in_aadhaar::IN_AADHAAR,
    &in_pan::InPan,
    &ip_address::IpAddress,
    &it_fiscal_code::IT_FISCAL_CODE,
    &jp_my_number::JP_MY_NUMBER,
    &jwt::Jwt,
    &key_value_secret::KeyValueSecret,
    &kr_rrn::KR_RRN,
    &mac_address::MacAddress,
    &mx_curp::MxCurp,
    &mx_rfc::MxRfc,
    &nl_bsn::NL_BSN,
    &no_fodselsnummer::NO_FODSELSNUMMER,
    &passport::Passport,
    &phone::Phone,
    &pl_pesel::PL_PESEL,
    &post_tokens::DISCORD_WEBHOOK,
    &post_tokens::MAILCHIMP_KEY,
    &post_tokens::MAILGUN_KEY,
    &post_tokens::OKTA_TOKEN,
    &post_tokens::SQUARE_ACCESS_TOKEN,
    &post_tokens::SQUARE_TOKEN,
    &post_tokens::TEAMS_WEBHOOK,
    &presigned_signature::PresignedSignature,
    &private_key::PrivateKey,
    &pt_nif::PT_NIF,
    &ro_cnp::RO_CNP,
    &se_personnummer::SePersonnummer,
    &sg_nric::SgNric,
    &th_national_id::TH_NATIONAL_ID,
    &tool_tokens::AGE_SECRET_KEY,
    &tool_tokens::DOPPLER_TOKEN,
    &tool_tokens::DYNATRACE_TOKEN,
    &tool_tokens::FIGMA_TOKEN,
    &tool_tokens::FLY_TOKEN,
    &tool_tokens::NOTION_TOKEN,
    &tool_tokens::PLANETSCALE_TOKEN,
    &tool_tokens::RUBYGEMS_KEY,
    &tool_tokens::SONARQUBE_TOKEN,
    &tool_tokens::SUPABASE_KEY,
    &tr_tckn::TR_TCKN,
    &twilio_key::TwilioKey,
    &uk_nhs::UK_NHS,
    &uk_nino::UK_NINO,
    &url_userinfo::UrlUserinfo,
    &us_ein::US_EIN,
    &us_itin::US_ITIN,
    &us_npi::US_NPI,
    &us_ssn::UsSsn,
    &za_id::ZA_ID,
];

/// Detectors that hide more than most want: looked for when the policy names their type.
pub const DETECTORS_ON_REQUEST: &[&dyn Detector] = &[&jdbc_url::JdbcUrl, &sql_literal::SqlLiteral];

/// What kind of data a detector finds: profiles are made of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Credentials: keys, tokens, passwords.
    Secret,
    /// Payment card numbers.
    Card,
    /// Bank accounts and other data of money.
    Financial,
    /// Data about a person.
    Personal,
    /// Addresses of machines, which the law takes for personal data as well.
    Network,
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The shape, and words beside it.
    Likely,
    /// A shape that nothing else has, or words that name it.
    High,
    /// A check sum, or a prefix that its issuer reserved.
    Certain,
}

/// What a detector looks for, as data.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    /// Type name in upper case; the placeholder is `[NAME]`.
    pub entity: &'a str,
    /// What it is.
    pub family: Family,
    /// How sure a finding is.
    pub confidence: Confidence,
    /// What proves a finding, in a few words: `Luhn and brand table`.
    pub validator: &'a str,
    /// Asked at each of these literals, of three bytes or more, found in any case of ASCII letters.
    pub literals: &'a [&'a str],
    /// Like `literals`, but only where a word begins: behind no letter or digit, or with a capital
    /// behind a small letter. They begin with ASCII. Hundreds of these cost as much as a dozen literals.
    pub prefixes: &'a [&'a str],
    /// Asked at each of these shapes, with the offset of its last byte.
    pub shapes: &'a [Shape],
    /// Asked at each number whose groups have these numbers of digits, with the whole number.
    ///
    /// `&[9]` is `123456789`; `&[3, 2, 4]` is `123-45-6789` and `123 45 6789`: groups are divided
    /// by one space each, or by one of `.` and `-` each. With spaces the number may be a part of a
    /// longer list of groups; with dots and hyphens, and without groups, it is as long as possible.
    /// A number of one group has eight digits or more, others a group of three behind one of two or
    /// more and before another, two groups of four before another, four and six digits, six and
    /// three, or 3-2-4: else nobody looks.
    pub numbers: &'a [&'a [u8]],
    /// When not empty, a number of one group is only found behind one of these, as
    /// `follows_word` of the crate takes words: the engine need not ask about others.
    pub words: &'a [&'a str],
    /// Numbers of several groups are only found behind `words`, too.
    pub is_always_named: bool,
    /// True when a finding ends by itself: nothing beside it, placeholder or not, makes it longer.
    ///
    /// Lines with findings of such detectors alone need no second search.
    pub is_token: bool,
    /// For those that are no token: a finding ends by itself as long as there is no other on its line.
    pub is_settled_alone: bool,
    /// Text with each secret between `«` and `»`: exactly that becomes the placeholder.
    pub positive: &'a [&'a str],
    /// Look-alikes that no detector may touch.
    pub negative: &'a [&'a str],
}

impl Rule<'static> {
    /// A rule that is never asked: what others are made from.
    pub const NONE: Self = Self {
        entity: "",
        family: Family::Secret,
        confidence: Confidence::High,
        validator: "shape",
        literals: &[],
        prefixes: &[],
        shapes: &[],
        numbers: &[],
        words: &[],
        is_always_named: false,
        is_token: true,
        is_settled_alone: false,
        positive: &[],
        negative: &[],
    };
}

/// Finds one kind of PII or secret.
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// What it looks for, and the samples that the registry's tests hold it to.
    fn rule(&self) -> Rule<'_>;

    /// The literals to be asked at. A detector that owns its literals says them here, having no
    /// slice of borrowed ones for its rule.
    fn literals(&self) -> Vec<&str> {
        self.rule().literals.to_vec()
    }

    /// Appends to `found` the bytes to hide around one anchor.
    ///
    /// Total over all input: never panics, looks at a bounded number of bytes when it finds
    /// nothing, and crosses a line break only if the secret itself does.
    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found);
}

#[cfg(test)]
mod tests {
    use super::{DETECTORS, DETECTORS_ON_REQUEST, Detector};
    use crate::shapes::Shape;
    use crate::{Policy, Redactor, Strategy, Text};

    fn redact(redactor: &Redactor, raw: &str) -> String {
        let mut text = Text::default();
        redactor.redact_chunk(raw.as_bytes(), &mut text);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    /// Every detector with a redactor that has it; those on request are alone with the usual ones.
    fn detectors() -> impl Iterator<Item = (&'static dyn Detector, Redactor)> {
        let usual = DETECTORS.iter().map(|detector| (*detector, Redactor::new()));
        let others = DETECTORS_ON_REQUEST.iter().map(|detector| {
            let strategies = [(detector.rule().entity.to_owned(), Strategy::Mask)].into();
            let policy = Policy { strategies, ..Policy::default() };
            (*detector, Redactor::with_policy(&policy).unwrap())
        });
        usual.chain(others)
    }

    /// Replaces each marked part by `replacement`, or drops the marks.
    fn unmark(sample: &str, replacement: Option<&str>) -> String {
        let mut out = String::new();
        let mut rest = sample;
        while let Some((before, marked)) = rest.split_once('«') {
            let (secret, after) = marked.split_once('»').expect("marks come in pairs");
            out += before;
            out += replacement.unwrap_or(secret);
            rest = after;
        }
        out + rest
    }

    #[test]
    fn every_detector_hides_exactly_what_its_positive_samples_mark() {
        for (detector, redactor) in detectors() {
            let placeholder = format!("[{}]", detector.rule().entity);
            assert!(detector.rule().positive.len() >= 3, "{placeholder} needs samples");
            for sample in detector.rule().positive {
                let raw = unmark(sample, None);
                assert_ne!(&raw, sample, "{placeholder}: nothing is marked");
                assert_eq!(redact(&redactor, &raw), unmark(sample, Some(&placeholder)), "{raw}");
                let embedded = format!("before\n{raw}\nafter");
                let want = format!("before\n{}\nafter", unmark(sample, Some(&placeholder)));
                assert_eq!(redact(&redactor, &embedded), want, "between other lines");
            }
        }
    }

    #[test]
    fn no_detector_touches_any_negative_sample() {
        for (detector, redactor) in detectors() {
            assert!(
                detector.rule().negative.len() >= 3,
                "{} needs samples",
                detector.rule().entity
            );
            for sample in detector.rule().negative {
                assert_eq!(
                    &redact(&redactor, sample),
                    sample,
                    "negative of {}",
                    detector.rule().entity
                );
            }
        }
    }

    #[test]
    fn names_are_unique_upper_case_and_json_safe() {
        let all = DETECTORS.iter().chain(DETECTORS_ON_REQUEST);
        let mut names: Vec<_> = all.map(|d| d.rule().entity).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DETECTORS.len() + DETECTORS_ON_REQUEST.len());
        for name in names {
            let is_plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            assert!(name.bytes().all(is_plain) && name.len() >= 2, "{name}");
        }
    }

    #[test]
    fn every_detector_is_asked_somewhere() {
        for detector in DETECTORS.iter().chain(DETECTORS_ON_REQUEST) {
            let rule = detector.rule();
            let literals = || rule.literals.iter().chain(rule.prefixes);
            let n_anchors = literals().count() + rule.shapes.len() + rule.numbers.len();
            assert!(
                n_anchors > 0
                    && !rule
                        .shapes
                        .iter()
                        .any(|shape| matches!(shape, Shape::Number | Shape::Encoded)),
                "{}",
                rule.entity
            );
            assert!(literals().all(|l| l.len() >= 3), "{}", rule.entity);
            let begins_in_ascii = |l: &&str| l.as_bytes()[0].is_ascii();
            assert!(rule.prefixes.iter().all(begins_in_ascii), "{}", rule.entity);
        }
    }
}
