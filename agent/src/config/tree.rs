//! Finding, replacing and taking out values of a parsed document by where they were written.

use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// An entry, or one element of a list, that was taken out of a table.
pub(super) struct Taken<'a> {
    /// Keys from the table down to the value; an element of a list has its list's path,
    /// and what is in a table of several its number, as in `[2]`.
    pub(super) path: Vec<String>,
    pub(super) value: Spanned<DeValue<'a>>,
}

/// `a.b` as one path; `b` alone at the top.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `[2]` behind the path of a list of several tables; nothing where there is only one.
pub(super) fn number_of(index: usize, n_elements: usize) -> String {
    if n_elements > 1 { format!("[{index}]") } else { String::new() }
}

/// Shows every string value with its path and place.
pub(super) fn for_each_string(
    table: &DeTable<'_>,
    visit: &mut dyn FnMut(&str, &str, Range<usize>),
) {
    fn walk(
        value: &Spanned<DeValue<'_>>,
        path: &str,
        visit: &mut dyn FnMut(&str, &str, Range<usize>),
    ) {
        match value.get_ref() {
            DeValue::String(text) => visit(path, text, value.span()),
            DeValue::Array(list) => list.iter().for_each(|element| walk(element, path, visit)),
            DeValue::Table(table) => {
                for (key, value) in table {
                    walk(value, &join(path, key.get_ref()), visit);
                }
            }
            _ => {}
        }
    }
    for (key, value) in table {
        walk(value, key.get_ref(), visit);
    }
}

/// Hands out every string value to be changed, until `change` says that it is done.
pub(super) fn change_strings<'a>(
    table: &mut DeTable<'a>,
    change: &mut dyn FnMut(&mut Spanned<DeValue<'a>>) -> bool,
) -> bool {
    fn walk<'a>(
        value: &mut Spanned<DeValue<'a>>,
        change: &mut dyn FnMut(&mut Spanned<DeValue<'a>>) -> bool,
    ) -> bool {
        match value.get_mut() {
            DeValue::Array(list) => list.iter_mut().any(|element| walk(element, change)),
            DeValue::Table(table) => change_strings(table, change),
            DeValue::String(_) => change(value),
            _ => false,
        }
    }
    table.iter_mut().any(|(_, value)| walk(value, change))
}

/// Takes out the innermost entry or element whose key or value covers `at`.
pub(super) fn take<'a>(table: &mut DeTable<'a>, at: &Range<usize>) -> Option<Taken<'a>> {
    let covering = |(key, value): (&Spanned<Cow<'a, str>>, &Spanned<DeValue<'a>>)| {
        let hit = holds(value, at) || covers(&key.span(), at);
        hit.then(|| key.get_ref().clone().into_owned())
    };
    let key = table.iter().find_map(covering)?;
    let value = table.get_mut(key.as_str())?;
    let inner =
        if is_inside(value.get_ref(), at) { take_inside(value.get_mut(), at) } else { None };
    match inner {
        Some(mut taken) => {
            match taken.path.first_mut().filter(|first| first.starts_with('[')) {
                Some(number) => number.insert_str(0, &key),
                None => taken.path.insert(0, key),
            }
            Some(taken)
        }
        None => {
            let value = table.remove(key.as_str())?;
            Some(Taken { path: vec![key], value })
        }
    }
}

fn take_inside<'a>(value: &mut DeValue<'a>, at: &Range<usize>) -> Option<Taken<'a>> {
    match value {
        DeValue::Table(table) => take(table, at),
        DeValue::Array(list) => {
            let index = list.iter().position(|element| holds(element, at))?;
            let mut elements: Vec<_> =
                std::mem::replace(list, DeArray::new()).into_iter().collect();
            let number = number_of(index, elements.len());
            let is_table = matches!(elements[index].get_ref(), DeValue::Table(_));
            let taken = if is_inside(elements[index].get_ref(), at) {
                let mut taken = take_inside(elements[index].get_mut(), at);
                if let Some(taken) = taken.as_mut().filter(|_| is_table && !number.is_empty()) {
                    taken.path.insert(0, number);
                }
                taken
            } else {
                Some(Taken { path: Vec::new(), value: elements.remove(index) })
            };
            *list = elements.into_iter().collect::<DeArray<'a>>();
            taken
        }
        _ => None,
    }
}

fn covers(span: &Range<usize>, at: &Range<usize>) -> bool {
    span.start <= at.start && at.end <= span.end
}

fn holds(value: &Spanned<DeValue<'_>>, at: &Range<usize>) -> bool {
    covers(&value.span(), at) || is_inside(value.get_ref(), at)
}

fn is_inside(value: &DeValue<'_>, at: &Range<usize>) -> bool {
    match value {
        DeValue::Array(list) => list.iter().any(|element| holds(element, at)),
        DeValue::Table(table) => {
            table.iter().any(|(key, value)| covers(&key.span(), at) || holds(value, at))
        }
        _ => false,
    }
}

/// Reads a text of the environment as what the field wants instead of a string: a number, true
/// or false, or a list (in TOML, or separated by commas). Every part gets the place `span`.
pub(super) fn coerce<'a>(
    text: &'a str,
    wants_list: bool,
    span: &Range<usize>,
) -> Option<DeValue<'a>> {
    let text = text.trim();
    let parsed = DeValue::parse(text).ok().map(Spanned::into_inner);
    match parsed {
        Some(list @ DeValue::Array(_)) => Some(moved(list, span)),
        _ if wants_list => {
            let element = |part| Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(part)));
            Some(DeValue::Array(split_list(text).into_iter().map(element).collect()))
        }
        Some(DeValue::String(_) | DeValue::Table(_)) | None => None,
        scalar => scalar,
    }
}

/// The value with every part of it at `span`.
fn moved<'a>(value: DeValue<'a>, span: &Range<usize>) -> DeValue<'a> {
    let inner =
        |value: Spanned<DeValue<'a>>| Spanned::new(span.clone(), moved(value.into_inner(), span));
    match value {
        DeValue::Array(list) => DeValue::Array(list.into_iter().map(inner).collect()),
        DeValue::Table(table) => {
            let entry = |(key, value): (Spanned<_>, _)| {
                (Spanned::new(span.clone(), key.into_inner()), inner(value))
            };
            DeValue::Table(table.into_iter().map(entry).collect())
        }
        other => other,
    }
}

/// Parts between commas; a comma inside `{a,b}` of a glob separates nothing.
fn split_list(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{split_list, take};
    use toml::de::DeTable;

    #[test]
    fn the_innermost_entry_or_element_is_taken() {
        let text = "[a]\nb = [1, 'x', { c = 2 }]\n[a.d]\ne = 3\n";
        for (marked, path) in
            [("'x'", "a.b"), ("2", "a.b[2].c"), ("3", "a.d.e"), ("e", "a.d.e"), ("b", "a.b")]
        {
            let mut table = DeTable::parse(text).unwrap().into_inner();
            let start = text.find(marked).unwrap();
            let taken = take(&mut table, &(start..start + marked.len())).unwrap();
            assert_eq!(taken.path.join("."), path, "{marked}");
        }
        let mut table = DeTable::parse(text).unwrap().into_inner();
        assert!(take(&mut table, &(900..901)).is_none());
    }

    #[test]
    fn commas_inside_braces_separate_nothing() {
        assert_eq!(split_list("/a/{b,c}/*.log, /d ,,"), ["/a/{b,c}/*.log", "/d"]);
        assert_eq!(split_list(" "), [""; 0]);
    }
}
