//! Merges shopping carts: what was put in on either side is in the cart.
//!
//! An attribute `item:ARTICLE` holds how many of the article are in the cart, as a decimal number. Where
//! both sides changed a quantity, their differences from the base add up: 2, then 5 here and 3 there, is 6.
//! For every other attribute, and for an item that is not a number, the later write is kept.

use colony_guest::merge::{Conflict, Merge, Resolution};
use colony_guest::ready::quantity;

/// Attributes with this prefix are quantities.
pub const ITEM: &str = "item:";

/// The plugin.
pub struct Cart;

impl Merge for Cart {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        if conflict.name.starts_with(ITEM) {
            conflict.merge_by(&quantity())
        } else {
            Resolution::Keep(conflict.later())
        }
    }
}

colony_guest::export_merge!(Cart);

#[cfg(test)]
mod tests {
    use colony_guest::merge::{Choice, Read, Side, resolve};

    use super::*;

    /// The values that the laws are tried on: absent, numbers around each other, and no number.
    const VALUES: [Option<&str>; 8] =
        [None, Some("0"), Some("1"), Some("2"), Some("3"), Some("7"), Some("18446744073709551615"), Some("?")];

    fn side(value: Option<&str>) -> Side {
        value.map_or_else(Side::absent, Side::of)
    }

    fn conflict(base: Option<&str>, ours: Option<&str>, theirs: Option<&str>) -> Conflict {
        Conflict::new("item:tea", Some(side(base)), side(ours), side(theirs))
    }

    /// What the cart holds after the merge.
    fn merged(conflict: &Conflict) -> Option<String> {
        let resolution = resolve(&Cart, conflict);
        let value = resolution.value_in(conflict).expect("the cart never asks for quarantine");
        value.map(|bytes| String::from_utf8(bytes.to_vec()).expect("quantities are text"))
    }

    fn every_conflict() -> impl Iterator<Item = Conflict> {
        let bases = VALUES.into_iter().map(|base| Some(side(base))).chain([None]);
        bases.flat_map(|base| {
            VALUES.into_iter().flat_map(move |ours| {
                let base = base.clone();
                VALUES.into_iter().map(move |theirs| Conflict::new("item:tea", base.clone(), side(ours), side(theirs)))
            })
        })
    }

    #[test]
    fn quantities_put_in_on_both_sides_add_up() {
        assert_eq!(merged(&conflict(Some("2"), Some("5"), Some("3"))).as_deref(), Some("6"));
        assert_eq!(merged(&conflict(None, Some("1"), Some("4"))).as_deref(), Some("5"));
    }

    #[test]
    fn quantities_taken_out_on_both_sides_never_go_below_zero() {
        assert_eq!(merged(&conflict(Some("7"), Some("1"), Some("2"))).as_deref(), Some("0"));
    }

    #[test]
    fn a_removal_stands_unless_the_other_side_added() {
        assert_eq!(merged(&conflict(Some("3"), None, Some("2"))), None);
        assert_eq!(merged(&conflict(Some("3"), None, Some("7"))).as_deref(), Some("4"));
    }

    #[test]
    fn without_a_base_the_larger_quantity_is_kept() {
        let conflict = Conflict::new("item:tea", None, Side::of("2"), Side::of("3"));
        assert_eq!(merged(&conflict).as_deref(), Some("3"));
    }

    #[test]
    fn the_merge_does_not_depend_on_which_side_is_ours() {
        for conflict in every_conflict() {
            assert_eq!(merged(&conflict), merged(&conflict.clone().swapped()), "{conflict:?}");
        }
    }

    #[test]
    fn equal_sides_stay_as_they_are_and_an_unchanged_side_gives_way() {
        for base in VALUES {
            for value in VALUES {
                let idempotent = conflict(base, value, value);
                assert_eq!(merged(&idempotent).as_deref(), value, "{idempotent:?}");
                let identity = conflict(base, base, value);
                assert_eq!(merged(&identity).as_deref(), value, "{identity:?}");
            }
        }
    }

    #[test]
    fn a_merged_cart_never_holds_more_than_was_put_in() {
        for conflict in every_conflict() {
            let count = |side: &Side| u128::from(side.read::<u64>().or(0));
            let number = |side: &Side| side.read::<u64>() != Read::Unreadable;
            if number(&conflict.ours) && number(&conflict.theirs) {
                let held = merged(&conflict).map_or(0, |held| held.parse().expect("numbers give a number"));
                assert!(held <= count(&conflict.ours) + count(&conflict.theirs), "{conflict:?}");
            }
        }
    }

    #[test]
    fn the_cart_keeps_the_laws() {
        colony_laws::assert_lawful(&Cart);
    }

    #[test]
    fn other_attributes_keep_the_later_write() {
        let (ours, theirs) = (Side::of("red").written_at(2), Side::of("blue").written_at(1));
        let conflict = Conflict::new("colour", None, ours, theirs);
        assert_eq!(resolve(&Cart, &conflict), Resolution::Keep(Choice::Ours));
    }
}
