//! What the answer to a call means for it, for its chat, and for all others.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;

use super::{House, LONGEST_OUTAGE, MOST_SERVER_ERRORS, MOST_TRIES, OUTAGE, Queue, Stage, say_instead, silence_of};
use crate::markup;
use crate::record::Chat;
use crate::telegram::Answer;
use crate::verdict::{Change, Verdict, verdict};

impl<H: House> Queue<H> {
    pub(super) fn answered(&mut self, id: i64, answer: &Answer) {
        let now = Instant::now();
        let verdict = verdict(answer);
        self.metrics.answered(&verdict);
        let paced = self.under_way.remove(&id).flatten();
        if let Some(chat) = paced {
            self.pacing.end(&Chat::Id(chat), !matches!(verdict, Verdict::Later(_)), now);
        }
        let Some(waiting) = self.calls.get_mut(&id) else { return };
        waiting.stage = Stage::Ready;
        let free = paced.is_none();
        let chat = waiting.queued.call.chat;
        if !matches!(verdict, Verdict::Later(_)) {
            self.outage = OUTAGE;
        }
        match verdict {
            Verdict::Told { message_id, .. } => self.over(id, message_id),
            Verdict::Flood(time) => {
                let method = waiting.queued.call.method;
                if free {
                    log::warn!("Telegram asks for {} s without {method}", time.as_secs());
                    self.silent.insert(silence_of(&waiting.queued.call), now + time);
                } else {
                    log::warn!("Telegram asks for {} s of silence in chat {chat}", time.as_secs());
                    self.pacing.flood(&Chat::Id(chat), time, now);
                }
                self.again(id);
            }
            Verdict::Later(why) => {
                log::warn!("cannot reach Telegram: {why}; trying again in {} s", self.outage.as_secs());
                self.pacing.freeze_all(now + self.outage);
                self.outage = (self.outage * 2).min(LONGEST_OUTAGE);
                self.again(id);
            }
            _ if free => self.over(id, None),
            Verdict::Unsure(why) => {
                if self.calls.get(&id).is_some_and(|waiting| waiting.queued.tries < MOST_TRIES) {
                    self.pacing.freeze(&Chat::Id(chat), now + OUTAGE);
                } else {
                    self.dropped(id, &why);
                }
            }
            Verdict::ServerError(why) => self.server_error(id, &why, now),
            Verdict::Moved(new) => self.moved(chat, new),
            Verdict::Gone(why) => self.gone(chat, &why),
            Verdict::Change(change, why) => self.change(id, change, &why),
            Verdict::Never(why) if cannot_edit(&why) => self.send_anew(id),
            Verdict::NoChat(why) | Verdict::Never(why) => self.dropped(id, &why),
            Verdict::Stop(why) if why.contains("method not found") => self.dropped(id, &why),
            Verdict::Stop(why) => self.refused = Some(why),
        }
    }

    fn over(&mut self, id: i64, message: Option<i64>) {
        if let Some(waiting) = self.calls.get(&id) {
            self.store.surely(|store| store.sent(&waiting.queued, message));
            waiting.queued.call.request.into_iter().for_each(|request| self.tell_unheard(request));
        }
        self.remove(id);
    }

    /// Says in the log that a request could be put to no administrator; once, since nothing of it is left then.
    fn tell_unheard(&self, request: i64) {
        if self.store.is_unheard(request).unwrap_or_default() {
            log::warn!(
                "chat {request} asks to be let in, and no administrator could be told\nhint: an administrator has to \
                 send /start to the bot, and is asked then"
            );
        }
    }

    /// It cannot be made. In place of a picture the chat is told why.
    fn dropped(&mut self, id: i64, why: &str) {
        let Some(waiting) = self.calls.get_mut(&id) else { return };
        let call = &mut waiting.queued.call;
        if call.picture.is_none() {
            log::error!("cannot say something to chat {}: {}: {why}", call.chat, call.method);
            return self.over(id, None);
        }
        log::error!("chat {} does not get a picture: {}: {why}", call.chat, call.method);
        call.parameters = say_instead(call, self.house.refused(call, why));
        call.method = "sendMessage";
        call.picture = None;
        waiting.file = None;
        waiting.server_errors = 0;
        waiting.queued.tries = 0;
        self.store.surely(|store| store.rewrite(&waiting.queued));
    }

