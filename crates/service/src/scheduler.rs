//! Runs queries on a runtime of their own, with limits on their number and time.
//!
//! The runtime that acknowledges events and reports health never computes for a query: its tasks only wait for tasks
//! of the other runtime, and stop waiting at the timeout of the query. The task of a query keeps its turn until it
//! has really ended, so a query that does not end at once still counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::{Error, QueryOptions, QueryRequest, Scope};
use engine::{Engine, EngineConfig, EngineError};
use futures::{Stream, StreamExt, stream};
use store::{Store, StoreOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::error::{from_engine, from_lost_query};
use crate::turns::{Asker, Turn, Turns};

/// Planning a query recurses with the depth of its text, and deepest in debug builds.
const STACK_BYTES: usize = 8 << 20;
/// The number of concurrent validations and completions.
const CHECKS: usize = 4;
/// A typical query: filter, group, sort and limit.
const WARM_UP: &str = "TAE::audit:(count(*) AS n) {df_status = 'fail'} [1d] BY df_user_name SORDER BY n DESC SLIMIT 1";
/// The most messages of a stream in the queue of its reader.
const READY_MESSAGES: usize = 2;

/// The limits of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// The number of concurrent queries, and of concurrent streams besides.
    pub running: usize,
    /// The number of queries that may wait for a turn, and of streams besides.
    pub waiting: usize,
    /// The timeout of a query without one of its own. Streams have the longest time.
    pub default_time: Duration,
    /// The longest timeout that a query may request.
    pub longest_time: Duration,
}

impl Default for QueryLimits {
    /// One query per processor, but at least 4; 64 that wait; one minute, and at most one hour.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(4, usize::from);
        Self {
            running: processors.max(4),
            waiting: 64,
            default_time: Duration::from_secs(60),
            longest_time: Duration::from_secs(3_600),
        }
    }
}

/// Runs queries within their limits. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Scheduler {
    runtime: Handle,
    limits: QueryLimits,
    answers: Turns,
    streams: Turns,
    checks: Turns,
}

impl Scheduler {
    /// Runs queries on a runtime.
    pub(crate) fn new(runtime: &QueryRuntime, limits: QueryLimits) -> Self {
        let turns = |running| Turns::new(running, limits.waiting);
        Self {
            runtime: runtime.handle(),
            limits,
            answers: turns(limits.running),
            streams: turns(limits.running),
            checks: turns(CHECKS),
        }
    }

    /// The timeout of a query with an answer in one message.
    pub(crate) fn time(&self, asked: Option<Duration>) -> Duration {
        let time = asked.unwrap_or(self.limits.default_time);
        time.min(self.limits.longest_time)
    }

    /// The timeout of a streamed answer.
    pub(crate) fn stream_time(&self, asked: Option<Duration>) -> Duration {
        let longest = self.limits.longest_time;
        asked.map_or(longest, |time| time.min(longest))
    }

