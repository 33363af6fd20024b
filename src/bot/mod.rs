//! `tg-bot`: commands and keyboards in the chat.
//!
//! ```text
//! Telegram --poll--> updates --lanes--> conversation --effects--> calls --outgoing--> Telegram
//!                    (disk)             | users file              (disk)   + Grafana's pictures
//!                                       | Grafana's lists
//! ```
//!
//! Each arrow onto the disk is one transaction. An update is confirmed to Telegram when it is on disk, and gone from there
//! in the transaction that puts its effects there; so whatever is killed when, none is lost and none has an effect twice.

pub mod access;
pub mod browse;
mod budget;
pub mod command;
pub mod conversation;
mod door;
pub mod effects;
pub mod gallery;
mod greeting;
pub mod guests;
pub mod lanes;
pub mod menu;
pub mod metrics;
mod mute;
mod opening;
pub mod outgoing;
mod pairing;
mod people;
pub mod picture;
pub mod poll;
pub mod pool;
mod quotes;
mod reasons;
mod requests;
mod standing;
pub mod store;
mod subscriptions;
pub mod typing;
pub mod update;
pub mod words;

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use self::access::Access;
use self::conversation::{Conversation, Me};
use self::effects::{Effects, Outgoing};
use self::gallery::Gallery;
use self::guests::Guests;
use self::lanes::Lanes;
use self::metrics::{Metrics, Needed};
use self::outgoing::{Drawn, House, Queue};
use self::poll::Stop;
use self::standing::Standing;
use self::store::{Queued, Store};
use self::update::Update;
use crate::bug::contained;
use crate::config::Config;
use crate::grafana::{Grafana, Recent, Settings};
use crate::pacing::{Limits, Pacing};
use crate::telegram::Api;
use crate::text::time_zone;

/// Connections to Telegram: calls, the poll, and what is seen at the top of a chat.
pub const CONNECTIONS: usize = 14;

/// Grafana's lists come at once or not at all; pictures have a limit of their own.
const GRAFANA_PATIENCE: Duration = Duration::from_secs(15);

/// How long an end waits for what is being handled, and for what is being said.
const LAST_STEPS: Duration = Duration::from_secs(5);
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What is too old is forgotten this often.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The users file.
    pub users: PathBuf,
    /// The file of what the bot remembers.
    pub state: PathBuf,
    /// The file with the alerts seen lately.
    pub seen: Option<PathBuf>,
    /// Telegram's limits.
    pub limits: Limits,
    /// Take a webhook away that would keep updates from the bot.
    pub delete_webhook: bool,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Asked to.
    Asked,
    /// Telegram refuses the token, in these words.
    Refused(String),
}

/// Everything that has to be there before anything is asked of Telegram; errors are the configuration's.
pub fn prepare(config: &Config, options: &Options, api: &Api, metrics: Arc<Metrics>) -> anyhow::Result<Conversation> {
    use crate::cli::Failure;
    let access = Access::new(config).map_err(Failure::misuse)?;
    let guests = Guests::open(&options.users).map_err(Failure::misuse)?;
    let zone = time_zone(config.time_zone.as_deref()).map_err(Failure::misuse)?;
    let store = Store::open(&options.state).with_context(|| format!("cannot open {}", options.state.display()))?;
    let gallery = match &config.grafana_url {
        None => None,
        Some(_) => {
            let settings = Settings { timeout: GRAFANA_PATIENCE, ..Settings::from_config(config)? };
            Some(Gallery::new(Recent::new(Grafana::new(&settings)?), api.clone(), config.time_zone.clone()))
        }
    };
    let pictures = AtomicI64::new(store.last_picture().context("cannot read what the bot remembers")?);
    Ok(Conversation {
        me: Me { id: 0, username: String::new() },
        access,
        guests,
        store: Arc::new(store),
        gallery,
        seen: options.seen.clone(),
        language: config.language.clone(),
        zone,
        pictures,
        metrics,
    })
}

