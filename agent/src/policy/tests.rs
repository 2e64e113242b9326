//! What a person sees for mistakes in `[redaction]`, and what comes of a good one.

use crate::config::{Config, Environment};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

#[track_caller]
fn good(text: &str, variables: &[(&str, &str)]) -> Config {
    Config::parse("c.toml", text, &environment(variables)).unwrap_or_else(|it| panic!("{it}"))
}

#[track_caller]
fn bad(text: &str, variables: &[(&str, &str)]) -> String {
    Config::parse("c.toml", text, &environment(variables)).expect_err(text).to_string()
}

/// One mistake gives exactly this line and no other problem.
#[track_caller]
fn check(text: &str, variables: &[(&str, &str)], want: &str) {
    let told = bad(text, variables);
    assert_eq!(told.lines().next(), Some(want), "{told}");
    assert!(told.ends_with("c.toml: 1 problem"), "{told}");
}

/// A folder with a file of that content and mode.
fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

#[track_caller]
fn redact(config: &Config, path: &str, raw: &str) -> String {
    let mut text = redaction::Text::default();
    config.redaction.of_file(Path::new(path)).redact_chunk(raw.as_bytes(), &mut text);
    String::from_utf8(text.as_bytes().to_vec()).unwrap()
}

#[test]
fn unknown_types_strategies_profiles_and_keys_say_what_was_meant() {
    for (line, want) in [
        (
            "profile = 'gpdr'",
            "2:11: redaction.profile: \"gpdr\" is not one of secrets, pci, gdpr, all; did you mean `gdpr`?",
        ),
        (
            "strategy = 'msk'",
            "2:12: redaction.strategy: \"msk\" is not one of mask, partial, pseudonym, format_preserving, drop_record, keep; did you mean `mask`?",
        ),
        (
            "types = { EMIAL = 'mask' }",
            "2:11: redaction.types.EMIAL: no type of redaction; did you mean `EMAIL`?",
        ),
        (
            "types = { COLOUR = 'mask' }",
            "2:11: redaction.types.COLOUR: no type of redaction; `sidelight detectors` lists them all",
        ),
        (
            "types = { EMAIL = 'drop' }",
            "2:19: redaction.types.EMAIL: \"drop\" is not one of mask, partial, pseudonym, format_preserving, drop_record, keep",
        ),
        (
            "keep_internal_ip = true",
            "2:1: redaction.keep_internal_ip: unknown key; did you mean `redaction.keep_internal_ips`?",
        ),
        (
            "keep_internal_ips = 1",
            "2:21: redaction.keep_internal_ips: expected true or false, found integer `1`",
        ),
        (
            "allow = 'x'",
            "2:9: redaction.allow: expected a list such as [\"a\", \"b\"], found string \"x\"",
        ),
        (
            "pseudonym_key_id = 'k-1'",
            "2:20: redaction.pseudonym_key_id: must be 1 to 16 letters and digits",
        ),
        (
            "[[redaction.rules]]\nname = 'A1'\ntrems = ['x']",
            "4:1: redaction.rules.trems: unknown key; did you mean `redaction.rules.terms`?",
        ),
        (
            "[[redaction.rules]]\nname = 'A1'",
            "2:1: redaction.rules: finds nothing: add one of regex, terms, dictionary and keys",
        ),
        (
            "[[redaction.rules]]\nname = 'A1'\nregex = 'x'\nkeys = ['y']",
            "2:1: redaction.rules: has regex and keys: make a rule of each",
        ),
        (
            "[[redaction.rules]]\nname = 'A1'\nterms = ['xyz']\nstrategy = 'keep'",
            "5:12: redaction.rules.strategy: a rule whose findings stay does nothing; remove the rule",
        ),
        (
            "[[redaction.sources]]\nfiles = ['/a/[']\nprofile = 'pci'",
            "3:10: redaction.sources.files: \"/a/[\" is no glob: unclosed character class; missing ']'",
        ),
        (
            "[[redaction.sources]]\nprofile = 'pci'",
            "2:1: redaction.sources.files: names no files: write for example files = [\"**/audit/*.log\"]",
        ),
        (
            "[[redaction.sources]]\nfiles = ['/a']",
            "2:1: redaction.sources: changes nothing: add profile, strategy, keep_internal_ips, allow or types",
        ),
        (
            "[[redaction.sources]]\nfiles = ['/a']\ntypes = { EMIAL = 'mask' }",
            "4:11: redaction.sources.types.EMIAL: no type of redaction; did you mean `EMAIL`?",
        ),
    ] {
        check(&format!("[redaction]\n{line}\n"), &[], &format!("c.toml:{want}"));
    }
}

