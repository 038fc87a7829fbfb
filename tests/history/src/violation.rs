//! Why a session's history has no order that explains it.

use std::fmt;

use crate::operation::{Micros, Operation};
use crate::search::DeadEnd;

/// The longest part of a session's history that can be explained, and what cannot be placed after it.
///
/// Up to `deadline` there is an order: everything that had to take effect earlier is placed. Whatever order was
/// tried, one of those that had to take effect by then cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The session.
    pub session: String,
    /// How far in time the best order got. An operation must take effect by its return; a write also by the first
    /// return of an operation that saw it.
    pub deadline: Micros,
    /// How many operations this order has.
    pub placed: usize,
    /// How many operations the session has, those included that were not needed for an order.
    pub operations: usize,
    /// The last changes in this order, oldest first.
    pub last: Vec<Operation>,
    /// What still has to see the value that is there after them: it cannot go before.
    pub waiting: Vec<Operation>,
    /// What could not come next, the most urgent first, with why.
    pub stuck: Vec<(Operation, String)>,
}

impl Violation {
    pub(crate) fn new(session: &str, operations: &[Operation], dead_end: DeadEnd) -> Self {
        let all = |indices: Vec<usize>| indices.into_iter().map(|index| operations[index]).collect();
        Self {
            session: session.to_owned(),
            deadline: dead_end.deadline,
            placed: dead_end.placed,
            operations: operations.len(),
            last: all(dead_end.last),
            waiting: all(dead_end.waiting),
            stuck: dead_end.stuck.into_iter().map(|(index, why)| (operations[index], why)).collect(),
        }
    }
}

/// Several lines; operations stand as in a file, `client invoked returned action outcome`.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, deadline, placed, operations, last, waiting, stuck } = self;
        writeln!(
            f,
            "session {session}: an order of {placed} of {operations} operations explains all up to {deadline}"
        )?;
        for operation in last {
            writeln!(f, "  then           {operation}")?;
        }
        for operation in waiting {
            writeln!(f, "  to be seen by  {operation}")?;
        }
        for (operation, why) in stuck {
            writeln!(f, "  but not        {operation}: {why}")?;
        }
        Ok(())
    }
}
