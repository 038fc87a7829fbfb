//! Answers with more than a session may hold.

use colony_guest::merge::Resolution;
use hostile::Hostile;

colony_guest::export_merge!(Hostile(|| Resolution::Value(vec![b'x'; 300 << 10])));