#[test]
fn all_mistakes_of_the_section_are_told_in_one_pass() {
    let told = bad(
        "[redaction]\nprofile = 'x'\ntypes = { EMIAL = 'mask', JWT = 'pseudonym' }\npseudonym_key = 'x'\n\
         [[redaction.rules]]\nname = 'A1'\n[[redaction.rules]]\nname = 'A2'\nterms = 3\n\
         [[redaction.sources]]\nfiles = ['[']\nstrategy = 'y'\n",
        &[],
    );
    let lines = told.lines().filter(|line| !line.starts_with("c.toml: "));
    let places = lines.filter_map(|line| line.strip_prefix("c.toml:")?.split(": ").next());
    let places: Vec<&str> = places.collect();
    assert_eq!(places, ["2:11", "3:11", "3:33", "4:1", "5:1", "9:9", "11:10", "12:12"], "{told}");
}

#[test]
fn a_key_in_the_text_is_refused_and_never_shown() {
    let want = "redaction.pseudonym_key: a key never stands in a config: put it into a file and name \
                that with `pseudonym_key_file`, or name a variable of the environment with \
                `pseudonym_key_env`";
    let text = format!("[redaction]\npseudonym_key = '{KEY}'\n");
    check(&text, &[], &format!("c.toml:2:1: {want}"));
    assert!(!bad(&text, &[]).contains(KEY));
    let variable = ("SIDELIGHT_REDACTION__PSEUDONYM_KEY", KEY);
    check("", &[variable], &format!("SIDELIGHT_REDACTION__PSEUDONYM_KEY: {want}"));
    // Nor where the name of something else is asked for.
    for key in ["pseudonym_key_file", "pseudonym_key_env", "pseudonym_key_id"] {
        let told = bad(&format!("[redaction]\n{key} = '{KEY}'\n"), &[]);
        assert!(!told.contains(KEY), "{told}");
    }
}

#[test]
fn pseudonyms_need_a_key_and_say_where_they_were_asked_for() {
    let want = "pseudonyms need a key: name a file with `pseudonym_key_file` or a variable with \
                `pseudonym_key_env`";
    for (text, place) in [
        ("strategy = 'pseudonym'", "2:12: redaction.strategy"),
        ("types = { JWT = 'pseudonym' }", "2:17: redaction.types.JWT"),
        (
            "[[redaction.rules]]\nname = 'A1'\nterms = ['xyz']\nstrategy = 'pseudonym'",
            "5:12: redaction.rules.strategy",
        ),
        (
            "[[redaction.sources]]\nfiles = ['/a']\nstrategy = 'pseudonym'",
            "4:12: redaction.sources.strategy",
        ),
        (
            "[[redaction.sources]]\nfiles = ['/a']\ntypes = { JWT = 'pseudonym' }",
            "4:17: redaction.sources.types.JWT",
        ),
    ] {
        check(&format!("[redaction]\n{text}\n"), &[], &format!("c.toml:{place}: {want}"));
    }
}

#[test]
fn a_key_of_the_environment_is_used_and_a_bad_one_says_why() {
    let text = "[redaction]\nstrategy = 'pseudonym'\npseudonym_key_env = 'PSEUDONYM_KEY'\n";
    // printf 'EMAIL\0joe@example.com' | openssl dgst -sha256 -hmac 0123456789abcdef
    let config = good(text, &[("PSEUDONYM_KEY", "0123456789abcdef\n")]);
    assert_eq!(redact(&config, "/x", "joe@example.com"), "[EMAIL:k1:577e0a7d0658316ce35698e1]");
    let place = "c.toml:3:21: redaction.pseudonym_key_env";
    check(text, &[], &format!("{place}: the variable that it names is not set"));
    check(
        text,
        &[("PSEUDONYM_KEY", "short")],
        &format!(
            "{place}: the variable holds 5 bytes, and a key has 16 or more; make one with `openssl rand \
             -hex 32`"
        ),
    );
    let prefix = text.replace("'PSEUDONYM_KEY'", "'SIDELIGHT_KEY'");
    check(
        &prefix,
        &[],
        &format!(
            "{place}: names that begin with SIDELIGHT_ set keys of this config; choose another"
        ),
    );
    let no_name = text.replace("'PSEUDONYM_KEY'", "'my key!'");
    check(&no_name, &[], &format!("{place}: must be the name of a variable, not the key itself"));
}

