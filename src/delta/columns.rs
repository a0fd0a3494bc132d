//! What an archive says of its entries, field by field in columns: what is alike lies together, and
//! mostly is as foretold, so that it costs next to nothing.
//!
//! One function walks the fields, for writing and for reading: it hands in what is foretold, and what is
//! there where that is known. So the two cannot drift apart.
//!
//! | attack | defence |
//! |---|---|
//! | columns longer than what there is, or that overlap | they lie end to end, and fill the bytes exactly |
//! | a column that ends early | each byte is asked for, and a missing one is damage |
//! | bytes in a column that nobody reads | each column is read to its end, or it is damage |
//! | a text of 64 KB for a single byte, again and again | every text is counted before it is made |
//! | a text that is none of those foretold, or longer than its column | damage |

use super::budget::Budget;
use super::error::{Outcome, damaged};
use super::varint;
use super::zip::{CENTRAL, LOCAL};

/// The columns of numbers and texts, behind those of the two headers.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Field {
    Entries,
    Base,
    Kind,
    Recipe,
    Size,
    NameIs,
    ExtraIs,
    CommentIs,
    GapIs,
    Length,
    Descriptor,
    Order,
    Text,
}

const FIELDS: usize = 13;
/// How many columns there are.
pub(super) const COLUMNS: usize = LOCAL + CENTRAL + FIELDS;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    /// A byte of the header before the data.
    Local(usize),
    /// A byte of the header in the directory.
    Central(usize),
    /// A number or text.
    Of(Field),
}

impl Column {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Local(at) => at,
            Self::Central(at) => LOCAL.saturating_add(at),
            Self::Of(field) => {
                let field = match field {
                    Field::Entries => 0,
                    Field::Base => 1,
                    Field::Kind => 2,
                    Field::Recipe => 3,
                    Field::Size => 4,
                    Field::NameIs => 5,
                    Field::ExtraIs => 6,
                    Field::CommentIs => 7,
                    Field::GapIs => 8,
                    Field::Length => 9,
                    Field::Descriptor => 10,
                    Field::Order => 11,
                    Field::Text => 12,
                };
                LOCAL.saturating_add(CENTRAL).saturating_add(field)
            }
        }
    }
}

/// Writes or reads columns.
pub(super) trait Coder {
    /// A byte; what is there counts for a writer alone.
    fn byte(&mut self, column: Column, there: u8, foretold: u8) -> Outcome<u8>;

    /// A number.
    fn number(&mut self, field: Field, there: u64, foretold: u64) -> Outcome<u64>;

    /// A text: the first of those foretold that it is, or in full.
    fn text(&mut self, field: Field, there: &[u8], foretold: &[&[u8]]) -> Outcome<Vec<u8>>;
}

/// Columns that are being read.
pub(super) struct Reading<'a> {
    /// Texts are counted: an entry may have one of 64 KB for a single byte.
    budget: &'a Budget,
    bytes: Vec<u8>,
    /// What is left of each column.
    left: Vec<std::ops::Range<usize>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(bytes: Vec<u8>, budget: &'a Budget) -> Outcome<Self> {
        let mut at = 0;
        let mut sizes = Vec::with_capacity(COLUMNS);
        for _ in 0..COLUMNS {
            let size = varint::take(|| next(&bytes, &mut at))?;
            sizes.push(usize::try_from(size).unwrap_or(usize::MAX));
        }
        let mut left = Vec::with_capacity(COLUMNS);
        for size in sizes {
            let end = at.saturating_add(size);
            left.push(at..end);
            at = end;
        }
        if at != bytes.len() {
            return damaged("the columns have other lengths than stated");
        }
        Ok(Self {
            budget,
            bytes,
            left,
        })
    }

    /// Refuses columns that were not read to their ends.
    pub(super) fn end(&self) -> Outcome<()> {
        if self.left.iter().all(std::ops::Range::is_empty) {
            Ok(())
        } else {
            damaged("a column has more than was asked for")
        }
    }

    fn next(&mut self, column: Column) -> Outcome<u8> {
        let at = self.left.get_mut(column.index()).and_then(Iterator::next);
        match at.and_then(|at| self.bytes.get(at)) {
            Some(byte) => Ok(*byte),
            None => damaged("a column is too short"),
        }
    }
}

fn next(bytes: &[u8], at: &mut usize) -> Outcome<u8> {
    let Some(byte) = bytes.get(*at) else {
        return damaged("the columns are too short");
    };
    *at = at.saturating_add(1);
    Ok(*byte)
}

impl Coder for Reading<'_> {
    fn byte(&mut self, column: Column, _there: u8, foretold: u8) -> Outcome<u8> {
        Ok(self.next(column)? ^ foretold)
    }

    fn number(&mut self, field: Field, _there: u64, foretold: u64) -> Outcome<u64> {
        let difference = varint::take(|| self.next(Column::Of(field)))?;
        Ok(varint::apply(foretold, difference))
    }

    fn text(&mut self, field: Field, _there: &[u8], foretold: &[&[u8]]) -> Outcome<Vec<u8>> {
        let choice = usize::try_from(self.number(field, 0, 0)?).unwrap_or(usize::MAX);
        if let Some(text) = foretold.get(choice) {
            self.budget
                .memory(text.len().try_into().unwrap_or(u64::MAX))?;
            return Ok(text.to_vec());
        }
        if choice != foretold.len() {
            return damaged("a text is none of those foretold");
        }
        let size = usize::try_from(self.number(Field::Length, 0, 0)?).unwrap_or(usize::MAX);
        let column = Column::Of(Field::Text);
        let range = self
            .left
            .get_mut(column.index())
            .filter(|left| size <= left.len());
        let Some(range) = range else {
            return damaged("a text is longer than its column");
        };
        let end = range.start.saturating_add(size);
        self.budget.memory(size.try_into().unwrap_or(u64::MAX))?;
        let text = self
            .bytes
            .get(range.start..end)
            .unwrap_or_default()
            .to_vec();
        range.start = end;
        Ok(text)
    }
}
