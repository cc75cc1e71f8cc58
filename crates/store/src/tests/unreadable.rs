//! A log whose answers are lost and which cannot be read back at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::path::Path;

use super::faults::{Delegate, Fault, interpose};
use super::*;
use crate::StoreError;

/// The next put to a log loses its answer, and the reads of logs after it fail.
struct Unreadable {
    puts: AtomicUsize,
    reads: AtomicUsize,
}

fn take(count: &AtomicUsize) -> bool {
    let taken = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    });
    taken.is_ok()
}

impl Delegate for Unreadable {
    fn fault(&self, path: &Path, is_put: bool) -> Option<Fault> {
        if !path.as_ref().contains("_delta_log") {
            return None;
        }
        if is_put {
            return take(&self.puts).then_some(Fault::AnswerLost);
        }
        let is_lost = self.puts.load(Ordering::SeqCst) == 0;
        (is_lost && path.as_ref().ends_with("2.json") && take(&self.reads))
            .then_some(Fault::RequestLost)
    }
}

#[tokio::test]
async fn the_files_of_a_commit_that_cannot_be_read_back_stay() {
    for root in Root::all() {
        import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
        let store = interpose(
            &root,
            Unreadable {
                puts: AtomicUsize::new(1),
                reads: AtomicUsize::new(2),
            },
        );
        let mut import = store.import(ImportOptions::default());
        import.push(event("w", DAY_START_MS, "2")).await.unwrap();
        let error = import.finish().await.unwrap_err();
        assert!(matches!(error, StoreError::CommitUnknown { .. }), "{error}");
        assert_eq!(stored_ids(&root.open(), "w").await, ["1", "2"]);
    }
}
