//! What holds for any rule and any text, and what each matcher finds.

use std::ops::Range;

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::{collection, option, sample};
use regex_automata::meta;

use super::compile;
use crate::engine::Hits;
use crate::lexis::work;
use crate::policy::Strategy::{Keep, Mask};
use crate::policy::{CustomRule, Matcher, Policy};
use crate::rules::Rules;
use crate::simd::Path;
use crate::spans::unite;
use crate::text::Text;

/// What a redactor with rules of the config does.
struct Rig(Rules);

impl Rig {
    fn new(rules: &[CustomRule], path: Path, has_built_in: bool) -> Option<Self> {
        let default_strategy = if has_built_in { Mask } else { Keep };
        let policy = Policy { rules: rules.to_vec(), default_strategy, ..Policy::default() };
        Rules::new(&policy, path).ok().map(Self)
    }

    fn alone(rules: &[CustomRule]) -> Self {
        Self::new(rules, Path::available()[0], false).unwrap()
    }

    /// The united findings of one scan.
    fn scan(&self, raw: &[u8]) -> Vec<Range<usize>> {
        let mut hits = Hits::default();
        self.0.engine.scan(raw, &mut hits);
        unite(&mut hits.findings);
        hits.findings.iter().map(crate::spans::Finding::bytes).collect()
    }

    fn redact(&self, raw: &[u8]) -> Vec<u8> {
        let mut hits = Hits::default();
        self.0.search(raw, &mut hits);
        let mut text = Text::default();
        self.0.placeholders.append(raw, 0, &hits.findings, &mut text);
        text.as_bytes().to_vec()
    }

    #[track_caller]
    fn check(&self, marked: &str) {
        let raw = marked.replace(['«', '»'], "");
        let found = self.scan(raw.as_bytes());
        let (mut got, mut copied) = (String::new(), 0);
        for range in found {
            got += &format!("{}«{}»", &raw[copied..range.start], &raw[range.clone()]);
            copied = range.end;
        }
        assert_eq!(got + &raw[copied..], marked);
    }
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|item| (*item).to_owned()).collect()
}

fn rule(name: &str, matcher: Matcher) -> CustomRule {
    CustomRule {
        name: name.to_owned(),
        matcher,
        context: Vec::new(),
        context_bytes: 48,
        strategy: crate::Strategy::Mask,
    }
}

fn regex(name: &str, pattern: &str) -> CustomRule {
    rule(name, Matcher::Regex(pattern.to_owned()))
}

fn terms(name: &str, list: &[&str]) -> CustomRule {
    rule(name, Matcher::Terms(owned(list)))
}

fn keys(name: &str, list: &[&str]) -> CustomRule {
    rule(name, Matcher::Keys(owned(list)))
}

/// Terms that make a dictionary of any list.
fn with_dictionary(list: &[&str]) -> CustomRule {
    with_filler(list, 20)
}

fn with_filler(list: &[&str], n_filler: usize) -> CustomRule {
    let mut rule = terms("DICTIONARY", list);
    if let Matcher::Terms(terms) = &mut rule.matcher {
        terms.extend((0..n_filler).map(|n| format!("filler{n}")));
    }
    rule
}

#[test]
fn terms_are_found_in_any_case_as_words_of_their_own() {
    let list = ["acme", "acme corp", "corp ltd", "Zürich", "c++", "-zz", "john"];
    // The largest is an automaton without a table.
    for rule in [terms("TERMS", &list), with_dictionary(&list), with_filler(&list, 5000)] {
        let rig = Rig::alone(&[rule]);
        rig.check("«Acme», «ACME CORP» and «acme corp ltd»; acmes xacme _acme acme_ acméacme");
        rig.check(
            "in «ZüRICH» not «zÜrich»; «C++»11 xc++ x«-zz» -zzz; {\"a\":\"\\n«john»\"} «acme»",
        );
        rig.check("johnacme «john»-«acme» «john»\n«acme»\n");
        rig.check("[DROPPED] «acme»");
    }
    let short = Rig::alone(&[terms("TERMS", &["ab", "abc d"])]);
    short.check("«ab» abc «abc d» [«AB»] xab");
}

#[test]
fn terms_in_placeholders_are_no_words() {
    for rule in [terms("ACME", &["acme", "[acme"]), with_dictionary(&["dictionary", "x [dict"])] {
        let rig = Rig::alone(&[rule]);
        let once = rig.redact(b"acme dictionary x");
        assert_eq!(rig.redact(&once), once);
    }
}

#[test]
fn dictionaries_of_several_rules_do_not_hide_words_from_one_another() {
    let (mut first, mut second) = (with_dictionary(&["new york"]), with_dictionary(&["york city"]));
    (first.name, second.name) = ("FIRST".into(), "SECOND".into());
    let rig = Rig::alone(&[first, keys("KEY", &["unused"]), second]);
    rig.check("to «new york city» and «York City» from «New York»");
    assert_eq!(rig.redact(b"a new york b york city c"), b"a [FIRST] b [SECOND] c");
}

