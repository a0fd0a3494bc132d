//! How long a change took, for a person.

use super::super::statement::Times;
use crate::model::text::seconds;

/// The last line of a change: how long it took, and of that how long the product stood still.
pub(in crate::host) fn took(times: Times, restarted: bool) -> String {
    let Times {
        staging_ms,
        downtime_ms,
        exchange_ms,
    } = times;
    let staging = seconds(staging_ms);
    if restarted {
        format!(
            "done: staging {staging}, downtime {downtime_ms} ms (exchange {exchange_ms} ms of it)"
        )
    } else {
        format!("done: staging {staging}, downtime {downtime_ms} ms (the exchange)")
    }
}
