//! Breaks the law `bounded`: two lists become one behind the other, with what both began from in it twice. Each merge
//! doubles the list.

use colony_guest::merge::{Conflict, Merge, Resolution};

struct Concat;

impl Merge for Concat {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        let mut lists = [&conflict.ours, &conflict.theirs].map(|side| items(side.value()));
        lists.sort();
        match lists {
            [Some(first), Some(second)] => Resolution::Value(format!("[{first},{second}]").into_bytes()),
            _ => Resolution::Keep(conflict.later()),
        }
    }
}

/// What is between the brackets, if anything is.
fn items(value: Option<&[u8]>) -> Option<&str> {
    let items = std::str::from_utf8(value?).ok()?.strip_prefix('[')?.strip_suffix(']')?;
    (!items.is_empty()).then_some(items)
}

colony_guest::export_merge!(Concat);
