//! Finds where the values of options begin in a logged command line.

use crate::lexis::{forward, has_at, skip_blanks};

/// How far behind its command an option is looked for.
const COMMAND_BYTES_MAX: usize = 512;

/// How an option and its value are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glue {
    /// By nothing: what stands apart is another word.
    Nothing,
    /// By blanks or `=`.
    Blank,
    /// By either.
    Any,
}

/// Where the value of each of `options` begins on the rest of the line behind a command at `at`, up to the next command.
pub(crate) fn values<'a>(
    raw: &'a [u8],
    at: usize,
    options: &'a [(&'a str, Glue)],
) -> impl Iterator<Item = usize> + 'a {
    let line = forward(raw, at, at + COMMAND_BYTES_MAX, |b| b != b'\n');
    let ends = |i: &usize| b";|&".contains(&raw[*i]) && raw.get(i + 1) == Some(&b' ');
    let end = (at..line).find(ends).unwrap_or(line);
    let value_of = move |blank: usize| {
        let option = options.iter().find(|(name, _)| has_at(raw, blank + 1, name.as_bytes()));
        let (name, glue) = option.filter(|_| raw[blank] == b' ')?;
        let name_end = blank + 1 + name.len();
        let value = skip_blanks(raw, name_end + usize::from(raw.get(name_end) == Some(&b'=')));
        let is_joined = match glue {
            Glue::Nothing => value == name_end,
            Glue::Blank => value > name_end,
            Glue::Any => true,
        };
        (is_joined && value < raw.len()).then_some(value)
    };
    (at..end).filter_map(value_of)
}

#[cfg(test)]
mod tests {
    use super::{Glue, values};

    #[test]
    fn options_are_words_of_their_own_and_joined_as_said() {
        let options = [("-u", Glue::Any), ("--user", Glue::Blank), ("-p", Glue::Nothing)];
        let raw = "x -ua -u b --user=c --user d --username e -pf -p g; -u h";
        let got: Vec<_> = values(raw.as_bytes(), 1, &options).map(|at| &raw[at..=at]).collect();
        assert_eq!(got, ["a", "b", "c", "d", "f"]);
    }
}
