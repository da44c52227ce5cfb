//! What can be wrong with a file, and what to do about it.
//!
//! Messages are one line each and name the file and, in text files, the line. They contain their
//! cause, so none of them has a `source()` that a printer of chains would show a second time.

use std::fmt;
use std::path::{Path, PathBuf};

use atomlens_core::element::UnknownElement;

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The operating system refused to read it.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The operating system refused to write it.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// Its name says nothing, and neither does its content (of a file to be read).
    #[error("{}: unknown kind of {what}: expected {expected}", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
        /// What it should hold, such as "structure file".
        what: &'static str,
        /// The endings that are known.
        expected: &'static str,
    },
    /// Its content is not what its format asks for.
    #[error("{}{}{}", path.display(), if error.line.is_some() { ", " } else { ": " }, error)]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: ParseError,
    },
    /// It holds other things than images.
    #[error("{} holds no image: {found}; images have two axes along which pixels follow one another", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        found: String,
    },
    /// The format cannot hold what was to be written.
    #[error("cannot write {}: {reason}", path.display())]
    CannotHold {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
}

impl FormatError {
    /// Names the file that an error was found in.
    pub fn in_file(path: &Path, error: impl Into<ParseError>) -> FormatError {
        FormatError::Malformed { path: path.to_owned(), error: error.into() }
    }

    pub(crate) fn cannot_hold(path: &Path, reason: impl Into<String>) -> FormatError {
        FormatError::CannotHold { path: path.to_owned(), reason: reason.into() }
    }
}

/// What is wrong in the content of a file, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct ParseError {
    /// Line of a text file, counted from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl std::error::Error for ParseError {}

impl From<Problem> for ParseError {
    fn from(problem: Problem) -> ParseError {
        ParseError { line: None, problem }
    }
}

/// What is wrong in the content of a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No content.
    #[error("the file is empty")]
    Empty,
    /// Binary content where text was expected.
    #[error("this is not a text file: expected {expected}")]
    NotText {
        /// What was expected.
        expected: &'static str,
    },
    /// Another format than expected.
    #[error("this is not {expected}: {found}")]
    NotThisFormat {
        /// What was expected.
        expected: &'static str,
        /// What was found instead.
        found: String,
    },
    /// The file ends too early.
    #[error("the file is cut short: its header announces {expected} bytes, but it has {found}; copy it again")]
    CutShort {
        /// Bytes that the header announces.
        expected: u128,
        /// Bytes that there are.
        found: u64,
    },
    /// More data than the header announces.
    #[error(
        "the file goes on after its data: its header announces {expected} bytes, but it has {found}; \
         is its header damaged?"
    )]
    TooLong {
        /// Bytes that the header announces.
        expected: u128,
        /// Bytes that there are.
        found: u64,
    },
    /// Fewer or more atoms than the header announces.
    #[error("the header announces {expected} atoms, but {found} follow{}", if *found == 1 { "s" } else { "" })]
    WrongCount {
        /// Atoms that the header announces.
        expected: u64,
        /// Atoms that there are.
        found: usize,
    },
    /// Too few words on a line.
    #[error("expected {expected} columns ({what}), found {found}")]
    TooFewColumns {
        /// Least number of columns.
        expected: usize,
        /// What they are.
        what: String,
        /// Columns that there are.
        found: usize,
    },
    /// A word that is not a number.
    #[error("{what} is {found:?}, which is not a number")]
    NotANumber {
        /// What it should be.
        what: &'static str,
        /// The word.
        found: String,
    },
    /// Not a number, infinite, or absurdly large.
    #[error("{what} is {found}: expected {expected}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The value.
        found: String,
        /// The range.
        expected: &'static str,
    },
    /// Not a chemical element.
    #[error(transparent)]
    UnknownElement(#[from] UnknownElement),
    /// A part that has to be there is not.
    #[error("{what} is missing: {advice}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// A part that cannot be understood.
    #[error("{what} is {found:?}: expected {expected}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A space group without its operations.
    #[error(
        "space group {space_group} is given without its symmetry operations: export the structure again \
         with _space_group_symop_operation_xyz, or in P 1 with all atoms of the cell"
    )]
    NoOperations {
        /// The group as the file names it.
        space_group: String,
    },
    /// Two sites at one place that are filled more than once.
    #[error(
        "{first} and {second} are at the same place with a total occupancy of {occupancy:.3}: \
         correct the coordinates or the occupancies"
    )]
    Overfilled {
        /// One site.
        first: String,
        /// The other.
        second: String,
        /// Sum of the occupancies at the place.
        occupancy: f64,
    },
    /// More than a program should take on.
    #[error("{what}: {found}, the limit is {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: u128,
        /// What is allowed.
        limit: u128,
    },
}

impl Problem {
    /// Puts the problem on a line, counted from 1.
    pub(crate) fn at(self, line: usize) -> ParseError {
        ParseError { line: Some(line), problem: self }
    }
}

/// A word as messages show it: not longer than a line, and on one.
pub(crate) fn shown(word: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String =
        word.chars().take(LONGEST).map(|c| if c.is_control() || c == '\u{2028}' { ' ' } else { c }).collect();
    if word.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
