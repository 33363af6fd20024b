//! What the bot says, on its way to Telegram: in order within a chat, at Telegram's pace, and until it is answered.
//!
//! One thread owns the queue and decides; others make the calls and draw the pictures. A picture that takes its time
//! holds nobody up, not even the chat that waits for it: whatever is ready goes first.

mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::effects::Outgoing;
use super::metrics::Metrics;
use super::pool::Pool;
use super::store::{Queued, Store};
use crate::bug::contained;
use crate::pacing::Pacing;
use crate::record::Chat;
use crate::telegram::{Answer, Api, Call, File};

/// Calls at a time.
const CALLS: usize = 8;

/// Pictures that are drawn at a time: in all, and for one chat. Grafana's renderer works on some thirty at most.
const PICTURES: usize = 16;
const PICTURES_OF_A_CHAT: usize = 3;

/// Pictures that are drawn, or wait to be sent: each takes some hundred kilobytes of memory.
const PICTURES_IN_ALL: usize = 64;

/// Calls of one chat that may wait: at a message a second nobody reads on after more than these.
const MOST_OF_A_CHAT: usize = 100;

/// A call that got a server's error, or no answer, is made so often at most.
const MOST_TRIES: u32 = 2;
const MOST_SERVER_ERRORS: u32 = 4;

/// After the API was out of reach: the first pause, which doubles, and the longest.
const OUTAGE: Duration = Duration::from_secs(1);
const LONGEST_OUTAGE: Duration = Duration::from_secs(30);

/// Something that happened to a call.
pub enum Event {
    /// New ones, on disk already.
    Queued(Vec<Queued>),
    /// It was answered.
    Answered(i64, Answer),
    /// Its picture is there, or what to say in its place.
    Drawn(i64, Result<Drawn, String>),
    /// Begin nothing more, and end when everything under way was answered.
    Stop,
}

/// A picture, ready to be sent.
pub struct Drawn {
    /// The upload.
    pub file: File,
    /// Of the call: caption, buttons.
    pub parameters: Value,
}

/// What the queue needs of the rest of the bot.
pub trait House: Send + Sync + 'static {
    /// Draws a picture. The error is a message in Telegram's HTML.
    fn draw(&self, call: &Outgoing) -> Result<Drawn, String>;
    /// What to say, in Telegram's HTML, when Telegram does not take the picture.
    fn refused(&self, call: &Outgoing, why: &str) -> String;
    /// The chat has blocked the bot, or thrown it out.
    fn gone(&self, chat: i64, why: &str);
    /// The chat has another id.
    fn moved(&self, old: i64, new: i64);
}

/// A call that waits or is under way.
struct Waiting {
    queued: Queued,
    file: Option<File>,
    stage: Stage,
    server_errors: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Needs a picture that nobody draws yet.
    ToDraw,
    Drawing,
    Ready,
    UnderWay,
}

/// The queue.
pub struct Queue<H> {
    api: Api,
    store: Arc<Store>,
    house: Arc<H>,
    metrics: Arc<Metrics>,
    events: Sender<Event>,
    pacing: Pacing,
    calls: BTreeMap<i64, Waiting>,
    /// Numbers of the calls of each chat, in order.
    chats: HashMap<i64, BTreeSet<i64>>,
    callers: Pool,
    painters: Pool,
    /// The chats of the calls that have no answer yet; none for those without a pace.
    under_way: HashMap<i64, Option<i64>>,
    outage: Duration,
    /// Until when Telegram asked to be left alone with calls that are no messages, for which the pace does not hold.
    silent: HashMap<(i64, &'static str), Instant>,
    /// When it was last told that a chat is asked for too much.
    overfull: Option<Instant>,
    stopping: bool,
    refused: Option<String>,
}

/// Without a message in the chat, so without its pace.
fn is_free(call: &Outgoing) -> bool {
    is_menu(call) || call.method == "answerCallbackQuery"
}

fn is_menu(call: &Outgoing) -> bool {
    matches!(call.method, "setMyCommands" | "deleteMyCommands")
}

/// What keeps silent together: menus are the bot's, whoever sees them. Nobody misses a menu, so messages go on.
fn silence_of(call: &Outgoing) -> (i64, &'static str) {
    if is_menu(call) { (0, "menu") } else { (call.chat, call.method) }
}

impl<H: House> Queue<H> {
    /// A queue with what an earlier run left.
    pub fn new(
        api: Api,
        store: Arc<Store>,
        house: Arc<H>,
        metrics: Arc<Metrics>,
        pacing: Pacing,
        events: Sender<Event>,
    ) -> rusqlite::Result<Self> {
        let mut queue = Queue {
            api,
            store,
            house,
            metrics,
            events,
            pacing,
            calls: BTreeMap::new(),
            chats: HashMap::new(),
            callers: Pool::new("telegram", CALLS),
            painters: Pool::new("pictures", PICTURES),
            under_way: HashMap::new(),
            outage: OUTAGE,
            silent: HashMap::new(),
            overfull: None,
            stopping: false,
            refused: None,
        };
        let now = Instant::now();
        for queued in queue.store.calls()? {
            if queued.tries > 0 {
                // It was under way when the earlier run ended, so it counts for the pace of this one.
                queue.pacing.count(&Chat::Id(queued.call.chat), now);
            }
            if queued.tries >= MOST_TRIES || (queued.tries > 0 && queued.call.method == "answerCallbackQuery") {
                queue.store.sent(&queued, None)?;
            } else {
                queue.add(queued);
            }
        }
        Ok(queue)
    }

