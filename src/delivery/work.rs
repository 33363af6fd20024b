//! The threads that talk to Telegram: they take calls, wait for answers, and decide nothing.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Event;
use crate::message::Message;
use crate::record::Chat;
use crate::telegram::{Answer, Api, Call};

const STACK: usize = 512 << 10;

/// A call that came back.
#[derive(Debug)]
pub struct Answered {
    pub(super) chat: Chat,
    /// Absent for a question whether the API works.
    pub(super) message: Option<Message>,
    pub(super) answer: Answer,
    pub(super) took: Duration,
}

/// What a thread is given: a message for a chat, or, without one, the question whether the API works.
type Job = (Chat, Option<Message>);

/// The threads that talk to Telegram: as many as calls were ever under way at a time, because each takes memory.
pub struct Workers {
    api: Api,
    events: SyncSender<Event>,
    jobs: SyncSender<Job>,
    queue: Arc<Mutex<Receiver<Job>>>,
    threads: usize,
}

impl Workers {
    /// At most so many; none yet. Their answers come through `events`.
    pub fn new(api: Api, most: usize, events: SyncSender<Event>) -> Self {
        let (jobs, queue) = sync_channel(most);
        Workers { api, events, jobs, queue: Arc::new(Mutex::new(queue)), threads: 0 }
    }

    /// Gives a job to a thread. `in_flight` jobs, this one among them, have no answer yet.
    pub fn give(&mut self, job: Job, in_flight: usize) -> io::Result<()> {
        if in_flight > self.threads {
            let (api, queue, events) = (self.api.clone(), self.queue.clone(), self.events.clone());
            let thread = thread::Builder::new().name("telegram".to_owned()).stack_size(STACK);
            match thread.spawn(move || work(&api, &queue, &events)) {
                Ok(_) => self.threads += 1,
                Err(err) if self.threads == 0 => return Err(err),
                // The threads that there are do it in turn.
                Err(err) => log::warn!("cannot start a thread: {err}"),
            }
        }
        // As many jobs fit into the channel as are given out at a time, and its receiver lives here.
        let _ = self.jobs.send(job);
        Ok(())
    }
}

fn work(api: &Api, queue: &Mutex<Receiver<Job>>, events: &SyncSender<Event>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((chat, message)) = job else { return };
        let question = Call { method: "getMe", parameters: serde_json::json!({}), file: None };
        let start = Instant::now();
        let answer = api.call(message.as_ref().map_or(&question, |message| &message.call));
        let answered = Answered { chat, message, answer, took: start.elapsed() };
        if events.send(Event::Answered(Box::new(answered))).is_err() {
            return;
        }
    }
}
