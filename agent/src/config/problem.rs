//! What is wrong with a config, in words for the person who wrote it.

/// Everything that is wrong with one config. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Problems {
    /// Name of the file as the person gave it.
    pub file: String,
    /// In the order of the file, then of the variables.
    pub list: Vec<Problem>,
    /// True when the list is full and there may be more.
    pub is_cut: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub place: Place,
    /// Path of the key, such as `tail.include`; empty when it is about no key.
    pub key: String,
    /// What is wrong and what would be right. Holds no value of the environment and no secret.
    pub what: String,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// No place in particular.
    WholeFile,
    /// A place in the file.
    Text {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// The line, or the part of it around the place, without secrets.
        snippet: String,
        /// Characters of the snippet before the place.
        caret: usize,
        /// Characters that the place is long.
        width: usize,
    },
    /// An environment variable.
    Variable(String),
}

impl Problems {
    /// One problem with the file as a whole.
    #[must_use]
    pub fn whole_file(file: &str, what: String) -> Self {
        let problem = Problem { place: Place::WholeFile, key: String::new(), what };
        Self { file: file.to_owned(), list: vec![problem], is_cut: false }
    }

    fn text(&self) -> String {
        let mut text: String =
            self.list.iter().map(|problem| problem.with_file(&self.file)).collect();
        let s = if self.list.len() == 1 { "" } else { "s" };
        let or_more = if self.is_cut { " or more" } else { "" };
        text += &format!("{}: {} problem{s}{or_more}", self.file, self.list.len());
        text
    }
}

impl Problem {
    fn with_file(&self, file: &str) -> String {
        let colon = if self.key.is_empty() { "" } else { ": " };
        let what = format!("{}{colon}{}", self.key, self.what);
        match &self.place {
            Place::WholeFile => format!("{file}: {what}\n"),
            Place::Variable(name) => format!("{name}: {what}\n"),
            Place::Text { line, column, snippet, caret, width } => {
                let gutter = " ".repeat(line.to_string().len());
                let mark = format!("{}{}", " ".repeat(*caret), "^".repeat(*width));
                format!(
                    "{file}:{line}:{column}: {what}\n\
                     {gutter} |\n{line} | {snippet}\n{gutter} | {mark}\n"
                )
            }
        }
    }
}
