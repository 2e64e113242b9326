//! Names of log groups and streams, from templates and what is known of a job.

use crate::config::closest;
use crate::model::{Engine, Resource};
use redaction::Value;
use sha2::{Digest, Sha256};

/// Longest name of a group or stream, characters (service model: `LogGroupName`, `LogStreamName`).
const NAME_CHARS_MAX: usize = 512;

/// What stands where nothing is known.
const UNKNOWN: &str = "unknown";

/// Names that a template may hold in braces.
const PLACEHOLDERS: &[&str] = &[
    "engine",
    "job_name",
    "job_id",
    "run_id",
    "run_context",
    "user_id",
    "component",
    "executor_id",
    "host",
    "file_name",
];

/// Which of the two a name is for: their characters differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[.\-_/#A-Za-z0-9]+`, and not `aws/` at the beginning.
    Group,
    /// Everything but `:` and `*`.
    Stream,
}

/// A group or stream name with placeholders, such as `/sidelight/{engine}/{job_name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    kind: Kind,
    /// Between slashes.
    segments: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Index in `PLACEHOLDERS`.
    Placeholder(usize),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with the template.
    pub fn new(kind: Kind, raw: &str) -> Result<Self, String> {
        let (mut segments, mut unknown) = (Vec::new(), Vec::new());
        for segment in raw.split('/') {
            let (mut parts, mut rest) = (Vec::new(), segment);
            while let Some(open) = rest.find(['{', '}']) {
                let (text, from) = rest.split_at(open);
                let end = from.find('}').filter(|end| *end > 0);
                let Some(end) = end else { return Err("has a brace without its pair".to_owned()) };
                let name = &from[1..end];
                parts.extend((!text.is_empty()).then(|| Part::Text(text.to_owned())));
                match PLACEHOLDERS.iter().position(|known| *known == name) {
                    Some(index) => parts.push(Part::Placeholder(index)),
                    None => unknown.push(name),
                }
                rest = &from[end + 1..];
            }
            parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
            segments.push(parts);
        }
        if !unknown.is_empty() {
            return Err(unknown_placeholders(&unknown));
        }
        let template = Self { kind, segments };
        let texts = template.segments.iter().flatten().filter_map(|part| match part {
            Part::Text(text) => Some(text),
            Part::Placeholder(_) => None,
        });
        for text in texts {
            if let Some(bad) = text.chars().find(|character| !kind.allows(*character)) {
                return Err(format!("has {bad:?}, which no {} may have", kind.as_str()));
            }
        }
        if template.segments.iter().all(Vec::is_empty) {
            return Err("is empty".to_owned());
        }
        Ok(template)
    }

    /// True when all that the name depends on is known of `resource`.
    #[must_use]
    pub fn is_known(&self, resource: &Resource) -> bool {
        self.segments.iter().flatten().all(|part| match part {
            Part::Text(_) => true,
            Part::Placeholder(index) => value(PLACEHOLDERS[*index], resource).is_some(),
        })
    }

    /// True when `name` may be one of a job: as many parts, and those without a placeholder equal.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let parts: Vec<&str> = name.split('/').collect();
        let is_equal = |(segment, part): (&Vec<Part>, &&str)| match segment.as_slice() {
            [] => part.is_empty(),
            [Part::Text(text)] => text == part,
            _ => !part.is_empty(),
        };
        parts.len() == self.segments.len() && self.segments.iter().zip(&parts).all(is_equal)
    }

    /// What stands before the first placeholder: all names begin with it.
    #[must_use]
    pub fn beginning(&self) -> String {
        let mut beginning = String::new();
        for (index, parts) in self.segments.iter().enumerate() {
            if index > 0 {
                beginning.push('/');
            }
            for part in parts {
                let Part::Text(text) = part else { return beginning };
                beginning.push_str(text);
            }
        }
        beginning
    }

    /// The name for telemetry of `resource`. Two resources whose values differ never get one name
    /// because a character had to go: the name then ends in a hash of what it was made from.
    ///
    /// A part between slashes of which nothing is known is left out; `unknown` stands for a value that
    /// is missing beside others, or for everything.
    #[must_use]
    pub fn name(&self, resource: &Resource) -> String {
        let mut whole = Vec::new();
        for parts in &self.segments {
            let values = parts.iter().map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Placeholder(index) => value(PLACEHOLDERS[*index], resource),
            });
            let values: Vec<Option<&str>> = values.collect();
            let is_known = values.is_empty() || values.iter().any(Option::is_some);
            if is_known {
                whole.push(values.iter().map(|it| it.unwrap_or(UNKNOWN)).collect::<String>());
            }
        }
        let whole = whole.join("/");
        let is_nothing = whole.chars().all(|character| character == '/');
        self.kind.allowed(if is_nothing { UNKNOWN } else { &whole })
    }
}