/// Answers people until asked to end.
pub fn run(mut conversation: Conversation, options: &Options, api: &Api, stop: &Arc<Stop>) -> anyhow::Result<End> {
    conversation.me = match opening::introduce(api, stop) {
        Ok(Some(me)) => me,
        Ok(None) => return Ok(End::Asked),
        Err(why) => {
            standing::is_refused();
            return Ok(End::Refused(why));
        }
    };
    crate::notice!("answering as @{}", conversation.me.username);
    let mut standing = Standing::new(&format!("answering as @{}", conversation.me.username));
    standing.is_well();
    if options.delete_webhook {
        opening::delete_webhook(api, stop, &mut standing);
    }
    conversation.tell_code().map_err(anyhow::Error::msg)?;
    let conversation = Arc::new(conversation);
    let (store, metrics) = (conversation.store.clone(), conversation.metrics.clone());
    let (events, received) = channel();
    let mut pacing = Pacing::new(options.limits);
    pacing.share_beside(&options.state);
    let queue = Queue::new(api.clone(), store.clone(), conversation.clone(), metrics.clone(), pacing, events.clone())
        .context("cannot read what waits to be said")?;
    let handled = Handled { conversation: conversation.clone(), events: Mutex::new(events.clone()) };
    let lanes = Lanes::new(move |update| handled.handle(&update));
    for update in store.open_updates().context("cannot read what waits to be handled")? {
        take(&conversation, &lanes, &events, update);
    }
    show_commands(&conversation, &events)?;
    let (ended, ends) = channel();
    speak(queue, received, metrics.needed(), ended.clone());
    listen(conversation, api.clone(), stop.clone(), lanes.clone(), events.clone(), ended.clone(), standing);
    wait_for_stop(store, stop.clone(), ended);
    let mut spoken = None;
    let first = ends.recv().unwrap_or(Ended::Asked);
    stop.set();
    lanes.close(LAST_STEPS);
    let _ = events.send(outgoing::Event::Stop);
    let mut end = match first {
        Ended::Asked => Ok(End::Asked),
        Ended::Listening(end) => end,
        Ended::Speaking(end) => {
            spoken = Some(());
            Ok(end)
        }
    };
    // A poll that waits need not be waited for: what it brings is confirmed by the next one only.
    while spoken.is_none() {
        match ends.recv_timeout(LAST_WORDS) {
            Ok(Ended::Speaking(last)) => {
                spoken = Some(());
                if matches!(end, Ok(End::Asked)) {
                    end = Ok(last);
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    if matches!(end, Ok(End::Refused(_))) {
        standing::is_refused();
    }
    end
}

/// Who has ended, and how.
enum Ended {
    Asked,
    Listening(anyhow::Result<End>),
    Speaking(End),
}

fn speak(queue: Queue<Conversation>, events: Receiver<outgoing::Event>, needed: Needed, ended: Sender<Ended>) {
    thread::spawn(move || {
        let _needed = needed;
        let refused = queue.run(&events);
        let _ = ended.send(Ended::Speaking(refused.map_or(End::Asked, End::Refused)));
    });
}

fn listen(
    conversation: Arc<Conversation>,
    api: Api,
    stop: Arc<Stop>,
    lanes: Lanes,
    events: Sender<outgoing::Event>,
    ended: Sender<Ended>,
    mut standing: Standing,
) {
    let needed = conversation.metrics.needed();
    thread::spawn(move || {
        let _needed = needed;
        let end = poll::run(&api, &conversation.store, &stop, &conversation.metrics, &mut standing, |updates| {
            for update in updates {
                take(&conversation, &lanes, &events, update);
            }
            while !lanes.wait_for_room(LAST_STEPS) && !stop.is_set() {}
        });
        let end = end.context("cannot read what the bot remembers").map(|end| match end {
            poll::End::Asked => End::Asked,
            poll::End::Refused(why) => End::Refused(why),
        });
        if !matches!(end, Ok(End::Asked)) {
            let _ = ended.send(Ended::Listening(end));
        }
    });
}

/// Also keeps the house while it waits.
fn wait_for_stop(store: Arc<Store>, stop: Arc<Stop>, ended: Sender<Ended>) {
    thread::spawn(move || {
        while !stop.is_set() {
            if let Err(err) = store.forget() {
                log::error!("cannot forget what is too old: {err}");
            }
            stop.sleep(HOUSEKEEPING);
        }
        let _ = ended.send(Ended::Asked);
    });
}

/// Has an update handled when its turn comes. Of a chat that has too many the last ones are left out; what is nothing to
/// the bot waits for nothing and keeps nobody's place.
fn take(conversation: &Conversation, lanes: &Lanes, events: &Sender<outgoing::Event>, update: Update) {
    let lane = conversation.lane(&update).filter(|lane| {
        // Who is a stranger now may be let in by what waits.
        let is_strange = || conversation.is_strange(&update) && !lanes.holds(lane.room.chat);
        !conversation.is_talk(&update) && !is_strange()
    });
    let Some(lane) = lane else { return handle(conversation, events, &update) };
    if let Some(update) = lanes.add(lane, update) {
        conversation.metrics.left_out.inc();
        finish(conversation, events, update.id, &conversation.too_many(&update));
    }
}

fn handle(conversation: &Conversation, events: &Sender<outgoing::Event>, update: &Update) {
    // A bug that one update finds must not keep the bot from all others, nor come again with each restart.
    let effects = contained(|| conversation.handle(update)).unwrap_or_else(|| {
        log::error!("update {} could not be handled; please report it", update.id);
        conversation.apology(update)
    });
    finish(conversation, events, update.id, &effects);
    conversation.metrics.handled.inc();
}

fn finish(conversation: &Conversation, events: &Sender<outgoing::Event>, update: i64, effects: &Effects) {
    let calls = conversation.store.surely(|store| store.finish(update, effects));
    let _ = events.send(outgoing::Event::Queued(calls));
}

/// Handles updates, in many threads.
struct Handled {
    conversation: Arc<Conversation>,
    events: Mutex<Sender<outgoing::Event>>,
}

impl Handled {
    fn handle(&self, update: &Update) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        handle(&self.conversation, &events, update);
    }
}

impl House for Conversation {
    fn draw(&self, call: &Outgoing) -> Result<Drawn, String> {
        contained(|| Conversation::draw(self, call)).unwrap_or_else(|| Err(self.refused_picture(call, "?")))
    }

    fn refused(&self, call: &Outgoing, why: &str) -> String {
        self.refused_picture(call, why)
    }

    fn gone(&self, chat: i64, why: &str) {
        log::debug!("chat {chat}: {why}");
        let effects = Effects { changes: vec![effects::Change::Silence(chat)], ..Effects::default() };
        if let Err(err) = self.blocked(chat) {
            log::error!("chat {chat} has blocked the bot: {err}");
        }
        self.store.surely(|store| store.apply(&effects));
    }

    fn moved(&self, old: i64, new: i64) {
        let done =
            self.migrated(old, new).and_then(|effects| self.store.apply(&effects).map_err(|err| err.to_string()));
        if let Err(err) = done {
            log::error!("chat {old} has the id {new} now: {err}");
        }
    }
}

/// Telegram's list of commands, in all languages.
fn show_commands(conversation: &Conversation, events: &Sender<outgoing::Event>) -> anyhow::Result<()> {
    let has_grafana = conversation.gallery.is_some();
    let mut calls = menu::for_all(has_grafana);
    for admin in conversation.access.all_admins(&conversation.guests.roster()) {
        let words = conversation.words_for(admin).map_err(anyhow::Error::msg)?;
        calls.extend(menu::for_admin(admin, words, has_grafana));
    }
    let effects = Effects { calls, ..Effects::default() };
    let calls: Vec<Queued> = conversation.store.surely(|store| store.apply(&effects));
    let _ = events.send(outgoing::Event::Queued(calls));
    Ok(())
}
