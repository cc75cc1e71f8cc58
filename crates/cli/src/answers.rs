//! Who answers: a store opened here, or a running service.

use engine::{
    Answer, Engine, EngineConfig, Explanation, QueryOptions, QueryRequest, Scope, Stage, StreamItem,
};
use events::TimeRange;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use server::Client;
use store::{Store, StoreOptions};

use crate::arguments::{AskArguments, StoreArguments};
use crate::failure::Failure;

/// Opens the store that the command line names, which must be there.
pub(crate) async fn open_store(arguments: &StoreArguments) -> Result<Store, Failure> {
    let store = locate_store(arguments)?;
    store.check_present().await?;
    Ok(store)
}

/// Like [`open_store`], but does not look whether there is one.
pub(crate) fn locate_store(arguments: &StoreArguments) -> Result<Store, Failure> {
    Ok(Store::open(
        &arguments.url(),
        &StoreOptions::from_environment(),
    )?)
}

/// An engine over `store`, with what a single machine allows.
pub(crate) fn open_engine(store: Store) -> Result<Engine, Failure> {
    open_engine_with(store, EngineConfig::default())
}

/// An engine over `store` that may use so much.
pub(crate) fn open_engine_with(store: Store, config: EngineConfig) -> Result<Engine, Failure> {
    Engine::new(store, config).map_err(|error| Failure::of_engine("", error))
}

/// Who answers.
pub(crate) enum Answers {
    /// An engine in this process.
    Here(Engine),
    /// A running service.
    Service(Client),
}

impl Answers {
    /// The one that the command line names.
    pub(crate) async fn open(arguments: &AskArguments) -> Result<Self, Failure> {
        match &arguments.server {
            Some(address) => {
                let client = Client::connect(address).await;
                Ok(Self::Service(
                    client.map_err(|error| Failure::of_client("", error))?,
                ))
            }
            None => Ok(Self::Here(open_engine(
                open_store(&arguments.store).await?,
            )?)),
        }
    }

    /// Like [`Answers::open`], for what needs no store, so that there need not be one.
    pub(crate) async fn without_store(arguments: &AskArguments) -> Result<Self, Failure> {
        match arguments.server {
            Some(_) => Self::open(arguments).await,
            None => Ok(Self::Here(open_engine(locate_store(&arguments.store)?)?)),
        }
    }

    /// The question that the command line asks; says on standard error what it had to assume.
    pub(crate) async fn request(
        &self,
        arguments: &AskArguments,
        query: String,
    ) -> Result<QueryRequest, Failure> {
        let scope = match &arguments.workspace {
            Some(scope) => scope.clone(),
            None => self.only_workspace().await?,
        };
        let now = || chrono::Utc::now().timestamp_millis();
        let range = arguments
            .from
            .map(|from_ms| TimeRange::new(from_ms, arguments.to.unwrap_or_else(now)));
        let options = QueryOptions {
            time_range: range
                .transpose()
                .map_err(|error| Failure::Usage(error.to_string()))?,
            time_zone: arguments.tz,
            ..QueryOptions::default()
        };
        Ok(QueryRequest {
            query,
            scope,
            options,
        })
    }

    async fn only_workspace(&self) -> Result<Scope, Failure> {
        let Self::Here(engine) = self else {
            let text = "--server needs --workspace: one id, several, or '*' for all";
            return Err(Failure::Usage(text.to_owned()));
        };
        let workspaces = engine.store().workspaces().await?;
        match &workspaces[..] {
            [] => Err(Failure::Usage(format!(
                "the store at {} holds no events; import some, or name another with --store",
                engine.store().url()
            ))),
            [only] => {
                crate::output::note(&format!("workspace {only}, the only one in this store"))?;
                Ok(Scope::Workspaces(workspaces))
            }
            several => {
                let names: Vec<&str> = several.iter().map(AsRef::as_ref).collect();
                Err(Failure::Usage(format!(
                    "the store holds several workspaces; choose by --workspace among {}, or '*' for all",
                    names.join(", ")
                )))
            }
        }
    }

    /// One answer a statement.
    pub(crate) async fn query(&self, request: &QueryRequest) -> Result<Vec<Answer>, Failure> {
        let text = &request.query;
        match self {
            Self::Here(engine) => engine
                .query(request)
                .await
                .map_err(|error| Failure::of_engine(text, error)),
            Self::Service(client) => client
                .query(request)
                .await
                .map_err(|error| Failure::of_client(text, error)),
        }
    }

    /// The answer to one statement as it comes.
    pub(crate) async fn query_stream(
        &self,
        request: QueryRequest,
    ) -> Result<BoxStream<'static, Result<StreamItem, Failure>>, Failure> {
        let text = request.query.clone();
        match self {
            Self::Here(engine) => {
                let items = engine.query_stream(request);
                Ok(items
                    .map_err(move |error| Failure::of_engine(&text, error))
                    .boxed())
            }
            Self::Service(client) => {
                let items = client.query_stream(&request).await;
                let items = items.map_err(|error| Failure::of_client(&text, error))?;
                Ok(items
                    .map_err(move |error| Failure::of_client(&text, error))
                    .boxed())
            }
        }
    }

    /// How a question is understood.
    pub(crate) async fn explain(
        &self,
        request: &QueryRequest,
        stage: Stage,
    ) -> Result<Explanation, Failure> {
        let text = &request.query;
        match self {
            Self::Here(engine) => engine
                .explain(request, stage)
                .await
                .map_err(|error| Failure::of_engine(text, error)),
            Self::Service(client) => client
                .explain(request, stage)
                .await
                .map_err(|error| Failure::of_client(text, error)),
        }
    }
}
