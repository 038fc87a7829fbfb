//! Merges the sessions of a shop by ready-made merges, one for each kind of attribute.
//!
//! | Attribute | Holds | Both sides changed it |
//! |---|---|---|
//! | `visits` | a number | both sides' visits count |
//! | `last_seen` | a time, as a number | the later time |
//! | `item:ARTICLE` | how many are in the cart | both sides' changes count, never below 0 |
//! | `wishes`, `role/...` | a set, as a JSON array | what either side added, without what either side removed |
//! | `points` | a JSON object, by kind | each kind is counted by itself |
//! | `settings` | a JSON object | key by key, at every depth |
//! | any other | anything | the later write |

use colony_guest::ready::{Merges, counter, json, last_write, map_by_key, max, quantity, set_union};

/// The plugin.
pub fn account() -> Merges {
    Merges::new()
        .attribute("visits", counter())
        .attribute("last_seen", max())
        .attribute("wishes", set_union())
        .attribute("points", map_by_key(counter()))
        .attribute("settings", json())
        .prefix("item:", quantity())
        .prefix("role/", set_union())
        .otherwise(last_write())
}

colony_guest::export_merge!(account());

#[cfg(test)]
mod tests {
    use colony_guest::merge::{Conflict, Side, resolve};

    use super::*;

    /// What is stored after the merge, whichever side is called ours.
    fn merged(name: &str, base: &str, ours: &str, theirs: &str) -> String {
        let (ours, theirs) = (Side::of(ours).written_at(1), Side::of(theirs).written_at(2));
        let conflict = Conflict::new(name, Some(Side::of(base)), ours, theirs);
        let value = |conflict: &Conflict| {
            let resolution = resolve(&account(), conflict);
            let value = resolution.value_in(conflict).flatten().expect("nothing is removed here");
            String::from_utf8(value.to_vec()).expect("all is text here")
        };
        assert_eq!(value(&conflict), value(&conflict.clone().swapped()));
        value(&conflict)
    }

    #[test]
    fn each_attribute_is_merged_as_the_table_says() {
        assert_eq!(merged("visits", "10", "12", "11"), "13");
        assert_eq!(merged("last_seen", "1", "1700000009", "1700000007"), "1700000009");
        assert_eq!(merged("item:tea", "7", "1", "2"), "0");
        assert_eq!(merged("wishes", r#"["a","b"]"#, r#"["a","b","c"]"#, r#"["b"]"#), r#"["b","c"]"#);
        assert_eq!(merged("role/shop", "[]", r#"["buyer"]"#, r#"["seller"]"#), r#"["buyer","seller"]"#);
        assert_eq!(merged("points", r#"{"tea":5}"#, r#"{"tea":9}"#, r#"{"tea":4,"milk":2}"#), r#"{"milk":2,"tea":8}"#);
        assert_eq!(
            merged("settings", "{}", r#"{"mail":{"news":false}}"#, r#"{"size":2}"#),
            r#"{"mail":{"news":false},"size":2}"#
        );
        assert_eq!(merged("name", "A", "Ada", "Ada L."), "Ada L.");
    }
}