#[test]
fn a_key_file_is_used_unless_others_may_read_it() {
    let text = |path: &Path| {
        format!("[redaction]\nstrategy = 'pseudonym'\npseudonym_key_file = {path:?}\n")
    };
    let (_folder, path) = file(b"0123456789abcdef\n", 0o600);
    let config = good(&text(&path), &[]);
    assert_eq!(redact(&config, "/x", "joe@example.com"), "[EMAIL:k1:577e0a7d0658316ce35698e1]");
    let place = "c.toml:3:22: redaction.pseudonym_key_file";
    for mode in [0o640, 0o604] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let want =
            format!("the key file is open to others (mode {mode:04o}); run `chmod 600` on it");
        check(&text(&path), &[], &format!("{place}: {want}"));
    }
    check(&text(&path.with_extension("x")), &[], &format!("{place}: there is no such file"));
    let both = format!("{}pseudonym_key_env = 'PSEUDONYM_KEY'\n", text(&path));
    let want = "c.toml:4:21: redaction.pseudonym_key_env: there is a `pseudonym_key_file` too; keep one of them";
    check(&both, &[("PSEUDONYM_KEY", KEY)], want);
}

#[test]
fn a_dictionary_has_a_term_a_line_and_says_when_it_has_none() {
    let text =
        |path: &Path| format!("[[redaction.rules]]\nname = 'CUSTOMER'\ndictionary = {path:?}\n");
    let (_folder, path) = file("\u{feff}# names\n\nMüller GmbH\n  acme \n".as_bytes(), 0o644);
    let config = good(&text(&path), &[]);
    let matcher = &config.redaction.policy().rules[0].matcher;
    let terms = ["Müller GmbH".to_owned(), "acme".to_owned()].to_vec();
    assert_eq!(*matcher, redaction::Matcher::Terms(terms));
    let place = "c.toml:3:14: redaction.rules.dictionary";
    for (content, want) in [
        (b"# only\n".as_slice(), "holds no term; write one a line"),
        (b"\xff\n", "not UTF-8; save it as UTF-8"),
        (&vec![b'x'; (16 << 20) + 1], "larger than 16777216 bytes; is this the right file?"),
    ] {
        let (_folder, path) = file(content, 0o644);
        check(&text(&path), &[], &format!("{place}: {path:?}: {want}"));
    }
}

#[test]
fn a_source_goes_before_the_base_for_its_files_alone() {
    let config = good(
        "[redaction]\nkeep_internal_ips = true\nallow = ['a@example.com']\ntypes = { EMAIL = 'partial' }\n\
         [[redaction.sources]]\nfiles = ['**/audit/*.log', '/x/**']\nkeep_internal_ips = false\n\
         allow = []\ntypes = { ip_address = 'format_preserving' }\n\
         [[redaction.sources]]\nfiles = ['/x/y']\nprofile = 'secrets'\n",
        &[],
    );
    let raw = "10.0.0.1 a@example.com bob@example.com 4111111111111111";
    let base = "10.0.0.1 a@example.com [EMAIL:**.com] [CREDIT_CARD]";
    let audit = "00.0.0.0 [EMAIL:**.com] [EMAIL:**.com] [CREDIT_CARD]";
    assert_eq!(redact(&config, "/var/log/app.log", raw), base);
    assert_eq!(redact(&config, "/var/audit/deep/a.log", raw), base);
    assert_eq!(redact(&config, "/var/audit/a.log", raw), audit);
    assert_eq!(redact(&config, "audit/a.log", raw), audit, "relative to the working directory");
    assert_eq!(redact(&config, "/x/y", raw), audit, "the first entry that matches");
    assert_eq!(config.redaction.all().count(), 3);
    let secrets = config.redaction.with_profile(redaction::Profile::Secrets).unwrap();
    let value = secrets.of_file(Path::new("/x/y")).value("bob@example.com 4111111111111111");
    // A type that the config names is looked for whatever the profile.
    assert_eq!(value.as_str(), "[EMAIL:**.com] 4111111111111111");
}

