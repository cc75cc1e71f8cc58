//! An S3 server inside this process, for tests and benchmarks.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::codegen::Service;
use tonic::codegen::http::{Method, Request};

/// A server with the bucket `audit`.
pub(crate) struct S3 {
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
    /// Starts a server on a free port of this machine; it runs as long as the runtime.
    pub(crate) async fn start() -> Self {
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

    /// What a store needs to know to reach it.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
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
}