    /// Runs a query whose text is `query`. Its task ends when the caller is gone.
    ///
    /// # Errors
    /// The errors of the query; too many queries, or the timeout.
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        query: &str,
        asker: Asker,
        time: Duration,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let end = Instant::now() + time;
        let turn = self.answers.turn(asker, end).await?;
        let task = self.runtime.spawn(async move {
            let _turn = turn;
            work.await
        });
        let _ends_with_call = EndsWithCall(task.abort_handle());
        match timeout_at(end, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(from_lost_query(&error)),
            Err(_) => Err(timed_out(query, time)),
        }
    }

    /// Validates or completes a text. It has turns of its own, so it does not wait for queries.
    ///
    /// # Errors
    /// Too many calls, or the timeout.
    pub(crate) async fn check<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let time = self.time(None);
        let end = Instant::now() + time;
        let turn = self.checks.turn(Asker::default(), end).await?;
        let task = self.runtime.spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match timeout_at(end, task).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(error)) => Err(from_lost_query(&error)),
            Err(_) => Err(timed_out("", time)),
        }
    }

    /// The messages of a streamed answer.
    ///
    /// # Errors
    /// Too many streams.
    pub(crate) async fn stream<T: Send + 'static>(
        &self,
        query: String,
        asker: Asker,
        time: Duration,
        messages: impl Stream<Item = Result<T, Error>> + Send + 'static,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + 'static, Error> {
        let end = Instant::now() + time;
        // The turn is kept until the last messages are received.
        let turn = Arc::new(self.streams.turn(asker, end).await?);
        let of_receiver = Arc::clone(&turn);
        let (sender, receiver) = mpsc::channel(READY_MESSAGES);
        let task = self.runtime.spawn(async move {
            let _turn = turn;
            let mut messages = std::pin::pin!(messages);
            while let Some(message) = messages.next().await {
                if sender.send(message).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let received = Received {
            receiver,
            task: EndsWithCall(task.abort_handle()),
            is_over: false,
            _turn: of_receiver,
        };
        Ok(stream::unfold(received, move |mut received| {
            let query = query.clone();
            async move {
                let message = received.next(&query, end, time).await?;
                Some((message, received))
            }
        }))
    }
}

/// The messages of a stream, received from its task.
struct Received<T> {
    receiver: mpsc::Receiver<Result<T, Error>>,
    task: EndsWithCall,
    is_over: bool,
    _turn: Arc<Turn>,
}

impl<T> Received<T> {
    /// The next message. No message follows an error.
    async fn next(
        &mut self,
        query: &str,
        end: Instant,
        time: Duration,
    ) -> Option<Result<T, Error>> {
        if self.is_over {
            return None;
        }
        let message = match timeout_at(end, self.receiver.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => return None,
            Err(_) => {
                self.task.0.abort();
                Err(timed_out(query, time))
            }
        };
        self.is_over = message.is_err();
        Some(message)
    }
}

fn timed_out(query: &str, time: Duration) -> Error {
    from_engine(query, &EngineError::TimedOut(time))
}

/// Ends a task when the call that waits for it ends.
#[derive(Debug)]
struct EndsWithCall(AbortHandle);

impl Drop for EndsWithCall {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The runtime of queries. After it is dropped, running tasks end at their next await.
#[derive(Debug)]
pub struct QueryRuntime(Option<Runtime>);

impl QueryRuntime {
    /// A runtime with a thread for each query and stream that may run, and two for their requests to the store. A
    /// task that computes for long does not delay others: the system schedules the threads.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub fn new(limits: QueryLimits) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2 * limits.running + 2)
            .thread_name("question")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a query over no events, for one-time work of the process: the first allocations of threads, and the first plan
    /// of DataFusion.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn warm_up(&self) -> Result<(), Error> {
        let question = async {
            let store = Store::open("memory://", &StoreOptions::default());
            let store = store.map_err(EngineError::from)?;
            let engine = Engine::new(store, EngineConfig::default())?;
            let request = QueryRequest {
                query: WARM_UP.to_owned(),
                scope: Scope::All,
                options: QueryOptions::default(),
            };
            engine.query(&request).await
        };
        let answered = self.handle().spawn(question).await;
        let answered = answered.map_err(|error| from_lost_query(&error))?;
        answered.map_err(|error| from_engine(WARM_UP, &error))?;
        Ok(())
    }

    fn handle(&self) -> Handle {
        match &self.0 {
            Some(runtime) => runtime.handle().clone(),
            // It is `None` only after it was dropped.
            None => Handle::current(),
        }
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        // A runtime cannot be awaited from within another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use api::ErrorCode;
    use tokio::time::timeout;

    use super::*;

    fn scheduler(running: usize, waiting: usize) -> (QueryRuntime, Scheduler) {
        let limits = QueryLimits {
            running,
            waiting,
            ..QueryLimits::default()
        };
        let runtime = QueryRuntime::new(limits).unwrap();
        let scheduler = Scheduler::new(&runtime, limits);
        (runtime, scheduler)
    }

    fn anyone() -> Asker {
        Asker::default()
    }

    /// Waits until `count` turns are taken.
    async fn running(turns: &Turns, count: usize) {
        let is_so = async {
            while turns.counts().0 != count {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, is_so).await.unwrap();
    }

    #[tokio::test]
    async fn the_question_that_warms_up_is_answered() {
        let (runtime, _scheduler) = scheduler(1, 0);
        runtime.warm_up().await.unwrap();
    }

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    /// A computation that never yields delays neither its caller beyond the timeout nor other queries.
    #[tokio::test]
    async fn a_computation_without_pauses_ends_for_its_caller() {
        let (_runtime, scheduler) = scheduler(2, 4);
        let goes_on = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&goes_on);
        let busy = async move {
            while flag.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            Ok(())
        };
        let outcome = scheduler.answer("", anyone(), SHORT, busy).await;
        assert_eq!(outcome.unwrap_err().code(), ErrorCode::TimedOut);
        // The computation still has its turn, and the other turn is free.
        assert_eq!(scheduler.answers.counts().0, 1);
        assert_eq!(
            scheduler
                .answer("", anyone(), LONG, async { Ok(7) })
                .await
                .unwrap(),
            7
        );
        goes_on.store(false, Ordering::Relaxed);
        running(&scheduler.answers, 0).await;
    }

    /// Queries beyond the running ones wait, and those beyond the waiting ones are refused with a code.
    #[tokio::test]
    async fn a_full_queue_refuses() {
        let (_runtime, scheduler) = scheduler(1, 1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let first = async move {
            let _ = started.send(());
            let _ = stopped.await;
            Ok(1)
        };
        let (one, two) = (scheduler.clone(), scheduler.clone());
        let first = tokio::spawn(async move { one.answer("", anyone(), LONG, first).await });
        has_started.await.unwrap();
        let second =
            tokio::spawn(async move { two.answer("", anyone(), LONG, async { Ok(2) }).await });
        while scheduler.answers.counts().1 == 0 {
            tokio::task::yield_now().await;
        }
        let refused = scheduler
            .answer("", anyone(), LONG, async { Ok(3) })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooManyQuestions);
        // Texts are still validated.
        assert_eq!(scheduler.check(|| 4).await.unwrap(), 4);
        stop.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap().unwrap(), 2);
    }

    /// When a caller leaves, its task ends and the turn is released.
    #[tokio::test]
    async fn work_ends_with_its_call() {
        let (_runtime, scheduler) = scheduler(1, 0);
        let endless = std::future::pending::<Result<(), Error>>();
        let left = timeout(SHORT, scheduler.answer("", anyone(), LONG, endless)).await;
        assert!(left.is_err());
        running(&scheduler.answers, 0).await;
    }

    /// A stream ends with an error at its timeout.
    #[tokio::test]
    async fn a_stream_has_its_time_too() {
        let (_runtime, scheduler) = scheduler(1, 0);
        let endless = stream::iter([Ok(1)]).chain(stream::pending());
        let stream = scheduler
            .stream(String::new(), anyone(), SHORT, endless)
            .await
            .unwrap();
        let items: Vec<Result<i32, Error>> = stream.collect().await;
        let [Ok(1), Err(error)] = items.as_slice() else {
            panic!("{items:?}")
        };
        assert_eq!(error.code(), ErrorCode::TimedOut);
        running(&scheduler.streams, 0).await;
    }

    /// A requested timeout is bounded by the longest time, and its absence means the default.
    #[test]
    fn a_time_is_bounded() {
        let (_runtime, scheduler) = scheduler(1, 0);
        let limits = QueryLimits::default();
        assert_eq!(scheduler.time(None), limits.default_time);
        assert_eq!(scheduler.time(Some(SHORT)), SHORT);
        assert_eq!(scheduler.time(Some(Duration::MAX)), limits.longest_time);
        assert_eq!(scheduler.stream_time(None), limits.longest_time);
    }
}