#[test]
fn variables_of_the_environment_set_types_and_whole_rules_without_showing_them() {
    let config = good(
        "[redaction]\ntypes = { EMAIL = 'keep' }\n",
        &[
            ("SIDELIGHT_REDACTION__TYPES__EMAIL", "partial"),
            ("SIDELIGHT_REDACTION__RULES", "[{ name = 'A1', terms = ['xyz'], context_bytes = 9 }]"),
            ("SIDELIGHT_REDACTION__ALLOW", "a@example.com,b@example.com"),
        ],
    );
    assert_eq!(
        redact(&config, "/x", "a@example.com c@example.com"),
        "a@example.com [EMAIL:**.com]"
    );
    assert_eq!(config.redaction.policy().rules[0].context_bytes, 9);
    let name = "SIDELIGHT_REDACTION__RULES";
    check(
        "",
        &[(name, "[{ name = 'hunter2' }]")],
        &format!(
            "{name}: redaction.rules: finds nothing: add one of regex, terms, dictionary and keys"
        ),
    );
    let told = bad("", &[(name, "[{ name = 'A1', terms = 'hunter2' }]")]);
    assert!(!told.contains("hunter2") && told.contains(name), "{told}");
}

#[test]
fn a_rule_has_the_strategy_of_the_section_unless_it_has_its_own() {
    let strategies = |section: &str| -> Vec<&'static str> {
        let rules = "[[redaction.rules]]\nname = 'A1'\nterms = ['xyz']\n\
                     [[redaction.rules]]\nname = 'A2'\nterms = ['xyz']\nstrategy = 'drop_record'\n";
        let config = good(&format!("[redaction]\n{section}\n{rules}"), &[]);
        config.redaction.policy().rules.iter().map(|rule| rule.strategy.name()).collect()
    };
    assert_eq!(strategies(""), ["mask", "drop_record"]);
    assert_eq!(strategies("strategy = 'partial'"), ["partial", "drop_record"]);
    // Whoever wants no built-in types still wants the rules.
    assert_eq!(strategies("strategy = 'keep'"), ["mask", "drop_record"]);
}

