//! Inputs into events, on several threads.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::{io, thread};

use super::decoder::{Decoded, Decoder, Settings};
use super::error::ReadError;
use super::format::Format;
use super::input::Input;
use super::work::{Portion, Portions};
use crate::mapping::MappingSource;
use crate::workspace::WorkspaceId;

/// How many threads decode, at most: storing what they give takes more work than decoding.
const MAX_DECODERS: usize = 8;

/// How many portions wait before and behind each decoder.
const WAITING_PORTIONS: usize = 2;

/// Nested records are decoded by functions that call themselves.
const STACK_BYTES: usize = 8 << 20;

/// What goes from thread to thread; it ends with the end of the input or an error.
enum Message<T> {
    Next(T),
    Failed(ReadError),
    Ended,
}

/// Reads the events of an input, portion by portion, first to last. After an error nothing follows.
///
/// One thread reads and gives the portions to the decoders in turn; what they make of them is taken
/// from them in the same turn. So the order stays, and no more than some portions are in memory.
pub struct EventReader {
    input: Arc<Input>,
    decoded: Vec<Receiver<Message<Decoded>>>,
    turn: usize,
    is_done: bool,
    /// The header of a CSV input that goes through a mapping, as it is in the input.
    mapped_header: Option<String>,
    has_records: bool,
    has_events: bool,
}

impl EventReader {
    /// A reader of the input's events: through the mapping if there is one, else as objects in
    /// Vouch's field names; in the workspace given, if the events name none.
    ///
    /// # Errors
    /// A [`ReadError`] when the input is in no format that can be read, or no thread can be started.
    /// An input without any record ends with one too.
    pub fn open(
        input: Input,
        mapping: Option<MappingSource>,
        workspace: Option<WorkspaceId>,
    ) -> Result<Self, ReadError> {
        let format = Format::detect(&input)?;
        let portions = Portions::open(&input, format, mapping.is_some())?;
        let mapped_header = mapping.as_ref().and_then(|_| portions.header_excerpt());
        let settings = Arc::new(Settings {
            input: Arc::new(input),
            mapping,
            workspace,
            digest: OnceLock::new(),
        });
        let decoders = thread::available_parallelism().map_or(1, |count| count.get());
        let mut waiting = Vec::new();
        let mut decoded = Vec::new();
        for _ in 0..decoders.min(MAX_DECODERS) {
            let (give, take) = sync_channel(WAITING_PORTIONS);
            let (give_decoded, take_decoded) = sync_channel(WAITING_PORTIONS);
            waiting.push(give);
            decoded.push(take_decoded);
            let own = Arc::clone(&settings);
            start(&settings.input, move || {
                decode(&Decoder::new(own), &take, &give_decoded);
            })?;
        }
        start(&settings.input, move || read(portions, &waiting))?;
        Ok(Self {
            input: Arc::clone(&settings.input),
            decoded,
            turn: 0,
            is_done: false,
            mapped_header,
            has_records: false,
            has_events: false,
        })
    }

    /// What is read.
    pub fn input(&self) -> &Input {
        &self.input
    }

    fn note(&mut self, decoded: &Decoded) {
        self.has_events |= !decoded.days.is_empty();
        self.has_records |= self.has_events || !decoded.refused.is_empty();
    }

    /// Nothing read is no success. Nor is a CSV file none of whose rows a mapping can use: its first
    /// line may have been no header.
    fn complaint(&mut self) -> Option<ReadError> {
        let name = self.input.name().to_owned();
        match self.mapped_header.take() {
            _ if !self.has_records => Some(ReadError::NoRecords { name }),
            Some(header) if !self.has_events => Some(ReadError::HeaderUnused { name, header }),
            _ => None,
        }
    }
}

fn start(input: &Input, run: impl FnOnce() + Send + 'static) -> Result<(), ReadError> {
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(run);
    thread
        .map(drop)
        .map_err(|source| ReadError::from_io(input.name(), 0, source))
}

/// Gives the portions to the decoders in turn, until nobody takes them any more.
fn read(portions: Portions, decoders: &[SyncSender<Message<Portion>>]) {
    let messages = portions
        .map(|portion| match portion {
            Ok(portion) => Message::Next(portion),
            Err(error) => Message::Failed(error),
        })
        .chain([Message::Ended]);
    for (message, decoder) in messages.zip(decoders.iter().cycle()) {
        if decoder.send(message).is_err() {
            return;
        }
    }
}

fn decode(
    decoder: &Decoder,
    portions: &Receiver<Message<Portion>>,
    decoded: &SyncSender<Message<Decoded>>,
) {
    for message in portions {
        let message = match message {
            Message::Next(mut portion) => Message::Next(decoder.decode(&mut portion)),
            Message::Failed(error) => Message::Failed(error),
            Message::Ended => Message::Ended,
        };
        if decoded.send(message).is_err() {
            return;
        }
    }
}

impl std::fmt::Debug for EventReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EventReader")
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

impl Iterator for EventReader {
    type Item = Result<Decoded, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let message = self.decoded[self.turn].recv();
        self.turn = (self.turn + 1) % self.decoded.len();
        let outcome = match message {
            Ok(Message::Next(decoded)) => {
                self.note(&decoded);
                return Some(Ok(decoded));
            }
            Ok(Message::Failed(error)) => Some(Err(error)),
            Ok(Message::Ended) => self.complaint().map(Err),
            // The end is told, so a thread that is gone without it has failed.
            Err(_) => Some(Err(ReadError::from_io(
                self.input.name(),
                0,
                io::Error::other("a thread that reads it has ended; this is a defect"),
            ))),
        };
        self.is_done = true;
        outcome
    }
}
