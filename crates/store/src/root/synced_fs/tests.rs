use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use tempfile::TempDir;

use super::*;

struct Disk {
    directory: TempDir,
    objects: SyncedFs,
}

impl Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join(MARKER), "{}").unwrap();
        let objects = SyncedFs::new(&root);
        Self { directory, objects }
    }

    fn at(&self, name: &str) -> Path {
        Path::from_absolute_path(self.directory.path().join("root").join(name)).unwrap()
    }

    async fn create(&self, name: &str, content: &str) -> Result<PutResult> {
        let payload = PutPayload::from(content.to_owned());
        let options = PutOptions::from(PutMode::Create);
        self.objects
            .put_opts(&self.at(name), payload, options)
            .await
    }

    async fn content(&self, name: &str) -> String {
        let object = self.objects.get(&self.at(name)).await.unwrap();
        String::from_utf8(object.bytes().await.unwrap().to_vec()).unwrap()
    }

    /// The names of all files below the root but the marker, those that wait for their name included.
    async fn names(&self) -> Vec<String> {
        fn walk(directory: &FilePath, names: &mut Vec<String>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, names);
                } else {
                    names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut names = Vec::new();
        walk(&self.directory.path().join("root"), &mut names);
        names.retain(|name| name != MARKER);
        names.sort_unstable();
        names
    }
}

#[tokio::test]
async fn a_created_object_is_never_replaced_by_another_creation() {
    let disk = Disk::new();
    disk.create("a/b/one", "first").await.unwrap();
    let error = disk.create("a/b/one", "second").await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert_eq!(disk.content("a/b/one").await, "first");
    let replaced = disk.objects.put(&disk.at("a/b/one"), "third".into()).await;
    replaced.unwrap();
    assert_eq!(disk.content("a/b/one").await, "third");
    assert_eq!(disk.names().await, ["one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_creations_wins() {
    let disk = Disk::new();
    let path = disk.at("deep/er/one");
    let puts: Vec<_> = (0..16)
        .map(|number| {
            let (objects, path) = (disk.objects.clone(), path.clone());
            tokio::spawn(async move {
                let payload = PutPayload::from(number.to_string());
                let put = objects.put_opts(&path, payload, PutMode::Create.into());
                put.await.is_ok().then_some(number)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for put in puts {
        winners.extend(put.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(disk.content("deep/er/one").await, winners[0].to_string());
    assert_eq!(disk.names().await, ["one"]);
}

#[tokio::test]
async fn an_upload_is_there_when_it_is_complete() {
    let disk = Disk::new();
    let path = disk.at("large");
    let mut upload = disk.objects.put_multipart(&path).await.unwrap();
    upload.put_part("be".into()).await.unwrap();
    upload.put_part("gin".into()).await.unwrap();
    let missing = disk.objects.head(&path).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
    upload.complete().await.unwrap();
    assert_eq!(disk.content("large").await, "begin");

    let mut given_up = disk.objects.put_multipart(&disk.at("other")).await.unwrap();
    given_up.put_part("x".into()).await.unwrap();
    given_up.abort().await.unwrap();
    assert_eq!(disk.names().await, ["large"]);
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_behind() {
    let disk = Disk::new();
    disk.create("file", "x").await.unwrap();
    let error = disk.create("file/below", "y").await.unwrap_err();
    assert!(!matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert_eq!(disk.names().await, ["file"]);
}

#[tokio::test]
async fn listings_are_sorted() {
    let disk = Disk::new();
    for name in ["c", "a/z", "b", "a/y", "d"] {
        disk.create(name, name).await.unwrap();
    }
    let names = |objects: Vec<ObjectMeta>| -> Vec<String> {
        let names = objects
            .iter()
            .filter_map(|object| object.location.filename());
        names.map(str::to_owned).collect()
    };
    let root = disk.at("");
    let all = disk.objects.list(Some(&root)).try_collect().await.unwrap();
    assert_eq!(names(all), ["y", "z", "b", "c", "d", MARKER]);
    let after = disk.objects.list_with_offset(Some(&root), &disk.at("b"));
    assert_eq!(
        names(after.try_collect().await.unwrap()),
        ["c", "d", MARKER]
    );
}
