//! From the address of a store to the objects in it.

use std::path::{Path as FilePath, PathBuf, absolute};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use object_store::ObjectStoreScheme;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::error::StoreError;
use crate::file::reader::FileCaches;
use crate::root::clock::{Clock, Comparison};
use crate::root::marker::KnownMarker;
use crate::root::synced_fs::SyncedFs;

/// The beginnings of the setting names that object stores understand.
const SETTING_PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// How a store is opened.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// Credentials and settings of the object store under the names that they have in the
    /// environment, such as `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` or
    /// `GOOGLE_SERVICE_ACCOUNT`; names that do not begin with `AWS_`, `AZURE_` or `GOOGLE_` have
    /// no effect.
    pub settings: Vec<(String, String)>,
}

impl StoreOptions {
    /// The settings that the environment of this process holds.
    #[must_use]
    pub fn from_environment() -> Self {
        let settings = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { settings }
    }
}

/// The root of a store.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// The address, as an absolute URL.
    pub(crate) url: Url,
    /// The objects, by paths relative to the root.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The clock of this node.
    pub(crate) clock: Clock,
    /// The difference of the clock from the time of the store.
    pub(crate) comparison: Comparison,
    /// The caches of the data files.
    pub(crate) caches: FileCaches,
    /// The marker, as far as it is known.
    pub(crate) marker: KnownMarker,
}

impl Location {
    /// Finds the root at `address`, a URL or the path of a directory that need not exist yet.
    pub(crate) fn open(address: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::InvalidUrl {
            url: address.to_owned(),
            reason,
        };
        let url = match address.split_once("://") {
            Some(_) => Url::parse(address).map_err(|error| invalid(error.to_string()))?,
            None => {
                let path = absolute(address).map_err(|error| invalid(error.to_string()))?;
                Url::from_file_path(path)
                    .map_err(|()| invalid("the path is not absolute".to_owned()))?
            }
        };
        let (scheme, _) =
            ObjectStoreScheme::parse(&url).map_err(|error| invalid(error.to_string()))?;
        match scheme {
            ObjectStoreScheme::Local => {
                let root = url
                    .to_file_path()
                    .map_err(|()| invalid("it does not name a local directory".to_owned()))?;
                // Without a slash at the end, with which a file would not be noticed.
                let root: PathBuf = root.components().collect();
                Self::on_disk(url, &root).map_err(invalid)
            }
            ObjectStoreScheme::Http => Err(invalid("http is not an object store".to_owned())),
            _ => {
                let settings = options.settings.iter().filter(|(name, _)| {
                    SETTING_PREFIXES
                        .iter()
                        .any(|prefix| name.starts_with(prefix))
                });
                let (objects, prefix) = object_store::parse_url_opts(
                    &url,
                    settings.map(|(name, value)| (name, value.clone())),
                )
                .map_err(|error| invalid(error.to_string()))?;
                Ok(Self {
                    url,
                    objects: Arc::new(PrefixStore::new(objects, prefix)),
                    clock: Clock::System,
                    comparison: Comparison::default(),
                    caches: FileCaches::default(),
                    marker: KnownMarker::default(),
                })
            }
        }
    }

    /// The time here and now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The time here and now, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// The directory that the root is, on a local disk.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        (self.url.scheme() == "file")
            .then(|| self.url.to_file_path().ok())
            .flatten()
    }

    fn on_disk(url: Url, root: &FilePath) -> Result<Self, String> {
        if root.exists() && !root.is_dir() {
            return Err("it is a file".to_owned());
        }
        let prefix = Path::from_absolute_path(root).map_err(|error| error.to_string())?;
        Ok(Self {
            url,
            objects: Arc::new(PrefixStore::new(SyncedFs::new(root), prefix)),
            clock: Clock::System,
            comparison: Comparison::default(),
            caches: FileCaches::default(),
            marker: KnownMarker::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str) -> Result<Location, StoreError> {
        Location::open(address, &StoreOptions::default())
    }

    #[test]
    fn addresses_become_absolute_urls() {
        let here = std::env::current_dir().unwrap();
        let expected = Url::from_file_path(here.join("some dir")).unwrap();
        assert_eq!(open("some dir").unwrap().url, expected);
        for address in ["memory://", "memory:///", "memory:///somewhere"] {
            assert_eq!(open(address).unwrap().url.as_str(), address);
        }
        assert_eq!(
            open("file:///var/audit").unwrap().url.as_str(),
            "file:///var/audit"
        );
    }

    #[test]
    fn settings_reach_the_object_store() {
        let options = StoreOptions {
            settings: [
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ENDPOINT_URL", "http://localhost:1"),
                ("BUCKET", "another"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        };
        let location = Location::open("s3://audit/logs", &options).unwrap();
        let shown = format!("{:?}", location.objects);
        assert!(shown.contains("eu-central-1") && shown.contains("http://localhost:1"));
        assert!(!shown.contains("another"));
    }

    #[test]
    fn what_is_not_a_place_for_a_store_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("events.json");
        std::fs::write(&file, "{}").unwrap();
        let file = file.to_str().unwrap();
        for address in [
            file.to_owned(),
            format!("{file}/"),
            format!("file://{file}/"),
        ] {
            let message = open(&address).unwrap_err().to_string();
            assert!(message.contains("it is a file"), "{message}");
        }
        for address in ["ftp://host/path", "https://example.com/x", "s3://"] {
            let error = open(address).unwrap_err();
            assert!(matches!(error, StoreError::InvalidUrl { .. }), "{error}");
        }
    }
}
