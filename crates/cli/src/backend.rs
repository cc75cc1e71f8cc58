//! The backend of queries: a store opened here, or a running service.

use api::{Answer, Explanation, QueryOptions, QueryRequest, Scope, Stage, StreamItem};
use client::Client;
use engine::{Engine, EngineConfig};
use events::TimeRange;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use store::{Store, StoreOptions};

use crate::arguments::{QueryTargetArgs, StoreArgs};
use crate::failure::Failure;

/// Opens the store that the command line names. It has to exist.
pub(crate) async fn open_store(arguments: &StoreArgs) -> Result<Store, Failure> {
    let store = locate_store(arguments)?;
    store.check_present().await?;
    Ok(store)
}

/// Like [`open_store`], without a check that the store exists.
pub(crate) fn locate_store(arguments: &StoreArgs) -> Result<Store, Failure> {
    Ok(Store::open(
        &arguments.url(),
        &StoreOptions::from_environment(),
    )?)
}

/// An engine over `store` with the default configuration.
pub(crate) fn open_engine(store: Store) -> Result<Engine, Failure> {
    open_engine_with(store, EngineConfig::default())
}

/// An engine over `store`.
pub(crate) fn open_engine_with(store: Store, config: EngineConfig) -> Result<Engine, Failure> {
    Engine::new(store, config).map_err(|error| Failure::from_engine("", error))
}

/// The backend of queries.
pub(crate) enum Backend {
    /// An engine in this process.
    Local(Engine),
    /// A running service.
    Service(Client),
}

impl Backend {
    /// The backend that the command line names.
    pub(crate) async fn open(arguments: &QueryTargetArgs) -> Result<Self, Failure> {
        match &arguments.server {
            Some(address) => {
                let client = Client::connect(address).await;
                Ok(Self::Service(
                    client.map_err(|error| Failure::from_client("", error))?,
                ))
            }
            None => Ok(Self::Local(open_engine(
                open_store(&arguments.store).await?,
            )?)),
        }
    }

    /// Like [`Backend::open`], for requests that need no store: the store need not exist.
    pub(crate) async fn without_store(arguments: &QueryTargetArgs) -> Result<Self, Failure> {
        match arguments.server {
            Some(_) => Self::open(arguments).await,
            None => Ok(Self::Local(open_engine(locate_store(&arguments.store)?)?)),
        }
    }

    /// The request of the command line. Writes to standard error what it had to assume.
    pub(crate) async fn request(
        &self,
        arguments: &QueryTargetArgs,
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
        let Self::Local(engine) = self else {
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
                crate::output::eprint_note(&format!(
                    "workspace {only}, the only one in this store"
                ))?;
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

    /// Returns one answer per statement.
    pub(crate) async fn query(&self, request: &QueryRequest) -> Result<Vec<Answer>, Failure> {
        let text = &request.query;
        match self {
            Self::Local(engine) => engine
                .query(request)
                .await
                .map_err(|error| Failure::from_engine(text, error)),
            Self::Service(client) => client
                .query(request)
                .await
                .map_err(|error| Failure::from_client(text, error)),
        }
    }

    /// Streams the answer to one statement.
    pub(crate) async fn query_stream(
        &self,
        request: QueryRequest,
    ) -> Result<BoxStream<'static, Result<StreamItem, Failure>>, Failure> {
        let text = request.query.clone();
        match self {
            Self::Local(engine) => {
                let items = engine.query_stream(request);
                Ok(items
                    .map_err(move |error| Failure::from_engine(&text, error))
                    .boxed())
            }
            Self::Service(client) => {
                let items = client.query_stream(&request).await;
                let items = items.map_err(|error| Failure::from_client(&text, error))?;
                Ok(items
                    .map_err(move |error| Failure::from_client(&text, error))
                    .boxed())
            }
        }
    }

    /// Returns a stage of a query as text.
    pub(crate) async fn explain(
        &self,
        request: &QueryRequest,
        stage: Stage,
    ) -> Result<Explanation, Failure> {
        let text = &request.query;
        match self {
            Self::Local(engine) => engine
                .explain(request, stage)
                .await
                .map_err(|error| Failure::from_engine(text, error)),
            Self::Service(client) => client
                .explain(request, stage)
                .await
                .map_err(|error| Failure::from_client(text, error)),
        }
    }
}
