//! The time that a search may take.

use std::future::Future;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::EngineError;

/// The outcome of a future, or an error when it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match limit {
        None => work.await,
        Some(limit) => timeout(limit, work)
            .await
            .unwrap_or(Err(EngineError::TimedOut(limit))),
    }
}

/// The items of a stream that come within `limit` of the first wish for one; then an error, and no more.
pub(crate) fn items_within<T>(
    limit: Option<Duration>,
    items: impl Stream<Item = Result<T, EngineError>> + Send + 'static,
) -> impl Stream<Item = Result<T, EngineError>> + Send + 'static
where
    T: Send + 'static,
{
    let start = (Box::pin(items), None, false);
    stream::unfold(start, move |(mut items, end, over)| async move {
        if over {
            return None;
        }
        let Some(limit) = limit else {
            let item = items.next().await?;
            return Some((item, (items, None, false)));
        };
        let end = end.unwrap_or_else(|| Instant::now() + limit);
        let next = timeout_at(end, items.next()).await;
        let item = next.unwrap_or(Some(Err(EngineError::TimedOut(limit))))?;
        let over = matches!(item, Err(EngineError::TimedOut(_)));
        Some((item, (items, Some(end), over)))
    })
}
