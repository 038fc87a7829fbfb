//! Panics, which is a trap in a component.

use hostile::Hostile;

colony_guest::export_merge!(Hostile(|| panic!("as asked")));