#[test]
fn values_of_keys_are_hidden_however_they_are_written() {
    let rig = Rig::alone(&[keys("REF", &["customer_ref", "kunde"])]);
    rig.check("customer_ref=«ab12» app.customer_ref = «x»; my_Customer_Ref: «7», --kunde «9»");
    rig.check(r#"{"customer_ref": «12», "kunde":"«a b»","customer_ref":«-1»}"#);
    rig.check(r#"{"msg":"{\"kunde\":\"«x y»\"}","kunde":["«a»",«12», null],"b":[1]}"#);
    rig.check("(kunde,«x») {kunde=«x», a=b} kunde -> «y» <kunde>«z»</kunde> ?kunde=«1»&x=2");
    rig.check("kunde: «John» Smith\\nkunde=«a»\\n");
    rig.check("customer_ref_id=1 xkunde=1 kunden=1 kunde.id=1 kunde 1 kunde 'x' /kunde: no");
    rig.check(
        "kunde=null kunde= , \"kunde\":\"\" kunde=None {\"kunde\":true} kunde={a=b} kunde=[]",
    );
    rig.check("kunde=[REF] kunde=[REF:k1:577e0a7d0658316ce35698e1] kunde=\"[REF]\" [REF:x] kunde");
    let rig = Rig::alone(&[keys("KUNDE", &["kunde"])]);
    rig.check("[KUNDE:**1111] a");
}

#[test]
fn keys_are_found_however_their_words_are_divided() {
    for written in ["customer_id", "customer-id", "customerId", "customer.id", "CustomerID"] {
        let rig = Rig::alone(&[keys("ID", &[written])]);
        for key in ["customer_id", "customer-id", "customerId", "customer.id", "CUSTOMER_ID"] {
            rig.check(&format!("{key}=«x17» {{\"{key}\":\"«x18»\"}}"));
        }
        rig.check("userCustomerId=«x17» user_customer_id=«x17» nocustomerid=x17");
    }
}

#[test]
fn arrays_of_json_stay_json() {
    let rig = Rig::alone(&[keys("ID", &["customer_ids"])]);
    let redact = |raw: &str| String::from_utf8(rig.redact(raw.as_bytes())).unwrap();
    for (raw, want) in [
        (r#"{"customer_ids":[1,2]}"#, r#"{"customer_ids":["[ID]","[ID]"]}"#),
        (
            r#"{"customer_ids": [ 1 , "a,[b", -2.5e3 ]}"#,
            r#"{"customer_ids": [ "[ID]" , "[ID]", "[ID]" ]}"#,
        ),
        (r#"{"customer_ids":[null,true,7]}"#, r#"{"customer_ids":[null,true,"[ID]"]}"#),
        (r#"{"customer_ids":["1, 2"]}"#, r#"{"customer_ids":["[ID]"]}"#),
        (r#"{"customer_ids":3}"#, r#"{"customer_ids":"[ID]"}"#),
    ] {
        assert_eq!(redact(raw), want);
        assert_eq!(redact(want), want, "twice");
        assert!(serde_json::from_str::<serde_json::Value>(want).is_ok(), "{want}");
    }
    // What is no JSON gets no quotes.
    assert_eq!(redact("customer_ids=[1, 2]"), "customer_ids=[[ID], [ID]]");
}

#[test]
fn terms_are_found_in_any_case_of_letters_outside_of_ascii() {
    let few = Rig::alone(&[terms("NAME", &["Müller", "ÉLAN é", "Straße"])]);
    let many = Rig::alone(&[with_dictionary(&["Müller", "ÉLAN é", "Straße"])]);
    for rig in [few, many] {
        for text in ["müller", "MÜLLER", "Müller", "MüLLER", "élan É", "Élan é", "STRAßE"]
        {
            rig.check(&format!("of «{text}» and"));
        }
        rig.check("MÜLLERIN élané");
    }
    let letters = "äöüÄÖÜéèê".repeat(3);
    let long = Rig::alone(&[terms("NAME", &[&letters])]);
    for text in [letters.clone(), letters.to_lowercase(), letters.to_uppercase()] {
        long.check(&format!("of «{text}» and"));
    }
}

#[test]
fn context_words_stand_near_before_a_finding() {
    let with_context = |mut rule: CustomRule| {
        (rule.context, rule.context_bytes) = (owned(&["Patient", "case no"]), 20);
        rule
    };
    let rig = Rig::alone(&[with_context(regex("ID", "[a-z]{3}[0-9]{3}"))]);
    rig.check("patient «abc123» caseNo=«abd123»");
    rig.check("abc123 patients abc123\npatient\nabc123 patient of many years abc123");
    let rig =
        Rig::alone(&[with_context(terms("ID", &["acme"])), with_context(keys("KEY", &["ref"]))]);
    rig.check("acme ref=1 patient «acme» ref=«1» ..................... acme ref=1");
    let rig = Rig::alone(&[with_context(with_dictionary(&["acme"]))]);
    rig.check("acme patient «acme» .................... acme");
}

#[test]
fn rules_without_an_anchor_are_named_and_swept() {
    let rules = [
        regex("FIRST", "[a-z]{2}[0-9]{2}"),
        regex("SECOND", "ACME-[0-9]+"),
        regex("THIRD", "x(?<value>[0-9]{2})"),
        regex("FOURTH", "[0-9]{6}"),
    ];
    assert_eq!(compile(&rules).unwrap().slow, ["FIRST", "THIRD"]);
    let rig = Rig::alone(&rules);
    rig.check("«ab12» ACME «ACME-7» x«12»\n«123456»7 x«34» 12345");
    assert_eq!(rig.redact(b"ab12 x34"), b"[FIRST] x[THIRD]");
}

#[test]
fn anchors_are_found_at_every_place_of_a_text() {
    let rules = [regex("DIGITS", "x[0-9]{4}y"), regex("LITERAL", "(?i)acme[0-9]")];
    for path in Path::available() {
        let rig = Rig::new(&rules, path, false).unwrap();
        for pad in 0..1000 {
            let raw = [&vec![b'.'; pad][..], b"x1234y Acme1"].concat();
            assert_eq!(rig.scan(&raw), [pad..pad + 6, pad + 7..pad + 12], "{path:?} at {pad}");
        }
    }
}

#[test]
fn long_lines_are_searched_around_each_anchor() {
    let filler = ".".repeat(100_000);
    let rig = Rig::alone(&[regex("LITERAL", "^?ACME[0-9]$?"), regex("SLOW", "[a-z][0-9]{2}")]);
    rig.check(&format!("«ACME1»{filler}«ACME2» «a12»{filler}«b12»{filler}«ACME3»\r\n«ACME4»"));
}

#[test]
fn a_placeholder_beside_it_may_make_a_match() {
    // `b` goes with the address, and `ab1` becomes a word of its own.
    let rig = Rig::new(&[regex("WORD", r"\bq[0-9]{4}\b")], Path::available()[0], true).unwrap();
    assert_eq!(rig.redact(b"q1234x@example.com"), b"[EMAIL]");
    assert_eq!(
        rig.redact(b"10.1.2.3 eyJhbGciOiJIUzI1NiJ9.eyJzdWIq q1234"),
        b"[IP_ADDRESS] [JWT] [WORD]"
    );
}

/// Expressions of a small grammar.
fn expression() -> impl Strategy<Value = String> {
    let atoms = [
        "abc", "acme", "TOK", "key-", "ask", "[0-9]", r"\d", "[a-c]", "[-_ ]", ".", r"\w", r"\b",
        "^", "$", "1", "99", "k", "é", r"\s", "[^a]", r"[\dk]", "(?i:sk)", "-zq",
    ];
    let atom = sample::select(atoms.map(str::to_owned).to_vec());
    let inner = atom.prop_recursive(4, 24, 4, |inner| {
        let repeat = sample::select(vec!["?", "*", "+", "{2}", "{4}", "{1,3}", "{0,2}", "+?", "{5,}"]);
        prop_oneof![
            3 => collection::vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
            1 => collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            1 => (inner.clone(), repeat).prop_map(|(part, times)| format!("(?:{part}){times}")),
            1 => inner.prop_map(|part| format!("(?i:{part})")),
        ]
    });
    (option::of(inner.clone()), inner, any::<bool>()).prop_map(|(before, part, is_value)| {
        let part = if is_value { format!("(?P<value>{part})") } else { part };
        before.unwrap_or_default() + &part
    })
}

/// Text that such expressions match now and then.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "abc",
        "ABC",
        "acme",
        "Acme",
        "tok",
        "TOK",
        "key-",
        "KEY-",
        "ask",
        "aſ\u{212a}",
        "1",
        "99",
        "1234",
        "a",
        "b",
        "c",
        "k",
        "K",
        "é",
        "É",
        " ",
        "-",
        "_",
        "\n",
        "\r\n",
        "x",
        "[",
        "-zq",
        "\r",
    ];
    let piece = prop_oneof![
        20 => sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => Just(vec![0xff]),
    ];
    collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// What `pattern` matches on each line, on its own.
fn plain_matches(pattern: &str, raw: &[u8]) -> Vec<Range<usize>> {
    let config = meta::Config::new().utf8_empty(false);
    let regex = meta::Regex::builder().configure(config).build(pattern).unwrap();
    let group = regex.group_info().to_index(regex_automata::PatternID::ZERO, "value").unwrap_or(0);
    let (mut found, mut start) = (Vec::new(), 0);
    for line in raw.split(|b| *b == b'\n') {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let all = regex.captures_iter(text).filter_map(|captures| captures.get_group(group));
        let all = all.map(|span| start + span.start..start + span.end);
        found.extend(all.filter(|range| !range.is_empty()));
        start += line.len() + 1;
    }
    found
}

proptest! {
    #[test]
    fn a_rule_finds_what_its_expression_matches(
        pattern in expression(),
        texts in collection::vec(text(), 4),
    ) {
        let rule = [regex("RULE", &pattern)];
        for path in Path::available() {
            let Some(rig) = Rig::new(&rule, path, false) else { continue };
            for raw in &texts {
                prop_assert_eq!(rig.scan(raw), plain_matches(&pattern, raw), "{:?}", path);
            }
        }
    }

    #[test]
    fn redacting_twice_changes_nothing(
        patterns in collection::vec(expression(), 1..3),
        raw in text_with_secrets(),
    ) {
        let mut rules: Vec<_> = patterns.iter().zip(["RULE_A", "ACME"]).map(|(p, n)| regex(n, p)).collect();
        rules.retain(|rule| compile(std::slice::from_ref(rule)).is_ok());
        rules.push(terms("TERM", &["acme", "mail", "[acme", "99"]));
        rules.push(keys("KEY", &["acme", "key"]));
        let Some(rig) = Rig::new(&rules, Path::available()[0], true) else { return Ok(()) };
        let once = rig.redact(&raw);
        let twice = rig.redact(&once);
        prop_assert_eq!(String::from_utf8_lossy(&once), String::from_utf8_lossy(&twice));
    }
}

fn text_with_secrets() -> impl Strategy<Value = Vec<u8>> {
    let secrets = sample::select(vec![
        "a@example.com",
        "10.1.2.3",
        "4111111111111111",
        "password=abc",
        "[EMAIL]",
        "[ACME]",
        "[KEY:k1:99]",
        "acme=1234",
        "\"key\": 12,",
        "acme: [",
        "123-45-6789",
        ": ",
        "=",
        "\"",
        "[RULE_A]",
        "]",
    ]);
    let secrets = collection::vec(secrets.prop_map(|secret| secret.as_bytes().to_vec()), 0..5);
    (text(), secrets, text(), text()).prop_map(|(a, secrets, b, c)| {
        secrets
            .iter()
            .fold([a, b].concat(), |all, secret| [&all[..], secret, &c[..c.len() / 4]].concat())
    })
}

/// Bytes looked at per byte of input, for `unit` repeated to `len` bytes.
fn work_per_byte(rig: &Rig, unit: &[u8], len: usize) -> f64 {
    let raw: Vec<u8> = unit.iter().copied().cycle().take(len).collect();
    work::take();
    rig.redact(&raw);
    work::take() as f64 / len as f64
}

#[test]
fn hostile_input_costs_linear_work() {
    let mut with_context = keys("WITH_CONTEXT", &["other_ref"]);
    with_context.context = owned(&["customer"]);
    let rig = Rig::new(
        &[
            regex("ANCHORED", "ACME-[0-9]+x"),
            regex("DIGITS", "[0-9]{6}x"),
            regex("SLOW", "[a-z][0-9]{2}y"),
            terms("TERMS", &["acme", "--", "---"]),
            with_dictionary(&["==", "=====", "a=", "ab"]),
            keys("KEYS", &["customer_ref"]),
            with_context,
        ],
        Path::available()[0],
        true,
    )
    .unwrap();
    let units: &[&[u8]] = &[
        b"ACME-",
        b"ACME-1",
        b"acme",
        b"acme ",
        b"1234 ",
        b"12345",
        b"a12",
        b"-",
        b"=",
        b"ab ",
        b"customer_ref",
        b"customer_ref=",
        b"customer_ref=\"",
        b"customer_ref=\\\"",
        b"customer_ref:[",
        b"customer_ref:[\"a\",",
        b"customer_ref:[1,",
        b"customer_ref,",
        b"other_ref=\"",
        b"other_ref=\\\"",
        b"[KEYS:",
        b"[",
        b"[KEYS]",
        b"ACME-[KEYS]",
        b"ACME-\n",
        b"ACME-1x",
        b"123456x ",
    ];
    for unit in units {
        let (short, long) =
            (work_per_byte(&rig, unit, 1 << 15), work_per_byte(&rig, unit, 1 << 18));
        let name = String::from_utf8_lossy(unit);
        assert!(
            long < 2.5 * short + 8.0,
            "{name}: {short:.1} then {long:.1} bytes looked at per byte"
        );
        assert!(long < 600.0, "{name}: {long:.1} bytes looked at per byte");
    }
}