#[test]
fn what_is_wrong_with_a_rule_is_told_at_the_rule_and_in_its_expression() {
    let rule = |text: &str| format!("[[redaction.rules]]\nname = 'ORDER'\nregex = {text}\n");
    // The column of the parenthesis where the text is written as it is, else the part in quotes.
    let told = bad(&rule(r"'ORD-(\d+'"), &[]);
    assert!(
        told.starts_with("c.toml:3:14: redaction.rules.regex: ") && told.contains("unclosed group"),
        "{told}"
    );
    let told = bad(&rule(r#""ORD-(\\d+""#), &[]);
    assert!(told.starts_with("c.toml:3:9: redaction.rules.regex: "), "{told}");
    assert_eq!(told.lines().next().unwrap().matches("`(`").count(), 1, "{told}");
    let told = bad("[[redaction.rules]]\nname = 'order'\nterms = ['xyz']\ncontext = ['a']\n", &[]);
    assert!(told.starts_with("c.toml:2:8: redaction.rules.name: the name `order`"), "{told}");
    assert!(told.contains("c.toml:4:11: redaction.rules.context: the context word `a`"), "{told}");
    let told = bad(&rule("'${EXPRESSION}'"), &[("EXPRESSION", "hunter2(")]);
    assert!(
        told.starts_with("c.toml:3:9: redaction.rules.regex: the value is not accepted"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
    // An index of the redactor is one of the rules that can be read.
    let two = format!("[[redaction.rules]]\nname = 'A1'\n{}", rule("'x('"));
    let told = bad(&two, &[]);
    assert!(told.contains("c.toml:1:1: ") && told.contains("c.toml:5:11: "), "{told}");
}

#[test]
fn every_problem_of_a_rule_names_its_key_and_the_number_of_the_rule() {
    let (_folder, path) = file("a\u{7}b\n".as_bytes(), 0o644);
    let told = bad(
        &format!(
            "[redaction]\ntypes = {{ EMIAL = 'mask' }}\n\
             [[redaction.rules]]\nname = 'A1'\nterms = ['x', ' y']\ncontext_bytes = 200\n\
             [[redaction.rules]]\nname = 'A2'\ndictionary = {path:?}\n\
             [[redaction.rules]]\nname = 'A1'\nregex = 'x('\nstrategy = 'keep'\n\
             [[redaction.rules]]\nname = 'A4'\nkeys = ['a b c']\ntrems = 1\n\
             [[redaction.sources]]\nfiles = ['/a']\nprofile = 'pci'\n\
             [[redaction.sources]]\nfiles = ['/b']\ntypes = {{ EMIAL = 'mask' }}\n"
        ),
        &[],
    );
    for (place, what) in [
        ("2:11: redaction.types.EMIAL: ", "did you mean"),
        ("5:9: redaction.rules[0].terms: ", "the term `x` is too short"),
        ("6:17: redaction.rules[0].context_bytes: ", "context_bytes is 200"),
        ("9:14: redaction.rules[1].dictionary: ", "control character"),
        ("11:8: redaction.rules[2].name: ", "that of rule 0 too"),
        ("12:11: redaction.rules[2].regex: ", "unclosed group"),
        ("13:12: redaction.rules[2].strategy: ", "does nothing"),
        ("16:8: redaction.rules[3].keys: ", "`a b c` holds other"),
        ("17:1: redaction.rules[3].trems: ", "did you mean `redaction.rules[3].terms`?"),
        ("23:11: redaction.sources[1].types.EMIAL: ", "did you mean"),
    ] {
        let line = told.lines().find(|line| line.starts_with(&format!("c.toml:{place}")));
        assert!(line.is_some_and(|line| line.contains(what)), "{place}{what}: {told}");
    }
    assert!(told.ends_with("c.toml: 10 problems"), "{told}");
}

#[test]
fn one_type_in_two_cases_is_a_mistake_unless_a_variable_sets_it() {
    let want = "the same type as `EMAIL`; keep one of `EMAIL` and `email`";
    let text = "[redaction]\n[redaction.types]\nemail = 'keep'\nEMAIL = 'mask'\n";
    check(text, &[], &format!("c.toml:3:1: redaction.types.email: {want}"));
    let text =
        "[[redaction.sources]]\nfiles = ['/a']\ntypes = { EMAIL = 'mask', email = 'keep' }\n";
    check(text, &[], &format!("c.toml:3:27: redaction.sources.types.email: {want}"));
    let variable = ("SIDELIGHT_REDACTION__TYPES__EMAIL", "partial");
    let config = good("[redaction]\ntypes = { EMAIL = 'keep' }\n", &[variable]);
    assert_eq!(redact(&config, "/x", "c@example.com"), "[EMAIL:**.com]");
}

#[test]
fn another_profile_keeps_rules_types_lists_and_the_policies_of_files() {
    let config = good(
        "[redaction]\nallow = ['1.1.1.1']\ntypes = { EMAIL = 'partial' }\n\
         [[redaction.rules]]\nname = 'ORDER'\nterms = ['night owl']\n\
         [[redaction.sources]]\nfiles = ['/x/**']\nprofile = 'secrets'\nallow = ['2.2.2.2']\n\
         strategy = 'format_preserving'\n",
        &[],
    );
    let other = config.redaction.with_profile(redaction::Profile::Gdpr).unwrap();
    let raw = "1.1.1.1 2.2.2.2 bob@example.com night owl password=hunter2x";
    let told = |path: &str| other.of_file(Path::new(path)).value(raw).as_str().to_owned();
    assert_eq!(told("/y"), "1.1.1.1 [IP_ADDRESS] [EMAIL:**.com] [ORDER] password=hunter2x");
    assert_eq!(told("/x/a"), "0.0.0.0 2.2.2.2 [EMAIL:**.com] [ORDER] password=hunter2x");
}

#[test]
fn a_description_says_what_is_done_and_where() {
    let config = good(
        "[redaction]\nprofile = 'pci'\ntypes = { EMAIL = 'partial', JWT = 'keep' }\n\
         [[redaction.rules]]\nname = 'ORDER'\nterms = ['night owl']\n\
         [[redaction.rules]]\nname = 'WORDS'\nregex = '[a-z]+x'\nstrategy = 'drop_record'\n\
         [[redaction.sources]]\nfiles = ['/x/**', '/y']\nprofile = 'secrets'\nallow = []\n",
        &[],
    );
    let told = config.redaction.describe();
    let hash = |at: usize| config.redaction.all().nth(at).unwrap().rules_hash();
    assert_eq!(told[0], format!("profile pci, rules {}", hash(0)));
    let n_types = config.redaction.base().counts().len() - 2;
    assert_eq!(told[1], format!("{n_types} types: {} mask, 1 partial", n_types - 1));
    assert_eq!(told[2], "rule ORDER: mask");
    assert_eq!(told[3], "rule WORDS: drop_record, slow: it has no fixed part to look for");
    let source = "files /x/**, /y: own profile, allow; profile secrets, ";
    assert!(told[4].starts_with(source) && told[4].ends_with(hash(1)), "{told:?}");
    assert_eq!(told.len(), 5);
}

#[test]
fn rules_of_every_kind_find_what_they_say() {
    let (_folder, path) = file(b"# names\nBlue Bird\n", 0o644);
    let text = format!(
        "[[redaction.rules]]\nname = 'ORDER'\nregex = 'ORD-(?<value>\\d{{4}})'\nstrategy = 'partial'\n\
         [[redaction.rules]]\nname = 'PROJECT'\nterms = ['night owl']\ncontext = ['project']\n\
         [[redaction.rules]]\nname = 'CUSTOMER'\ndictionary = {path:?}\n\
         [[redaction.rules]]\nname = 'LOYALTY'\nkeys = ['loyalty_no']\n"
    );
    let config = good(&text, &[]);
    let raw = "ORD-1234 project Night Owl, night owl; of BLUE BIRD {\"loyalty_no\": \"x7\"}";
    let want =
        "ORD-[ORDER] project [PROJECT], [PROJECT]; of [CUSTOMER] {\"loyalty_no\": \"[LOYALTY]\"}";
    assert_eq!(redact(&config, "/x", raw), want);
}

/// The examples of the reference, which name files that are not there.
#[test]
fn the_examples_of_the_reference_are_good() {
    let (_folder, key) = file(KEY.as_bytes(), 0o600);
    let (_folder, names) = file(b"Blue Bird\n", 0o644);
    let reference = include_str!("../../../configs/sidelight.toml");
    let example = |line: &'static str| {
        let example = line.strip_prefix("#     ").filter(|example| !example.starts_with(' '));
        example.unwrap_or(line)
    };
    let examples = reference.lines().map(example);
    let text: String = examples
        .filter(|line| !line.starts_with("pseudonym_key_env"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let text = text
        .replace("/etc/sidelight/pseudonym.key", key.to_str().unwrap())
        .replace("/etc/sidelight/customers.txt", names.to_str().unwrap());
    let config = good(&text, &[]);
    assert_eq!(config.redaction.policy().rules.len(), 4);
    assert_eq!(config.redaction.all().count(), 2);
    let customer = redact(&config, "/x", "customer CUST-12345678 blue bird");
    assert!(customer.starts_with("customer CUST-[CUSTOMER_ID:k1:"), "{customer}");
    assert!(customer.ends_with(" [CUSTOMER]"), "{customer}");
    // Every key of the section is in the reference, also those without a default.
    let known = bad("[redaction]\nnot_a_key_at_all = 1", &[]);
    let known = known.lines().next().unwrap().split("known here: ").nth(1).unwrap();
    for key in known.split(", ") {
        assert!(
            reference.contains(&format!("{key} = "))
                || reference.contains(&format!("redaction.{key}]")),
            "{key}"
        );
    }
}
