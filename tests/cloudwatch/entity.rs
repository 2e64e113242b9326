//! The rules of an entity: lengths fail the call, the rest refuses the entity alone.

use super::limits::{
    ENTITY_ATTRIBUTE_CHARS_MAX, ENTITY_ATTRIBUTES_MAX, ENTITY_KEY_ATTRIBUTE_CHARS_MAX,
    ENTITY_KEY_ATTRIBUTES, ENTITY_KEYS, ENTITY_VALUE_CHARS_MAX, constraint_problem, length_problem,
};
use super::put::Entity;
use std::collections::BTreeMap;

impl Entity {
    /// Constraints of the model that it breaks.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(map) = &self.key_attributes {
            let member = "entity.keyAttributes";
            if !ENTITY_KEY_ATTRIBUTES.contains(&map.len()) {
                found.push(size_problem(member, map.len(), "between 2 and 4"));
            }
            found.extend(pair_problems(member, map, ENTITY_KEY_ATTRIBUTE_CHARS_MAX));
        }
        if let Some(map) = &self.attributes {
            let member = "entity.attributes";
            if map.len() > ENTITY_ATTRIBUTES_MAX {
                found.push(size_problem(member, map.len(), "less than or equal to 10"));
            }
            found.extend(pair_problems(member, map, ENTITY_ATTRIBUTE_CHARS_MAX));
        }
        found
    }

    /// Why the entity is refused while its events are taken.
    pub(crate) fn rejection(&self, class: &str) -> Option<&'static str> {
        let Some(keys) = &self.key_attributes else { return Some("MissingRequiredFields") };
        if class != "STANDARD" {
            return Some("UnsupportedLogGroupType");
        }
        if keys.keys().any(|key| !ENTITY_KEYS.contains(&key.as_str())) {
            return Some("InvalidKeyAttributes");
        }
        if !keys.contains_key("Type") {
            return Some("MissingRequiredFields");
        }
        None
    }
}

fn size_problem(member: &str, n_pairs: usize, range: &str) -> String {
    let constraint = format!("Member must have length {range}");
    constraint_problem(member, &format!("{n_pairs} pairs"), &constraint)
}

fn pair_problems(
    member: &str,
    map: &BTreeMap<String, String>,
    key_chars_max: usize,
) -> Vec<String> {
    let problems = |(key, value): (&String, &String)| {
        length_problem(member, key, 1, key_chars_max)
            .or_else(|| length_problem(member, value, 1, ENTITY_VALUE_CHARS_MAX))
    };
    map.iter().filter_map(problems).collect()
}
