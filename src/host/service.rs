//! The product's service, as the node's rules name it: stopped, started, and asked how it is.

use super::Node;
use crate::model::service::Failure;
use crate::model::{Refusal, RefusalName};

/// Who stops and starts the product.
pub(super) struct Service;

impl Service {
    pub(super) fn of(node: &Node) -> Result<Self, Refusal> {
        node.store.rules()?;
        Ok(Self)
    }

    pub(super) fn runs(&self) -> Result<bool, Refusal> {
        Ok(false)
    }

    pub(super) fn surely_runs(&self) -> bool {
        false
    }

    pub(super) fn stop(&self) -> Result<(), Failure> {
        Ok(())
    }

    pub(super) fn start(&self) -> Result<(), Failure> {
        Ok(())
    }

    pub(super) fn not_stopped(&self, failure: &Failure) -> Refusal {
        tell(
            Refusal::new(RefusalName::Internal, "the product did not stop"),
            "stop",
            failure,
        )
    }
}

/// Adds to a refusal what a command did not do, and the last that it printed.
pub(super) fn tell(refusal: Refusal, label: &str, failure: &Failure) -> Refusal {
    let refusal = refusal.value(label, &failure.ended);
    failure
        .output
        .lines()
        .fold(refusal, |refusal, line| refusal.value("printed", line))
}
