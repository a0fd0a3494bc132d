//! What a node did, from its receipts, and which key was its own at the time.

use super::Node;
use crate::model::receipt::Receipt;
use crate::model::{PublicKey, Refusal};
use crate::spr::Opened;
use crate::trust::verified::by_key;

impl Node {
    /// Every receipt with its sequence number, rising.
    pub fn receipts(&self) -> Result<Vec<(u64, Vec<u8>)>, Refusal> {
        let mut receipts = Vec::new();
        for sequence in self.store.receipts()? {
            receipts.extend(self.store.receipt(sequence)?.map(|file| (sequence, file)));
        }
        Ok(receipts)
    }

    /// What every receipt says, rising; their signatures are for whoever needs them.
    pub(super) fn deeds(&self) -> Result<Vec<Receipt>, Refusal> {
        self.receipts()?
            .into_iter()
            .map(|(_, file)| {
                Opened::of_file(file)
                    .and_then(|opened| opened.decode())
                    .map_err(|e| e.refuse(&self.root.state_folder()))
            })
            .collect()
    }

    /// The key that was the node's own at a sequence number: before each rehome it was another.
    pub(super) fn key_at(&self, sequence: u64) -> Result<PublicKey, Refusal> {
        let mut key = self.public_key()?;
        let since = self.state().home.as_ref().map_or(0, |home| home.since);
        if since <= sequence {
            return Ok(key);
        }
        for (number, file) in self.receipts()?.into_iter().rev() {
            if number <= sequence {
                break;
            }
            let opened = Opened::of_file(file).map_err(|e| e.refuse(&self.root.state_folder()))?;
            let receipt = by_key::<Receipt>(opened.raw(), &key)?;
            if let Some(rehome) = &receipt.get().rehome {
                key = rehome.former.node.key.clone();
            }
        }
        Ok(key)
    }
}