/// Names all of them, with what was meant.
fn unknown_placeholders(unknown: &[&str]) -> String {
    let told = unknown.iter().map(|name| {
        // Half of a longer name is no typing mistake, and is meant all the same.
        let begun = || {
            let longer = |known: &&&str| name.len() > 2 && known.starts_with(name);
            PLACEHOLDERS.iter().find(longer).copied()
        };
        match closest(name, PLACEHOLDERS.iter().copied()).or_else(begun) {
            Some(meant) => format!("{{{name}}} (did you mean {{{meant}}}?)"),
            None => format!("{{{name}}}"),
        }
    });
    let told: Vec<String> = told.collect();
    let verb = if told.len() == 1 { "which is" } else { "which are" };
    format!("has {}, {verb} none of {{{}}}", told.join(" and "), PLACEHOLDERS.join("}, {"))
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Group => "log group",
            Self::Stream => "log stream",
        }
    }

    fn allows(self, character: char) -> bool {
        match self {
            Self::Group => character.is_ascii_alphanumeric() || "._/#-".contains(character),
            Self::Stream => character != ':' && character != '*' && !character.is_control(),
        }
    }

    /// `whole` as it may stand.
    fn allowed(self, whole: &str) -> String {
        let kept = |character| if self.allows(character) { character } else { '_' };
        let mut name: String = whole.chars().map(kept).collect();
        if self == Self::Group && name.starts_with("aws/") {
            name.insert(0, '_');
        }
        if name == whole && name.chars().count() <= NAME_CHARS_MAX {
            return name;
        }
        let hash = Sha256::digest(whole.as_bytes());
        let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let head: String = name.chars().take(NAME_CHARS_MAX - hash.len() - 1).collect();
        format!("{head}-{hash}")
    }
}

