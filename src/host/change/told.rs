//! What every change tells a person: what it touched, what became of the product, how long it took.

use std::fmt::{Formatter, Result};
use std::path::Path;

use super::super::statement::Times;
use super::ProductWas;
use crate::model::receipt::FileCounts;
use crate::model::text::{Shown, seconds};

/// The components and files of a change, and what becomes of the customer's own.
pub(in crate::host) fn touched(
    f: &mut Formatter<'_>,
    changes: &[String],
    files: FileCounts,
    met: &[(&'static str, String)],
) -> Result {
    for change in changes {
        writeln!(f, "  change     {change}")?;
    }
    let FileCounts {
        added,
        changed,
        removed,
    } = files;
    writeln!(
        f,
        "  files      {added} added, {changed} changed, {removed} removed"
    )?;
    met.iter()
        .try_for_each(|(word, sentence)| writeln!(f, "  {word:10} {sentence}"))
}

/// The last lines of a change that was made.
pub(in crate::host) fn ended(
    f: &mut Formatter<'_>,
    product: ProductWas,
    receipt: Option<&Path>,
    times: Times,
) -> Result {
    if let Some(words) = product.words() {
        writeln!(f, "  product    {words}")?;
    }
    if let Some(receipt) = receipt.map(Shown) {
        writeln!(f, "  receipt    {receipt}")?;
        writeln!(
            f,
            "  next       carry the receipt to the desk: lockstep receive {receipt}"
        )?;
    }
    write!(f, "{}", took(times, product))
}

/// How long it took, and of that how long the product stood still.
fn took(times: Times, product: ProductWas) -> String {
    let Times {
        staging_ms,
        downtime_ms,
        exchange_ms,
    } = times;
    let staging = seconds(staging_ms);
    if product == ProductWas::Restarted {
        format!(
            "done: staging {staging}, downtime {downtime_ms} ms (exchange {exchange_ms} ms of it)"
        )
    } else {
        format!("done: staging {staging}, downtime {downtime_ms} ms (the exchange)")
    }
}

impl ProductWas {
    /// The words; nothing where nothing was asked of it.
    #[must_use]
    const fn words(self) -> Option<&'static str> {
        match self {
            Self::LeftAlone => None,
            Self::Restarted => Some("stopped, and started again on these files"),
            Self::Down => Some(
                "[service.running] said that it does not run: stopped to be sure, and NOT started",
            ),
            Self::Removed => Some("stopped; nothing is installed now that could be started"),
        }
    }
}
