//! Histories as text: one operation a line, so that a recorder can append and a person can read and search.
//!
//! ```text
//! colony-history 1
//! # session client invoked returned action outcome
//! cart-7 0 1000 1900 put 41 done
//! cart-7 1 1500 2100 read found 41
//! cart-7 0 2000 - swap 41 42 unknown
//! cart-7 1 9000 9400 delete not-done
//! ```
//!
//! The first line names the format and its version. Empty lines and lines that begin with `#` are skipped. Fields
//! are apart by one or more spaces. Times are microseconds; `-` is the time of return of an outcome that is unknown.
//! Actions are `put V`, `create V`, `swap FROM TO`, `delete`, `read`; outcomes are `done`, `found V`, `absent`,
//! `exists`, `changed`, `gone`, `not-found`, `not-done`, `unknown`. The order of lines means nothing.

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use crate::history::{Fault, History, NAME_BYTES_MAX};
use crate::operation::{Action, Operation, Outcome, Value};

/// The first line of a file.
pub const HEADER: &str = "colony-history 1";
/// Bytes of a line: a name, seven numbers of at most 20 digits and two words, with room to spare.
pub const LINE_BYTES_MAX: usize = NAME_BYTES_MAX + 256;

/// A file that is no history.
#[derive(Debug)]
pub enum ReadError {
    /// The file could not be read.
    Io(io::Error),
    /// The first line is not [`HEADER`].
    NotAHistory,
    /// A line is no operation, or none that fits those before it.
    Line {
        /// Which line, from 1.
        number: u64,
        /// What is wrong with it.
        why: LineFault,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// It has more than [`LINE_BYTES_MAX`] bytes.
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// It ends before this field.
    Missing(&'static str),
    /// This field is no number of 64 bits.
    NotANumber(&'static str),
    /// No such action.
    UnknownAction,
    /// No such outcome.
    UnknownOutcome,
    /// It goes on after the outcome.
    TooManyFields,
    /// It says what cannot be.
    Operation(Fault),
}

/// Reads operations one by one; holds one line at a time.
pub struct Reader<R> {
    source: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Reader<R> {
    /// Starts to read, up to the end of the first line.
    ///
    /// # Errors
    /// If that cannot be read or is not [`HEADER`].
    pub fn new(source: R) -> Result<Self, ReadError> {
        let mut reader = Self { source, line: Vec::with_capacity(LINE_BYTES_MAX), number: 0 };
        match reader.next_line() {
            Ok(true) if reader.line == HEADER.as_bytes() => Ok(reader),
            Err(ReadError::Io(error)) => Err(ReadError::Io(error)),
            _ => Err(ReadError::NotAHistory),
        }
    }

    /// The next operation with its session; none at the end.
    ///
    /// # Errors
    /// If the line cannot be read or is none. Whether the operation fits the others is for [`History::push`].
    pub fn next_operation(&mut self) -> Result<Option<(&str, Operation)>, ReadError> {
        loop {
            if !self.next_line()? {
                return Ok(None);
            }
            if !self.line.is_empty() && self.line.first() != Some(&b'#') {
                break;
            }
        }
        let number = self.number;
        let text = std::str::from_utf8(&self.line).map_err(|_| LineFault::NotText);
        match text.and_then(parse) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(why) => Err(ReadError::Line { number, why }),
        }
    }

    /// Takes the next line into `self.line`, without its end; false at the end of the file.
    fn next_line(&mut self) -> Result<bool, ReadError> {
        self.line.clear();
        self.number += 1;
        // One byte more than a line may have, and its end: enough to tell that it is too long.
        let limit = LINE_BYTES_MAX as u64 + 2;
        let read = (&mut self.source).take(limit).read_until(b'\n', &mut self.line).map_err(ReadError::Io)?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        if self.line.len() > LINE_BYTES_MAX {
            return Err(ReadError::Line { number: self.number, why: LineFault::TooLong });
        }
        Ok(read > 0)
    }
}

/// Reads a whole history.
///
/// # Errors
/// The first line that is wrong, by its number and what is wrong with it.
pub fn read(source: impl BufRead) -> Result<History, ReadError> {
    let mut reader = Reader::new(source)?;
    let mut history = History::new();
    while let Some((session, operation)) = reader.next_operation()? {
        if let Err(fault) = history.push(session, operation) {
            return Err(ReadError::Line { number: reader.number, why: LineFault::Operation(fault) });
        }
    }
    Ok(history)
}

/// Writes a history, session by session.
///
/// # Errors
/// If the file cannot be written.
pub fn write(history: &History, to: &mut impl Write) -> io::Result<()> {
    write_header(to)?;
    for (session, operations) in history.sessions() {
        for operation in operations {
            write_operation(session, operation, to)?;
        }
    }
    to.flush()
}

/// Writes the first line of a file; for a recorder that then appends operations as they end.
///
/// # Errors
/// If the file cannot be written.
pub fn write_header(to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{HEADER}")
}

/// Writes one operation; a recorder may do so in any order.
///
/// # Errors
/// If the file cannot be written.
pub fn write_operation(session: &str, operation: &Operation, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{session} {operation}")
}

fn parse(line: &str) -> Result<(&str, Operation), LineFault> {
    let mut fields = Fields(line.split(' '));
    let session = fields.word("session")?;
    let client = fields.number("client")?;
    let invoked = fields.number("invoked")?;
    let returned = match fields.word("returned")? {
        "-" => None,
        digits => Some(number(digits, "returned")?),
    };
    let action = fields.action()?;
    let outcome = fields.outcome()?;
    if fields.word("nothing").is_ok() {
        return Err(LineFault::TooManyFields);
    }
    Ok((session, Operation { client, invoked, returned, action, outcome }))
}

/// What is left of a line.
struct Fields<'a>(std::str::Split<'a, char>);

impl<'a> Fields<'a> {
    fn word(&mut self, name: &'static str) -> Result<&'a str, LineFault> {
        self.0.find(|word| !word.is_empty()).ok_or(LineFault::Missing(name))
    }

    fn number(&mut self, name: &'static str) -> Result<u64, LineFault> {
        number(self.word(name)?, name)
    }

    fn value(&mut self) -> Result<Value, LineFault> {
        self.number("value").map(Value)
    }

    fn action(&mut self) -> Result<Action, LineFault> {
        Ok(match self.word("action")? {
            "put" => Action::Put(self.value()?),
            "create" => Action::Create(self.value()?),
            "swap" => Action::Swap { from: self.value()?, to: self.value()? },
            "delete" => Action::Delete,
            "read" => Action::Read,
            _ => return Err(LineFault::UnknownAction),
        })
    }

    fn outcome(&mut self) -> Result<Outcome, LineFault> {
        Ok(match self.word("outcome")? {
            "done" => Outcome::Done,
            "found" => Outcome::Found(self.value()?),
            "absent" => Outcome::Absent,
            "exists" => Outcome::Exists,
            "changed" => Outcome::Changed,
            "gone" => Outcome::Gone,
            "not-found" => Outcome::NotFound,
            "not-done" => Outcome::NotDone,
            "unknown" => Outcome::Unknown,
            _ => return Err(LineFault::UnknownOutcome),
        })
    }
}

fn number(digits: &str, name: &'static str) -> Result<u64, LineFault> {
    digits.parse().map_err(|_| LineFault::NotANumber(name))
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the history cannot be read: {error}"),
            Self::NotAHistory => write!(f, "the first line is not `{HEADER}`"),
            Self::Line { number, why } => write!(f, "line {number}: {why}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::NotAHistory | Self::Line { .. } => None,
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "more than {LINE_BYTES_MAX} bytes"),
            Self::NotText => f.write_str("not UTF-8"),
            Self::Missing(field) => write!(f, "there is no {field}"),
            Self::NotANumber(field) => write!(f, "{field} is no number of 64 bits"),
            Self::UnknownAction => f.write_str("no such action"),
            Self::UnknownOutcome => f.write_str("no such outcome"),
            Self::TooManyFields => f.write_str("more fields than an operation has"),
            Self::Operation(fault) => fault.fmt(f),
        }
    }
}
