//! The columns of a delta that is being made.

use super::columns::{COLUMNS, Coder, Column, Field};
use super::error::{Outcome, damaged};
use super::varint;

/// Columns that are being written.
pub(super) struct Writing {
    columns: Vec<Vec<u8>>,
}

impl Writing {
    pub(super) fn new() -> Self {
        Self {
            columns: vec![Vec::new(); COLUMNS],
        }
    }

    fn column(&mut self, column: Column) -> Outcome<&mut Vec<u8>> {
        match self.columns.get_mut(column.index()) {
            Some(column) => Ok(column),
            None => damaged("there is no such column"),
        }
    }

    /// The lengths of all columns, and then the columns.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut all = Vec::new();
        for column in &self.columns {
            varint::put(&mut all, column.len().try_into().unwrap_or(u64::MAX));
        }
        self.columns.iter().for_each(|column| all.extend(column));
        all
    }
}

impl Coder for Writing {
    fn byte(&mut self, column: Column, there: u8, foretold: u8) -> Outcome<u8> {
        self.column(column)?.push(there ^ foretold);
        Ok(there)
    }

    fn number(&mut self, field: Field, there: u64, foretold: u64) -> Outcome<u64> {
        varint::put(
            self.column(Column::Of(field))?,
            varint::difference(there, foretold),
        );
        Ok(there)
    }

    fn text(&mut self, field: Field, there: &[u8], foretold: &[&[u8]]) -> Outcome<Vec<u8>> {
        let found = foretold.iter().position(|text| *text == there);
        let choice = found.unwrap_or(foretold.len());
        self.number(field, choice.try_into().unwrap_or(0), 0)?;
        if found.is_none() {
            self.number(Field::Length, there.len().try_into().unwrap_or(0), 0)?;
            self.column(Column::Of(Field::Text))?.extend(there);
        }
        Ok(there.to_vec())
    }
}
