//! COMMAND_SECRET: passwords in options of commands whose option has no telling name: `sshpass -p`.
//!
//! Options with telling names, such as `--password x`, are `KEY_VALUE_SECRET`.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::{bare_end, quoted};
use crate::command_line::{Glue, values};
use crate::haystack::Haystack;
use crate::lexis::{has_at, word_before};
use crate::spans::Found;

/// Options with passwords of a command.
type Options = &'static [(&'static str, Glue)];

const MYSQL: Options = &[("-p", Glue::Nothing)];
const LDAP: Options = &[("-w", Glue::Blank)];
const LOGIN: Options = &[("-p", Glue::Blank)];
const KEYTOOL: Options = &[
    ("-storepass", Glue::Blank),
    ("-keypass", Glue::Blank),
    ("-srcstorepass", Glue::Blank),
    ("-deststorepass", Glue::Blank),
    ("-srckeypass", Glue::Blank),
    ("-destkeypass", Glue::Blank),
];
const OPENSSL: Options =
    &[("-passin pass:", Glue::Nothing), ("-passout pass:", Glue::Nothing), ("-k", Glue::Blank)];

/// Commands, by their manuals.
const COMMANDS: &[(&str, Options)] = &[
    ("sshpass ", &[("-p", Glue::Any)]),
    ("mysql -", MYSQL),
    ("mysqldump ", MYSQL),
    ("mysqladmin ", MYSQL),
    ("mariadb -", MYSQL),
    ("redis-cli ", &[("-a", Glue::Blank)]),
    ("ldapsearch ", LDAP),
    ("ldapmodify ", LDAP),
    ("ldapadd ", LDAP),
    ("docker login ", LOGIN),
    ("az login ", LOGIN),
    ("keytool ", KEYTOOL),
    ("jarsigner ", KEYTOOL),
    ("openssl ", OPENSSL),
];

/// Finds passwords in command lines.
#[derive(Debug)]
pub(crate) struct CommandSecret;

impl Detector for CommandSecret {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "COMMAND_SECRET",
            family: Family::Secret,
            confidence: Confidence::High,
            validator: "command and option",
            prefixes: &[
                "sshpass ",
                "mysql -",
                "mysqldump ",
                "mysqladmin ",
                "mariadb -",
                "redis-cli ",
                "ldapsearch ",
                "ldapmodify ",
                "ldapadd ",
                "docker login ",
                "az login ",
                "keytool ",
                "jarsigner ",
                "openssl ",
            ],
            is_token: false,
            positive: &[
                "INFO ShellJob: running sshpass -p «hunter2» ssh etl@h, then sshpass -p'«hunter 3»' scp",
                "/usr/bin/mysql -h h -u root -p«hunter2» db and mysqldump -u root -p'«h 3»' db",
                r#"{"cmd":"redis-cli -h h -a «hunter2»","x":"ldapsearch -x -D cn=admin -w \"«h 3»\" -b x"}"#,
                "keytool -importkeystore -srcstorepass «a1» -deststorepass «b2» -alias x",
                "openssl pkcs12 -in a.p12 -passin pass:«hunter2» -passout 'x'; docker login -u x -p «t1» reg",
            ],
            negative: &[
                "mysql -p db; mysql --protocol=tcp -P 3306; jdbc:mysql -p is no command",
                "keytool -list -keystore k.jks -storepass $PASS; docker run -p 8080:8081 flink",
                "sshpass is missing -p; redis-cli -h h -n 1; ssh -p 22 h; openssl version -a",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let is_command = |(name, _): &&(&str, Options)| has_at(raw, anchor.start, name.as_bytes());
        let command = COMMANDS.iter().find(is_command);
        let Some((_, options)) = command.filter(|_| !word_before(raw, anchor.start)) else {
            return;
        };
        // The blank before the first option is the last byte of the name or the one before it.
        for value in values(raw, anchor.end - 2, options) {
            let range = quoted(raw, value).unwrap_or_else(|| value..bare_end(raw, value));
            let is_other = matches!(raw[value], b'-' | b'$' | b'*' | b'<');
            if !is_other && !range.is_empty() && raw.placeholder_end(range.start) != Some(range.end)
            {
                found.push(range);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, CommandSecret};
    use crate::detectors::Detector;

    #[test]
    fn every_command_is_searched_for() {
        let names: Vec<_> = COMMANDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(CommandSecret.rule().prefixes, names);
    }
}
