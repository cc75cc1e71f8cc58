//! The service: a `vouch serve` process, asked by a client that knows only the interface.

mod answers;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

use api::proto::query_request::Scope;
use api::proto::query_service_client::QueryServiceClient;
use api::proto::{AllWorkspaces, ErrorInfo, QueryRequest, TimeRange, Workspaces};
use prost::Message;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::pb;

use crate::program::Vouch;

/// A running service; killed when a test fails before it stops it.
pub(crate) struct Service {
    process: Child,
    /// Its host and port for gRPC.
    pub(crate) address: String,
    /// Its host and port for HTTP.
    pub(crate) http_address: String,
    /// Where settings are changed, when it was started with `--admin`.
    pub(crate) admin_address: Option<String>,
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing is left to kill when it has stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// Serves the store of `vouch`.
    pub(crate) fn start(vouch: &Vouch) -> Self {
        Self::start_with(vouch, &[])
    }

    /// Serves the store of `vouch` with more arguments.
    pub(crate) fn start_with(vouch: &Vouch, arguments: &[&str]) -> Self {
        vouch.ensure_store();
        let addresses = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let command = vouch.command(&[&addresses, arguments].concat());
        Self::spawn(command, arguments.contains(&"--admin"))
    }

    /// Runs a command that serves.
    pub(crate) fn spawn(mut command: Command, has_admin: bool) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut after = |words: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(words).unwrap().to_owned()
        };
        Self {
            address: after("listening on "),
            http_address: after("listening for HTTP on "),
            admin_address: has_admin.then(|| after("listening for changes of settings on ")),
            process,
        }
    }

    /// A connection for gRPC.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A client with the limits that gRPC clients have by default.
    pub(crate) async fn client(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::new(self.channel().await)
    }

    /// Whether its process lives.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// The most memory that its process has had.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory that its process has.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, line: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|known| known.strip_prefix(line));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        1024 * kilobytes.unwrap().parse::<u64>().unwrap()
    }

    /// Tells it to stop.
    pub(crate) fn send_stop(&self) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

/// A question about all workspaces and every event of the sample.
pub(crate) fn question(query: &str) -> QueryRequest {
    QueryRequest {
        query: query.to_owned(),
        scope: Some(Scope::AllWorkspaces(AllWorkspaces {})),
        time_range: Some(TimeRange {
            from_ms: 1_790_812_800_000,
            to_ms: 1_795_219_200_000,
        }),
        ..QueryRequest::default()
    }
}

/// A question about one workspace.
pub(crate) fn of_workspace(id: &str, query: &str) -> QueryRequest {
    let workspaces = Workspaces {
        ids: vec![id.to_owned()],
    };
    QueryRequest {
        scope: Some(Scope::Workspaces(workspaces)),
        ..question(query)
    }
}

/// The details of a status.
pub(crate) fn error_info(status: &Status) -> ErrorInfo {
    let details = pb::Status::decode(status.details()).unwrap();
    assert_eq!(
        (details.code, details.message.as_str()),
        (status.code() as i32, status.message())
    );
    assert_eq!(
        details.details[0].type_url,
        "type.googleapis.com/vouch.v1.ErrorInfo"
    );
    ErrorInfo::decode(details.details[0].value.as_slice()).unwrap()
}
