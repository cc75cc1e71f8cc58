//! Under which id events are stored: of several events with one id on a day, the first has it, and each other one gets
//! an id made of its content. So an import that repeats the same events finds each of them stored.

use std::collections::{HashMap, HashSet};

use events::{Content, conflict_id};

use crate::error::StoreError;
use crate::file::reader::FileRef;
use crate::root::location::Location;

/// An event whose id may belong to another event.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// The id that its producer gave it.
    pub(crate) own_id: String,
    pub(crate) content: Content,
}

impl Claim {
    /// The id that the event gets when those of the attempts before belong to others, and one that it may have got
    /// before.
    fn ids(&self, attempt: usize) -> [String; 2] {
        let digests = self.content.digests();
        digests.map(|digest| conflict_id(&self.own_id, digest, attempt))
    }
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is stored under this id.
    Under(String),
    /// The same event is there already.
    Repeated,
}

/// The events that have some ids.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    contents: HashMap<String, Content>,
    /// Other ids that no file has.
    compared: HashSet<String>,
}

impl Holders {
    /// The events of files that have some ids. Of two files with the same id the first counts.
    pub(crate) async fn of_files(
        location: &Location,
        files: &[FileRef],
        ids: &HashSet<&str>,
    ) -> Result<Self, StoreError> {
        let mut holders = Self::default();
        holders.add(location, files, ids).await?;
        Ok(holders)
    }

    async fn add(
        &mut self,
        location: &Location,
        files: &[FileRef],
        ids: &HashSet<&str>,
    ) -> Result<(), StoreError> {
        for file in files {
            for (id, content) in file.contents_among(location, ids).await? {
                self.contents.entry(id).or_insert(content);
            }
        }
        Ok(())
    }

    /// Looks in files for ids of which it is not known whether they are taken.
    async fn look_for(
        &mut self,
        location: &Location,
        files: &[FileRef],
        ids: &[String],
    ) -> Result<(), StoreError> {
        let is_new =
            |id: &&&str| !self.compared.contains(**id) && !self.contents.contains_key(**id);
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let new: HashSet<&str> = ids.iter().filter(is_new).copied().collect();
        self.add(location, files, &new).await?;
        self.compared.extend(new.into_iter().map(str::to_owned));
        Ok(())
    }

    /// The event that has an id, as far as it was looked for.
    pub(crate) fn of(&self, id: &str) -> Option<&Content> {
        self.contents.get(id)
    }

    /// Whether no id that was looked for is taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }

    /// Decides about events in their order. `other` is the event beside the files and the claims that has an id.
    pub(crate) async fn settle(
        &mut self,
        location: &Location,
        files: &[FileRef],
        claims: &[Claim],
        other: impl Fn(&str) -> Option<Content>,
    ) -> Result<Vec<Settled>, StoreError> {
        let mut settled: Vec<Option<Settled>> = vec![None; claims.len()];
        let mut open: Vec<usize> = (0..claims.len()).collect();
        for attempt in 0.. {
            if open.is_empty() {
                break;
            }
            let ids: Vec<[String; 2]> = open
                .iter()
                .map(|index| claims[*index].ids(attempt))
                .collect();
            self.look_for(location, files, ids.as_flattened()).await?;
            let mut next = Vec::new();
            for (index, [id, otherwise]) in open.into_iter().zip(ids) {
                let content = claims[index].content;
                let holder = |id: &str| self.of(id).copied().or_else(|| other(id));
                let has_event =
                    |id: &str| holder(id).is_some_and(|holder| holder.is_same(&content));
                if has_event(&id) || has_event(&otherwise) {
                    settled[index] = Some(Settled::Repeated);
                } else if holder(&id).is_some() {
                    next.push(index);
                } else {
                    self.contents.insert(id.clone(), content);
                    settled[index] = Some(Settled::Under(id));
                }
            }
            open = next;
        }
        Ok(settled.into_iter().flatten().collect())
    }
}