    /// Works until it is stopped; the reason, where Telegram refuses the token.
    pub fn run(mut self, events: &Receiver<Event>) -> Option<String> {
        loop {
            self.draw_pictures();
            let next = self.send_what_is_due();
            self.metrics.waiting(self.calls.len());
            if self.under_way.is_empty() && (self.stopping || self.refused.is_some()) {
                return self.refused;
            }
            let patience = next.map_or(Duration::from_secs(30), |at| at.saturating_duration_since(Instant::now()));
            let first = match events.recv_timeout(patience.max(Duration::from_millis(1))) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Event::Stop),
            };
            let mut next = first;
            while let Some(event) = next {
                self.take(event);
                next = events.try_recv().ok();
            }
            let now = Instant::now();
            self.pacing.forget_idle(now);
            self.silent.retain(|_, until| *until > now);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Queued(calls) => calls.into_iter().for_each(|queued| self.add(queued)),
            Event::Answered(id, answer) => self.answered(id, &answer),
            Event::Drawn(id, result) => self.drawn(id, result),
            Event::Stop => self.stopping = true,
        }
    }

    fn add(&mut self, queued: Queued) {
        let of_chat = self.chats.get(&queued.call.chat);
        // Those with a slot take each other's place, so there are never many.
        if queued.call.slot.is_none() && of_chat.is_some_and(|ids| ids.len() >= MOST_OF_A_CHAT) {
            // Whoever asks so much must not fill the log as well.
            if self.overfull.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
                self.overfull = Some(Instant::now());
                log::warn!("chat {} is asked for more than it can be told; something is left out", queued.call.chat);
            }
            self.store.surely(|store| store.sent(&queued, None));
            return;
        }
        if let Some(slot) = &queued.call.slot {
            let same_slot = |id: &&i64| {
                self.calls.get(*id).is_some_and(|old| {
                    let waits = old.queued.tries == 0 && old.stage != Stage::UnderWay;
                    waits && old.queued.call.slot.as_ref() == Some(slot)
                })
            };
            let same: Vec<i64> = of_chat.into_iter().flatten().filter(same_slot).copied().collect();
            // Threads that finish at the same moment can tell of their calls in another order than the disk has them.
            if same.iter().any(|id| *id > queued.id) {
                return;
            }
            same.into_iter().for_each(|id| self.remove(id));
        }
        let stage = if queued.call.picture.is_some() { Stage::ToDraw } else { Stage::Ready };
        self.chats.entry(queued.call.chat).or_default().insert(queued.id);
        let waiting = Waiting { queued, file: None, stage, server_errors: 0 };
        self.calls.insert(waiting.queued.id, waiting);
    }

    fn remove(&mut self, id: i64) {
        let Some(gone) = self.calls.remove(&id) else { return };
        let chat = gone.queued.call.chat;
        if let Some(ids) = self.chats.get_mut(&chat) {
            ids.remove(&id);
            if ids.is_empty() {
                self.chats.remove(&chat);
            }
        }
    }

    /// Gives the pictures that nobody draws yet to the painters: a few for each chat, and in all no more than can be
    /// kept until they are sent.
    fn draw_pictures(&mut self) {
        if self.stopping {
            return;
        }
        let is_there = |waiting: &Waiting| waiting.stage == Stage::Drawing || waiting.file.is_some();
        let mut in_all = self.calls.values().filter(|waiting| is_there(waiting)).count();
        let to_draw: Vec<i64> =
            self.calls.iter().filter(|(_, waiting)| waiting.stage == Stage::ToDraw).map(|(id, _)| *id).collect();
        for id in to_draw {
            let Some(chat) = self.calls.get(&id).map(|waiting| waiting.queued.call.chat) else { continue };
            let of_chat = self.chats.get(&chat).into_iter().flatten().filter_map(|id| self.calls.get(id));
            if of_chat.filter(|waiting| is_there(waiting)).count() >= PICTURES_OF_A_CHAT || in_all >= PICTURES_IN_ALL {
                continue;
            }
            let Some(waiting) = self.calls.get_mut(&id) else { continue };
            waiting.stage = Stage::Drawing;
            in_all += 1;
            let (house, call, events) = (self.house.clone(), waiting.queued.call.clone(), self.events.clone());
            let metrics = self.metrics.clone();
            self.painters.run(move || {
                let result = metrics.drawing(|| house.draw(&call));
                let _ = events.send(Event::Drawn(id, result));
            });
        }
    }

    fn drawn(&mut self, id: i64, result: Result<Drawn, String>) {
        // It may have been replaced meanwhile, or its chat be gone.
        let Some(waiting) = self.calls.get_mut(&id) else { return };
        waiting.stage = Stage::Ready;
        let call = &mut waiting.queued.call;
        match result {
            Ok(drawn) => {
                waiting.file = Some(drawn.file);
                call.parameters = drawn.parameters;
            }
            Err(html) => {
                call.parameters = say_instead(call, html);
                call.method = "sendMessage";
                call.picture = None;
                self.store.surely(|store| store.rewrite(&waiting.queued));
            }
        }
    }

    /// Makes the calls that may be made now; when the next one may.
    fn send_what_is_due(&mut self) -> Option<Instant> {
        if self.stopping || self.refused.is_some() {
            return None;
        }
        let now = Instant::now();
        self.pacing.listen(now);
        let mut next: Option<Instant> = None;
        let mut due: Vec<(i64, bool)> = Vec::new();
        for (chat, ids) in &self.chats {
            let ready = ids.iter().filter_map(|id| Some((*id, self.calls.get(id)?)));
            let ready = ready.filter(|(_, waiting)| waiting.stage == Stage::Ready);
            let (free, paced): (Vec<_>, Vec<_>) = ready.partition(|(_, waiting)| is_free(&waiting.queued.call));
            for (id, waiting) in free {
                match self.silent.get(&silence_of(&waiting.queued.call)).copied().filter(|at| *at > now) {
                    Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                    None => due.push((id, true)),
                }
            }
            let Some((first, _)) = paced.first() else { continue };
            match self.pacing.chat_ready(&Chat::Id(*chat), now) {
                Some(at) if at <= now => due.push((*first, false)),
                Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        // The oldest first.
        due.sort_unstable();
        for (id, free) in due {
            if self.under_way.len() >= CALLS {
                // The next answer looks again.
                return None;
            }
            match self.pacing.overall_ready(now) {
                Some(at) if at <= now => {
                    if !self.send(id, free, now) {
                        return Some(now + Duration::from_millis(50));
                    }
                }
                Some(at) => return Some(next.map_or(at, |next| next.min(at))),
                None => return None,
            }
        }
        next
    }

    /// False when another program was faster, and it is to be tried again.
    fn send(&mut self, id: i64, free: bool, now: Instant) -> bool {
        let Some(chat) = self.calls.get(&id).map(|waiting| Chat::Id(waiting.queued.call.chat)) else { return true };
        if !free && !self.pacing.begin(&chat, now) {
            return false;
        }
        if !self.store.surely(|store| store.sending(id)) {
            self.remove(id);
            if !free {
                self.pacing.end(&chat, false, now);
            }
            return true;
        }
        let Some(waiting) = self.calls.get_mut(&id) else { return true };
        waiting.queued.tries += 1;
        waiting.stage = Stage::UnderWay;
        let outgoing = &waiting.queued.call;
        self.under_way.insert(id, (!free).then_some(outgoing.chat));
        let call =
            Call { method: outgoing.method, parameters: outgoing.parameters.clone(), file: waiting.file.clone() };
        let (api, events) = (self.api.clone(), self.events.clone());
        self.callers.run(move || {
            // Without an answer its chat would wait for ever. Whether the call went out before the bug nobody knows.
            let answer = contained(|| api.call(&call));
            let answer = answer.unwrap_or_else(|| Answer::Unanswered("a bug came in between".to_owned()));
            let _ = events.send(Event::Answered(id, answer));
        });
        true
    }
}

/// The message in place of a picture.
fn say_instead(call: &Outgoing, html: String) -> Value {
    let mut parameters = serde_json::json!({"chat_id": call.chat, "text": html, "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": true}});
    for name in ["message_thread_id", "reply_parameters"] {
        if let Some(value) = call.parameters.get(name) {
            parameters[name] = value.clone();
        }
    }
    parameters
}
