//! What a store of recordings from a backup needs before it is used again.

use std::ops::Bound;

use lucid_ports::RecordingState;
use lucid_store::{Reader as _, Store, StoreError};

use crate::rows::{SESSIONS, UNFINISHED};

/// Rows read at once: bounds the memory.
const ROWS_MAX: usize = 4096;

/// Lets every recording that counts as anchored above block `newest`, or in any block if there is none, wait for its
/// anchor again, and gives their number. A backup copies the chain before the recordings, so that these may be ahead of
/// it; session-pipeline then hands their anchors in anew. Blocking.
///
/// # Errors
/// The store's; nothing is changed then.
pub fn unanchor_above(store: &Store, newest: Option<u64>) -> Result<usize, StoreError> {
    let above = anchored_above(store, newest)?;
    let recordings = above.len();
    store.write_blocking(move |tx| {
        for id in &above {
            let Some(mut row) = tx.get(&SESSIONS, id)? else { continue };
            (row.state, row.block_height) = (RecordingState::Anchoring, None);
            tx.put(&SESSIONS, id, &row)?;
            tx.put(&UNFINISHED, id, &())?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(recordings)
}

fn anchored_above(store: &Store, newest: Option<u64>) -> Result<Vec<[u8; 16]>, StoreError> {
    let (mut above, mut from) = (Vec::new(), Bound::Unbounded);
    loop {
        let rows = store.read(|tx| tx.range(&SESSIONS, (from, Bound::Unbounded), ROWS_MAX))?;
        let Some((last, _)) = rows.last() else { return Ok(above) };
        from = Bound::Excluded(*last);
        // `None` is below every height: without a block nothing is anchored.
        let anchored =
            rows.iter().filter(|(_, row)| row.state == RecordingState::Anchored && row.block_height > newest);
        above.extend(anchored.map(|(id, _)| *id));
    }
}

#[cfg(test)]
mod tests;
