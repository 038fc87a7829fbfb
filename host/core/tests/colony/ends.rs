//! How lives end, and how long that is remembered (`PROTOCOL.md` 1, 8; D4).

use colony_wire::op::Change;
use colony_wire::session::EndKind;

use crate::calls::{blob, delete_as, key, request};
use crate::world::{A, B, world};

/// `PROTOCOL.md` 10; D4: why a life ended is part of the log: a logout, and what is done in the user's stead.
#[test]
fn a_delete_is_logged_with_its_kind() {
    for kind in [EndKind::Logout, EndKind::Revoke] {
        let mut w = world(&[A, B]);
        w.done(A, request(1, blob("k", "v")));
        w.done(A, request(2, delete_as("k", kind)));
        let last = w.replica(A).op(w.replica(A).committed()).unwrap();
        assert_eq!(last.change, Change::End { key: key("k"), kind });
    }
}
