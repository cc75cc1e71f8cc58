//! Runs queries on a runtime of their own, with limits on their number and time.
//!
//! The runtime that acknowledges events and reports health never computes for a query: its tasks only wait for tasks
//! of the other runtime, and stop waiting at the timeout of the query. The task of a query keeps its turn until it
//! has really ended, so a query that does not end at once still counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::{QueryOptions, QueryRequest, Scope};
use engine::{Engine, EngineConfig, EngineError};
use futures::{Stream, StreamExt, stream};
use store::{Store, StoreOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::status;
use crate::turns::{Asker, Turn, Turns};

/// The memory for incoming queries and for answers that are not sent yet, of all calls together.
pub(crate) const BUDGET_BYTES: usize = 256 << 20;
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
pub struct QuestionLimits {
    /// The number of concurrent queries, and of concurrent streams besides.
    pub running: usize,
    /// The number of queries that may wait for a turn, and of streams besides.
    pub waiting: usize,
    /// The timeout of a query without one of its own. Streams have the longest time.
    pub default_time: Duration,
    /// The longest timeout that a query may request.
    pub longest_time: Duration,
}

impl Default for QuestionLimits {
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

/// Runs queries. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    runtime: Handle,
    limits: QuestionLimits,
    answers: Turns,
    streams: Turns,
    checks: Turns,
}

impl Questions {
    /// Runs queries on a runtime.
    pub(crate) fn new(runtime: &QuestionRuntime, limits: QuestionLimits) -> Self {
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
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let end = Instant::now() + time;
        let turn = self.answers.turn(asker, end).await?;
        let task = self.runtime.spawn(async move {
            let _turn = turn;
            work.await
        });
        let _ends_with_call = EndsWithCall(task.abort_handle());
        match timeout_at(end, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(status::from_lost_question(&error)),
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
    ) -> Result<T, Status> {
        let time = self.time(None);
        let end = Instant::now() + time;
        let turn = self.checks.turn(Asker::default(), end).await?;
        let task = self.runtime.spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match timeout_at(end, task).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(error)) => Err(status::from_lost_question(&error)),
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
        messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Result<impl Stream<Item = Result<T, Status>> + Send + 'static, Status> {
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
    receiver: mpsc::Receiver<Result<T, Status>>,
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
    ) -> Option<Result<T, Status>> {
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

fn timed_out(query: &str, time: Duration) -> Status {
    status::from_engine_error(query, &EngineError::TimedOut(time))
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
pub(crate) struct QuestionRuntime(Option<Runtime>);

impl QuestionRuntime {
    /// A runtime with a thread for each query and stream that may run, and two for their requests to the store. A
    /// task that computes for long does not delay others: the system schedules the threads.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub(crate) fn new(limits: QuestionLimits) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2 * limits.running + 2)
            .thread_name("question")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a query over no events; see [`Server::warm_up`](crate::Server::warm_up).
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn warm_up(&self) -> Result<(), Status> {
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
        let answered = answered.map_err(|error| status::from_lost_question(&error))?;
        answered.map_err(|error| status::from_engine_error(WARM_UP, &error))?;
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

impl Drop for QuestionRuntime {
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

    use tokio::time::timeout;
    use tonic::Code;

    use super::*;

    fn questions(running: usize, waiting: usize) -> (QuestionRuntime, Questions) {
        let limits = QuestionLimits {
            running,
            waiting,
            ..QuestionLimits::default()
        };
        let runtime = QuestionRuntime::new(limits).unwrap();
        let questions = Questions::new(&runtime, limits);
        (runtime, questions)
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
        let (runtime, _questions) = questions(1, 0);
        runtime.warm_up().await.unwrap();
    }

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    /// A computation that never yields delays neither its caller beyond the timeout nor other queries.
    #[tokio::test]
    async fn a_computation_without_pauses_ends_for_its_caller() {
        let (_runtime, questions) = questions(2, 4);
        let goes_on = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&goes_on);
        let busy = async move {
            while flag.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            Ok(())
        };
        let outcome = questions.answer("", anyone(), SHORT, busy).await;
        assert_eq!(outcome.unwrap_err().code(), Code::DeadlineExceeded);
        // The computation still has its turn, and the other turn is free.
        assert_eq!(questions.answers.counts().0, 1);
        assert_eq!(
            questions
                .answer("", anyone(), LONG, async { Ok(7) })
                .await
                .unwrap(),
            7
        );
        goes_on.store(false, Ordering::Relaxed);
        running(&questions.answers, 0).await;
    }

    /// Queries beyond the running ones wait, and those beyond the waiting ones are refused with a code.
    #[tokio::test]
    async fn a_full_queue_refuses() {
        let (_runtime, questions) = questions(1, 1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let first = async move {
            let _ = started.send(());
            let _ = stopped.await;
            Ok(1)
        };
        let (one, two) = (questions.clone(), questions.clone());
        let first = tokio::spawn(async move { one.answer("", anyone(), LONG, first).await });
        has_started.await.unwrap();
        let second =
            tokio::spawn(async move { two.answer("", anyone(), LONG, async { Ok(2) }).await });
        while questions.answers.counts().1 == 0 {
            tokio::task::yield_now().await;
        }
        let refused = questions
            .answer("", anyone(), LONG, async { Ok(3) })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(
            api::status::error_info(&refused).unwrap().code,
            "too_many_questions"
        );
        // Texts are still validated.
        assert_eq!(questions.check(|| 4).await.unwrap(), 4);
        stop.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap().unwrap(), 2);
    }

    /// When a caller leaves, its task ends and the turn is released.
    #[tokio::test]
    async fn work_ends_with_its_call() {
        let (_runtime, questions) = questions(1, 0);
        let endless = std::future::pending::<Result<(), Status>>();
        let left = timeout(SHORT, questions.answer("", anyone(), LONG, endless)).await;
        assert!(left.is_err());
        running(&questions.answers, 0).await;
    }

    /// A stream ends with an error at its timeout.
    #[tokio::test]
    async fn a_stream_has_its_time_too() {
        let (_runtime, questions) = questions(1, 0);
        let endless = stream::iter([Ok(1)]).chain(stream::pending());
        let stream = questions
            .stream(String::new(), anyone(), SHORT, endless)
            .await
            .unwrap();
        let items: Vec<Result<i32, Status>> = stream.collect().await;
        let [Ok(1), Err(error)] = items.as_slice() else {
            panic!("{items:?}")
        };
        assert_eq!(error.code(), Code::DeadlineExceeded);
        running(&questions.streams, 0).await;
    }

    /// A requested timeout is bounded by the longest time, and its absence means the default.
    #[test]
    fn a_time_is_bounded() {
        let (_runtime, questions) = questions(1, 0);
        let limits = QuestionLimits::default();
        assert_eq!(questions.time(None), limits.default_time);
        assert_eq!(questions.time(Some(SHORT)), SHORT);
        assert_eq!(questions.time(Some(Duration::MAX)), limits.longest_time);
        assert_eq!(questions.stream_time(None), limits.longest_time);
    }
}