    /// It was not delivered and is to be made again.
    fn again(&mut self, id: i64) {
        if let Some(waiting) = self.calls.get_mut(&id) {
            waiting.queued.tries = waiting.queued.tries.saturating_sub(1);
            self.store.surely(|store| store.not_sent(id));
        }
    }

    fn server_error(&mut self, id: i64, why: &str, now: Instant) {
        let Some(waiting) = self.calls.get_mut(&id) else { return };
        waiting.server_errors += 1;
        if waiting.server_errors >= MOST_SERVER_ERRORS {
            return self.dropped(id, why);
        }
        let pause = OUTAGE * 2_u32.pow(waiting.server_errors);
        self.pacing.freeze(&Chat::Id(waiting.queued.call.chat), now + pause);
        self.again(id)
    }

    fn moved(&mut self, old: i64, new: i64) {
        let (store, house) = (self.store.clone(), self.house.clone());
        house.moved(old, new);
        self.pacing.rename(&Chat::Id(old), &Chat::Id(new));
        let ids = self.chats.remove(&old).unwrap_or_default();
        for id in &ids {
            if let Some(waiting) = self.calls.get_mut(id) {
                waiting.queued.call.chat = new;
                waiting.queued.call.parameters["chat_id"] = new.into();
                waiting.queued.tries = 0;
                store.surely(|store| store.rewrite(&waiting.queued));
            }
        }
        self.chats.entry(new).or_default().extend(ids);
    }

    fn gone(&mut self, chat: i64, why: &str) {
        log::info!("chat {chat} lets the bot in no more: {why}");
        self.house.gone(chat, why);
        // What is under way comes back to nobody.
        let ids = self.chats.remove(&chat).unwrap_or_default();
        let calls = ids.iter().filter_map(|id| self.calls.remove(id));
        let requests: BTreeSet<i64> = calls.filter_map(|waiting| waiting.queued.call.request).collect();
        requests.into_iter().for_each(|request| self.tell_unheard(request));
    }

    /// Makes of a refused call one that may be taken.
    fn change(&mut self, id: i64, change: Change, why: &str) {
        let Some(waiting) = self.calls.get_mut(&id) else { return };
        let call = &mut waiting.queued.call;
        let Some(parameters) = call.parameters.as_object_mut() else { return self.dropped(id, why) };
        let changed = match change {
            Change::Plain => {
                for name in ["text", "caption"] {
                    if let Some(Value::String(text)) = parameters.get_mut(name) {
                        *text = markup::plain(text);
                    }
                }
                parameters.remove("parse_mode").is_some()
            }
            Change::NoThread => parameters.remove("message_thread_id").is_some(),
            Change::NoReply => parameters.remove("reply_parameters").is_some(),
            Change::NoButtons => parameters.remove("reply_markup").is_some(),
            _ => false,
        };
        if !changed {
            return self.dropped(id, why);
        }
        log::warn!("a message to chat {} is sent otherwise: {why}", call.chat);
        waiting.queued.tries = 0;
        // A picture's parameters are made anew with the picture.
        let is_whole = waiting.queued.call.picture.is_none();
        self.store.surely(|store| if is_whole { store.rewrite(&waiting.queued) } else { store.not_sent(id) });
    }

    /// The message that was to be changed is gone: the picture comes as a new one.
    fn send_anew(&mut self, id: i64) {
        let Some(waiting) = self.calls.get_mut(&id) else { return };
        let call = &mut waiting.queued.call;
        if call.method != "editMessageMedia" {
            return self.dropped(id, "the message to be changed is gone");
        }
        call.method = "sendPhoto";
        if let Some(parameters) = call.parameters.as_object_mut() {
            parameters.remove("message_id");
            for name in ["caption", "parse_mode"] {
                let value = parameters.get("media").and_then(|media| media.get(name)).cloned();
                if let Some(value) = value {
                    parameters.insert(name.to_owned(), value);
                }
            }
            parameters.remove("media");
        }
        waiting.queued.tries = 0;
        self.store.surely(|store| store.rewrite(&waiting.queued));
    }
}

fn cannot_edit(why: &str) -> bool {
    ["message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"].iter().any(|text| why.contains(text))
}