fn value<'r>(name: &str, resource: &'r Resource) -> Option<&'r str> {
    let file_name = |file: &'r Value| file.as_bytes().iter().rposition(|byte| *byte == b'/');
    let text = match name {
        "engine" => resource.engine.map(Engine::as_str),
        "job_name" => resource.job_name.as_deref(),
        "job_id" => resource.job_id.as_deref(),
        "run_id" => resource.run_id.as_deref(),
        "run_context" => resource.run_context.as_deref(),
        "user_id" => resource.user_id.as_deref(),
        "component" => resource.component.as_deref(),
        "executor_id" => resource.executor_id.as_deref(),
        "host" => resource.host.as_deref(),
        _ => resource.file.as_ref().map(|file| {
            let name = file_name(file).map_or(0, |slash| slash + 1);
            &file[name..]
        }),
    };
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Kind, NAME_CHARS_MAX, Template};
    use crate::model::{Engine, Resource};
    use proptest::prelude::*;
    use redaction::Redactor;

    fn resource(job_name: &str, executor_id: &str) -> Resource {
        let value = |text: &str| (!text.is_empty()).then(|| Redactor::new().value(text));
        Resource {
            job_name: value(job_name),
            job_id: value("app-20261127080000-0001"),
            executor_id: value(executor_id),
            engine: Some(Engine::Spark),
            file: value("/var/log/spark/driver.log"),
            ..Resource::default()
        }
    }

    fn name(kind: Kind, template: &str, resource: &Resource) -> String {
        Template::new(kind, template).unwrap().name(resource)
    }

    #[test]
    fn what_is_known_stands_in_the_name_and_what_is_not_is_left_out() {
        let known = resource("etl", "3");
        assert_eq!(
            name(Kind::Group, "/sidelight/{engine}/{job_name}", &known),
            "/sidelight/spark/etl"
        );
        let stream = "{job_id}/{component}/{executor_id}";
        assert_eq!(name(Kind::Stream, stream, &known), "app-20261127080000-0001/3");
        assert_eq!(name(Kind::Stream, "{file_name}@{component}", &known), "driver.log@unknown");
        assert_eq!(name(Kind::Stream, "{component}/{host}", &known), "unknown");
        assert_eq!(name(Kind::Group, "/{user_id}", &Resource::default()), "unknown");
    }

    #[test]
    fn a_template_says_how_its_names_begin_and_whether_one_is_known() {
        let template = Template::new(Kind::Group, "/a/b-{job_name}/{engine}").unwrap();
        assert_eq!(template.beginning(), "/a/b-");
        assert!(template.fits("/a/b-etl/spark") && !template.fits("/a/b-etl"));
        assert!(!template.fits("/x/b-etl/spark") && !template.fits("/a/b-etl/"));
        assert!(template.is_known(&resource("etl", "")));
        assert!(!template.is_known(&resource("", "")));
        assert_eq!(Template::new(Kind::Group, "/a").unwrap().beginning(), "/a");
    }

    #[test]
    fn a_template_that_no_name_can_be_made_from_says_why() {
        let told = |kind, raw| Template::new(kind, raw).unwrap_err();
        assert!(told(Kind::Group, "/a/{job}").contains(", which is none of {engine}"));
        let both = told(Kind::Group, "/sidelight/{enginee}/{job}");
        for part in ["{enginee} (did you mean {engine}?)", "{job} (did you mean {job_name}?)"] {
            assert!(both.contains(part), "{both}");
        }
        assert!(told(Kind::Group, "/a/{colour}").starts_with("has {colour}, which is none of"));
        assert!(told(Kind::Group, "a b").contains("' '"));
        assert!(told(Kind::Stream, "a:{job_id}").contains("':'"));
        for raw in ["{", "}", "a{job_id", "job_id}"] {
            assert!(told(Kind::Stream, raw).contains("brace"), "{raw}");
        }
        assert!(told(Kind::Stream, "/").contains("empty"));
    }

    proptest! {
        #[test]
        fn every_name_is_allowed_and_two_jobs_share_none(one in ".{1,700}", other in ".{1,700}") {
            for kind in [Kind::Group, Kind::Stream] {
                let template = Template::new(kind, "{job_name}").unwrap();
                let (first, second) = (resource(&one, ""), resource(&other, ""));
                let names = (template.name(&first), template.name(&second));
                for name in [&names.0, &names.1] {
                    prop_assert!(name.chars().all(|character| kind.allows(character)), "{}", name);
                    prop_assert!((1..=NAME_CHARS_MAX).contains(&name.chars().count()));
                    prop_assert!(kind == Kind::Stream || !name.starts_with("aws/"));
                }
                // Slashes alone are nothing.
                let is_nothing = |text: &str| text.chars().all(|character| character == '/');
                if first.job_name != second.job_name && !is_nothing(&one) && !is_nothing(&other) {
                    prop_assert_ne!(names.0, names.1);
                }
            }
        }
    }

    #[test]
    fn a_replaced_character_does_not_make_two_names_one() {
        let group = |job_name| name(Kind::Group, "{job_name}", &resource(job_name, ""));
        assert_ne!(group("a b"), group("a_b"));
        assert_ne!(group("a b"), group("a:b"));
        assert_eq!(group("a_b"), "a_b");
        assert!(group("aws/x").starts_with("_aws/x-"));
    }
}
