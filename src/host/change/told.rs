//! What became of the product, and how long it took, for a person.

use super::super::statement::Times;
use super::ProductWas;
use crate::model::text::seconds;

/// The last line of a change: how long it took, and of that how long the product stood still.
pub(in crate::host) fn took(times: Times, product: ProductWas) -> String {
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
    pub(in crate::host) const fn words(self) -> Option<&'static str> {
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
