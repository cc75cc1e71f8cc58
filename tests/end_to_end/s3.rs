//! A store in S3, served by this process.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use events::{Defaults, Event};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use store::{ImportOptions, ImportSummary, Store, StoreOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::codegen::Service;
use tonic::codegen::http::{Method, Request};

use crate::program::{ALL_OF_TIME, Vouch, events};

/// A server with the bucket `audit`.
struct S3 {
    endpoint: String,
    // Removed with the server.
    _root: TempDir,
}

/// Puts of one object, one after the other: the server checks whether it exists and then renames, so
/// two that must not both create it could.
#[derive(Clone)]
struct OnePutAtATime {
    service: S3Service,
    objects: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

impl<B> Service<Request<B>> for OnePutAtATime
where
    S3Service: Service<Request<B>, Future: Send>,
    B: Send + 'static,
{
    type Response = <S3Service as Service<Request<B>>>::Response;
    type Error = <S3Service as Service<Request<B>>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let lock = (request.method() == Method::PUT).then(|| {
            let mut objects = self.objects.lock().unwrap();
            Arc::clone(objects.entry(request.uri().path().to_owned()).or_default())
        });
        let mut service = self.service.clone();
        Box::pin(async move {
            let _turn = match &lock {
                Some(lock) => Some(lock.lock().await),
                None => None,
            };
            Service::call(&mut service, request).await
        })
    }
}

impl S3 {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("audit")).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = OnePutAtATime {
            service: builder.build(),
            objects: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A client may close its connection when it likes.
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self {
            endpoint,
            _root: root,
        }
    }

    fn settings(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn store(&self, url: &str) -> Store {
        let settings = self.settings();
        Store::open(url, &StoreOptions { settings }).unwrap()
    }
}

async fn import(store: Store) -> ImportSummary {
    let mut import = store.import(ImportOptions::default());
    for line in events().lines() {
        let record = serde_json::from_str(line).unwrap();
        let event = Event::from_json_identified_by_content(record, &Defaults::default());
        import.push(event.unwrap()).await.unwrap();
    }
    import.finish().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_program_imports_and_answers_from_a_bucket() {
    let s3 = S3::start().await;
    let vouch = Vouch::new();
    vouch.write("events.ndjson", events());
    let run = |arguments: &[&str]| {
        let mut command = vouch.command(arguments);
        command
            .env("VOUCH_STORE", "s3://audit/vouch/store")
            .envs(s3.settings());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["import", "events.ndjson"]).contains("total: 41 read, 41 stored, 0 repeated"));
    assert!(run(&["import", "events.ndjson"]).contains("total: 41 read, 0 stored, 41 repeated"));
    let mut query = vec!["query", "--workspace", "*", "--format", "csv"];
    query.extend(ALL_OF_TIME);
    query.push("TAE::*:(count(*)) BY df_workspace");
    assert_eq!(
        run(&query),
        "df_workspace,time,count(*)\nacme,,27\nbeta,,14\n"
    );
    let local = Vouch::with_events();
    query.pop();
    query.push("TAE::*:(*)");
    assert!(run(&query) == local.run(&query).expect_status(0).text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn imports_at_the_same_time_store_every_event_once() {
    let s3 = S3::start().await;
    let imports = (0..4).map(|_| tokio::spawn(import(s3.store("s3://audit/together"))));
    let mut stored = 0;
    for import in imports.collect::<Vec<_>>() {
        let summary = import.await.unwrap();
        assert_eq!(summary.stored + summary.repeated, 41);
        stored += summary.stored;
    }
    assert_eq!(stored, 41);
    let store = s3.store("s3://audit/together");
    for (workspace, expected) in [("acme", 27), ("beta", 14)] {
        let snapshot = store
            .snapshot(&workspace.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(snapshot.rows(), expected, "{workspace}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_us_is_an_error_not_an_empty_store() {
    let s3 = S3::start().await;
    let mut settings = s3.settings();
    settings[2].1 = "wrong".to_owned();
    let store = Store::open("s3://audit/vouch", &StoreOptions { settings }).unwrap();
    assert!(store.workspaces().await.is_err());
    assert!(s3.store("s3://nobody/vouch").workspaces().await.is_err());
}
