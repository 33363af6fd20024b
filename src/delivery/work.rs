//! The threads that talk to Telegram: they take calls, wait for answers, and decide nothing.

use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Event;
use crate::message::Message;
use crate::record::Chat;
use crate::telegram::{Answer, Api, Call};

/// A call that came back.
#[derive(Debug)]
pub struct Answered {
    pub(super) chat: Chat,
    /// Absent for a question whether the API works.
    pub(super) message: Option<Message>,
    pub(super) answer: Answer,
    pub(super) took: Duration,
}

/// One of the threads that talk to Telegram.
pub fn work(api: &Api, queue: &Mutex<Receiver<(Chat, Option<Message>)>>, events: &SyncSender<Event>) {
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
