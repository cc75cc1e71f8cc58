//! Where questions run: on a runtime of their own, so many at a time, each for a bounded time.
//!
//! Whatever a question costs, the runtime that acknowledges events and tells the health of the service
//! waits for none of it: its tasks only wait for the other runtime's, and stop to wait when the time of a
//! question is over. The task of a question keeps its turn until it has really ended, so that what does
//! not end at once still counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, EngineConfig, EngineError, QueryOptions, QueryRequest, Scope};
use futures::{Stream, StreamExt, stream};
use store::{Store, StoreOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::status;
use crate::turns::{Asker, Turn, Turns};

/// The memory for questions that are being read and for answers that are not sent yet, of all calls together.
pub(crate) const BUDGET_BYTES: usize = 256 << 20;
/// Planning a question recurses with the depth of its text, and deepest in debug builds.
const STACK_BYTES: usize = 8 << 20;
/// Texts that are checked at a time.
const CHECKS: usize = 4;
/// What most questions do: filter, group, sort and cut.
const WARM_UP: &str = "TAE::audit:(count(*) AS n) {df_status = 'fail'} [1d] BY df_user_name SORDER BY n DESC SLIMIT 1";
/// The messages of a stream that are ready before the reader takes them.
const READY_MESSAGES: usize = 2;

/// How much questions may take of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionLimits {
    /// The questions that are answered at a time, and as many streams besides.
    pub running: usize,
    /// The questions that may wait for their turn, and as many streams besides.
    pub waiting: usize,
    /// How long a question may take that does not say so itself. Streams have the longest time.
    pub default_time: Duration,
    /// The longest time that a question may ask for.
    pub longest_time: Duration,
}

impl Default for QuestionLimits {
    /// As many questions as processors, but at least 4, 64 more that wait, a minute, an hour at most.
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

/// Runs questions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    runtime: Handle,
    limits: QuestionLimits,
    answers: Turns,
    streams: Turns,
    checks: Turns,
}

impl Questions {
    /// Runs questions on a runtime.
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

    /// How long a question with an answer in one message may take.
    pub(crate) fn time(&self, asked: Option<Duration>) -> Duration {
        let time = asked.unwrap_or(self.limits.default_time);
        time.min(self.limits.longest_time)
    }

    /// How long a streamed answer may take.
    pub(crate) fn stream_time(&self, asked: Option<Duration>) -> Duration {
        let longest = self.limits.longest_time;
        asked.map_or(longest, |time| time.min(longest))
    }

    /// The outcome of a question. `query` is its text; what it does ends when the caller is gone.
    ///
    /// # Errors
    /// As the question; too many others run, or its time is over.
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

    /// The outcome of looking through a text, which has its own turns, so that it does not wait for answers.
    ///
    /// # Errors
    /// Too many others run, or its time is over.
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
    /// Too many others run.
    pub(crate) async fn stream<T: Send + 'static>(
        &self,
        query: String,
        asker: Asker,
        time: Duration,
        messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Result<impl Stream<Item = Result<T, Status>> + Send + 'static, Status> {
        let end = Instant::now() + time;
        // The last messages keep the turn until they are received.
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

/// The messages of a stream as they come from its task.
struct Received<T> {
    receiver: mpsc::Receiver<Result<T, Status>>,
    task: EndsWithCall,
    is_over: bool,
    _turn: Arc<Turn>,
}

impl<T> Received<T> {
    /// The next message; after an error there is none.
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

/// The runtime of questions. When it is dropped what still runs ends at its next pause.
#[derive(Debug)]
pub(crate) struct QuestionRuntime(Option<Runtime>);

impl QuestionRuntime {
    /// A runtime with a thread for each question and stream that may run, and two for what they ask of the
    /// store: one that computes for long keeps no other waiting. The system shares the processors out.
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

    /// Answers a question about no events; see [`Server::warm_up`](crate::Server::warm_up).
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
            // It is taken when it is dropped only.
            None => Handle::current(),
        }
    }
}

impl Drop for QuestionRuntime {
    fn drop(&mut self) {
        // To wait for it is not possible on another runtime.
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

    /// Waits until so many turns are taken.
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

    /// A computation that never pauses does not keep its caller longer than its time, nor other questions.
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
        // It still has its turn, and the other one is free.
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

    /// What is more than may run waits, what is more than may wait is refused, with a code.
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
            status::error_info(&refused).unwrap().code,
            "too_many_questions"
        );
        // Texts are checked all the same.
        assert_eq!(questions.check(|| 4).await.unwrap(), 4);
        stop.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap().unwrap(), 2);
    }

    /// The work of a caller that leaves ends, and its turn with it.
    #[tokio::test]
    async fn work_ends_with_its_call() {
        let (_runtime, questions) = questions(1, 0);
        let endless = std::future::pending::<Result<(), Status>>();
        let left = timeout(SHORT, questions.answer("", anyone(), LONG, endless)).await;
        assert!(left.is_err());
        running(&questions.answers, 0).await;
    }

    /// A stream ends with an error when its time is over.
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

    /// What a request asks for is kept below the longest time, and left out means the default.
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
