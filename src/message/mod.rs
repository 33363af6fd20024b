//! From records that wait for a chat to the next message: alone, joined with others, or as one summary of a storm.
//!
//! What waits together is joined while it fits. What would need more than [`TOLERABLE`] messages becomes one message
//! that counts, with the whole list as a document. A record that is too long for a message is told in parts. Nothing is
//! decided here about time; that is the business of `pacing` and `delivery`.

mod file;
mod storm;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::markup::{self, CAPTION, MESSAGE, fits, plain};
use crate::outbox::{Millis, Waiting};
use crate::record::{Button, Chat, Format, Record};
use crate::telegram::Call;
use crate::text::{duration, escape, is_link};
use crate::verdict::Change;
pub use storm::Storm;

/// Messages in a row that a person reads; what needs more becomes a summary.
pub const TOLERABLE: usize = 3;

/// What is told later than this says so.
const LATE: Duration = Duration::from_secs(60);

/// Characters of a line that stands for a record.
const LONGEST_TITLE: usize = 200;

/// Stands between joined records.
const SEPARATOR: &str = "\n──────────\n";

/// Room for the line that says how late something is and the mark of a second try.
const HEAD_ROOM: usize = 60;

/// Changes that the API asked for after it refused a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Without markup.
    pub plain: bool,
    /// Smaller parts.
    pub shorter: bool,
    /// Not into the topic.
    pub no_thread: bool,
    /// Without answering.
    pub no_reply: bool,
    /// Without buttons.
    pub no_buttons: bool,
    /// A picture as a document.
    pub as_document: bool,
    /// Without its picture or file.
    pub no_file: bool,
    /// No summary with a document: the chat does not take them.
    pub no_storm: bool,
    /// Records one by one: one of several spoils the message.
    pub alone: bool,
}

impl Changes {
    /// Makes one more change; false if it was made before and did not help.
    pub fn make(&mut self, change: Change) -> bool {
        let flag = match change {
            Change::Plain => &mut self.plain,
            Change::Shorter => &mut self.shorter,
            Change::NoThread => &mut self.no_thread,
            Change::NoReply => &mut self.no_reply,
            Change::NoButtons => &mut self.no_buttons,
            Change::AsDocument => &mut self.as_document,
            Change::NoFile => &mut self.no_file,
            Change::NoStorm => &mut self.no_storm,
        };
        !std::mem::replace(flag, true)
    }
}

/// What a message is made for.
pub struct Occasion<'a> {
    /// Where it goes.
    pub chat: &'a Chat,
    /// The present.
    pub now: Millis,
    /// What the API asked for.
    pub changes: Changes,
    /// It may have been told before.
    pub again: bool,
    /// Records that wait for the chat, those that were fetched and those that were not.
    pub in_all: usize,
    /// The message that told about an alert last.
    pub message_about: &'a dyn Fn(&str) -> Option<i64>,
}

/// The next message for a chat.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// The records that it tells, or the one of which it tells a part.
    pub seqs: Vec<i64>,
    /// For a part: how many characters of the record are told when it is. Otherwise the records are told.
    pub part: Option<usize>,
    /// Whether it is a summary, with what it sums up in a document.
    pub storm: bool,
    /// How often it was sent before with an unknown end.
    pub sendings: u32,
    /// The id of its first record, for the log.
    pub id: String,
    /// How to send it.
    pub call: Call,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// This message.
    Message(Box<Message>),
    /// More than a few messages hold: a [`Storm`] that begins with this record, and has others in it or not.
    Storm {
        /// Its place in the order.
        first: i64,
        /// A record that is a book.
        alone: bool,
    },
}

impl Message {
    fn new(covered: &[&Waiting], part: Option<usize>, call: Call) -> Self {
        Message {
            seqs: covered.iter().map(|waiting| waiting.seq).collect(),
            part,
            storm: false,
            sendings: covered.iter().map(|waiting| waiting.unsure).max().unwrap_or(0),
            id: covered.first().map(|waiting| waiting.record.id.clone()).unwrap_or_default(),
            call,
        }
    }

    /// Whether it has a picture or a file, which can be refused for its own sake.
    pub fn has_file(&self) -> bool {
        self.call.method != "sendMessage"
    }
}

/// Makes the next message of records that wait, which are at least one.
pub fn next(waiting: &[Waiting], occasion: &Occasion<'_>) -> Next {
    let head = &waiting[0];
    if has_file(&head.record) || head.shown > 0 || occasion.changes.alone || occasion.changes.shorter {
        return part_of(head, occasion);
    }
    // Only what goes to the same topic can be joined; topics are read apart, so there is no order between them.
    // Pictures and files stand alone, so does what was begun, and what may have been told before is repeated as it was.
    let same_topic = |other: &&Waiting| other.record.thread == head.record.thread;
    let joins = |other: &&Waiting| !has_file(&other.record) && other.shown == 0 && other.unsure == head.unsure;
    let run: Vec<&Waiting> = waiting.iter().filter(same_topic).take_while(joins).collect();
    let pieces = pieces(&run);
    let mut messages = fill(&pieces);
    // What was not looked at yet is taken to be like what was.
    let in_all = if run.len() == waiting.len() { occasion.in_all.max(run.len()) } else { run.len() };
    if messages.len() * in_all > TOLERABLE * run.len() && !occasion.changes.no_storm {
        return Next::Storm { first: head.seq, alone: false };
    }
    let first = messages.swap_remove(0);
    if let [only] = first.as_slice()
        && let [seq] = only.seqs[..]
        && let Some(waiting) = run.iter().find(|waiting| waiting.seq == seq)
    {
        return match fits(&only.html, limits(occasion)) {
            true => Next::Message(Box::new(alone(waiting, occasion))),
            false => part_of(waiting, occasion),
        };
    }
    Next::Message(Box::new(join(&first, &run, occasion)))
}

/// One thing to say: a record, or a pair of them that cancel each other.
struct Piece {
    seqs: Vec<i64>,
    html: String,
}

fn pieces(run: &[&Waiting]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(run.len());
    let mut firing: HashMap<&str, usize> = HashMap::new();
    for waiting in run {
        let record = &waiting.record;
        let mut piece = Piece { seqs: vec![waiting.seq], html: with_links(record) };
        if let Some(about) = record.about.as_deref() {
            if !is_resolved(record) {
                firing.insert(about, pieces.len());
            } else if let Some(earlier) = firing.remove(about) {
                // It came and went while nobody could be told: one line says it.
                piece.seqs.splice(0..0, std::mem::take(&mut pieces[earlier].seqs));
                piece.html = format!("{} <i>(fired and resolved meanwhile)</i>", escape(&title(record)));
            }
        }
        pieces.push(piece);
    }
    pieces.retain(|piece| !piece.seqs.is_empty());
    pieces
}

fn is_resolved(record: &Record) -> bool {
    record.count_by.get("status").is_some_and(|status| status == "resolved")
}

/// The line that stands for a record: its title, or the start of its text.
fn title(record: &Record) -> String {
    let text = || plain(&html(record));
    let title = if record.title.is_empty() { text() } else { record.title.clone() };
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    match title.char_indices().nth(LONGEST_TITLE) {
        Some((end, _)) => format!("{}…", title[..end].trim_end()),
        None => title,
    }
}

fn html(record: &Record) -> String {
    match record.format {
        Format::Html => record.text.clone(),
        Format::Text => escape(&record.text),
    }
}

/// Among others a record cannot have buttons of its own; its links stand under its text.
fn with_links(record: &Record) -> String {
    let mut html = markup::well_formed(html(record));
    let buttons = record.buttons.iter().flatten();
    let links: Vec<String> = buttons
        .filter_map(|Button { text, url, .. }| {
            let url = url.as_deref().filter(|url| is_link(url))?;
            Some(format!("<a href=\"{}\">{}</a>", escape(url), escape(text)))
        })
        .collect();
    if !links.is_empty() {
        html.push('\n');
        html.push_str(&links.join(" · "));
    }
    html
}

/// Puts pieces into as few messages as hold them in order.
fn fill(pieces: &[Piece]) -> Vec<Vec<&Piece>> {
    let mut messages: Vec<Vec<&Piece>> = Vec::new();
    let mut length = markup::Size::default();
    for piece in pieces {
        let size = markup::size(&piece.html);
        let mut joined = length;
        joined += markup::size(SEPARATOR);
        joined += size;
        match messages.last_mut() {
            Some(message) if joined.fits(MESSAGE, HEAD_ROOM) => {
                message.push(piece);
                length = joined;
            }
            _ => {
                messages.push(vec![piece]);
                length = size;
                // One that is too long for a message takes as many as its parts.
                let parts = size.visible.div_ceil(MESSAGE.visible);
                messages.extend((1..parts).map(|_| Vec::new()));
                if parts > 1 {
                    length.visible = MESSAGE.visible;
                }
            }
        }
    }
    messages.retain(|message| !message.is_empty());
    messages
}

fn join(pieces: &[&Piece], run: &[&Waiting], occasion: &Occasion<'_>) -> Message {
    let seqs: Vec<i64> = pieces.iter().flat_map(|piece| piece.seqs.iter().copied()).collect();
    let mut covered: Vec<&Waiting> = run.iter().copied().filter(|waiting| seqs.contains(&waiting.seq)).collect();
    covered.sort_by_key(|waiting| waiting.seq);
    let texts: Vec<&str> = pieces.iter().map(|piece| piece.html.as_str()).collect();
    let text = format!("{}{}", head_line(&covered, occasion), texts.join(SEPARATOR));
    let call = text_call(&text, &covered, occasion, None);
    Message::new(&covered, None, call)
}

fn alone(waiting: &Waiting, occasion: &Occasion<'_>) -> Message {
    let text = format!("{}{}", head_line(&[waiting], occasion), html(&waiting.record));
    let call = text_call(&text, &[waiting], occasion, Some(&waiting.record.buttons));
    Message::new(&[waiting], None, call)
}

fn limits(occasion: &Occasion<'_>) -> markup::Limits {
    let visible = MESSAGE.visible - HEAD_ROOM;
    // What was refused as too long, although it is not by our count, is told in much smaller pieces.
    markup::Limits { visible: if occasion.changes.shorter { visible / 4 } else { visible }, ..MESSAGE }
}

/// The next part of a record that needs several messages, or the whole of one that stands alone.
fn part_of(waiting: &Waiting, occasion: &Occasion<'_>) -> Next {
    let message = |part, call| Next::Message(Box::new(Message::new(&[waiting], part, call)));
    let record = &waiting.record;
    let has_file = has_file(record) && !occasion.changes.no_file;
    let mut text = html(record);
    if occasion.changes.no_file {
        text = file::without(record, &text, "was refused");
    }
    if has_file && waiting.shown == 0 && (text.trim().is_empty() || fits(&text, CAPTION)) {
        return message(None, file::call(waiting, &text, occasion));
    }
    let is_book = markup::visible_length(&text) > TOLERABLE * MESSAGE.visible && waiting.shown == 0;
    if is_book && !has_file && !occasion.changes.no_storm {
        return Next::Storm { first: waiting.seq, alone: true };
    }
    let Some(part) = markup::part(&text, waiting.shown, limits(occasion)) else {
        return message(None, file::call(waiting, "", occasion));
    };
    let last = part.last && !has_file;
    let text = format!("{}{}", head_line(&[waiting], occasion), part.html);
    let call = text_call(&text, &[waiting], occasion, last.then_some(&record.buttons));
    message((!last).then_some(part.shown), call)
}

/// The line above the text of these records.
fn head_line(covered: &[&Waiting], occasion: &Occasion<'_>) -> String {
    let again = covered.iter().any(|waiting| waiting.unsure > 0);
    let oldest = covered.iter().map(|waiting| waiting.at).min().unwrap_or(occasion.now);
    head_of(again, oldest, covered.len(), occasion)
}

/// How late something is, and that it may have been told before.
fn head_of(again: bool, oldest: Millis, records: usize, occasion: &Occasion<'_>) -> String {
    let mut line = String::new();
    if occasion.again || again {
        line.push_str("↻ ");
    }
    let late = Duration::from_millis(u64::try_from(occasion.now.saturating_sub(oldest)).unwrap_or(0));
    if late > LATE {
        let up_to = if records > 1 { "up to " } else { "" };
        line.push_str(&format!("<i>⏰ told {up_to}{} late</i>\n", duration(late.as_secs())));
    }
    line
}

fn text_call(html: &str, covered: &[&Waiting], occasion: &Occasion<'_>, buttons: Option<&Vec<Vec<Button>>>) -> Call {
    let mut parameters = common(covered, occasion);
    if occasion.changes.plain || occasion.changes.shorter {
        parameters.insert("text".into(), plain(html).into());
    } else {
        parameters.insert("text".into(), html.into());
        parameters.insert("parse_mode".into(), "HTML".into());
    }
    parameters.insert("link_preview_options".into(), json!({"is_disabled": true}));
    if let Some(markup) = buttons.and_then(|rows| reply_markup(rows, occasion)) {
        parameters.insert("reply_markup".into(), markup);
    }
    Call { method: "sendMessage", parameters: parameters.into(), file: None }
}

/// Where a message goes, and whether it rings.
fn address(thread: Option<i64>, silent: bool, occasion: &Occasion<'_>) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("chat_id".into(), json!(occasion.chat));
    // General is topic 1 and is refused by that number (telegram-bot-api, Client.cpp:8277).
    if let Some(thread) = thread.filter(|thread| *thread > 1 && !occasion.changes.no_thread) {
        parameters.insert("message_thread_id".into(), thread.into());
    }
    if silent {
        parameters.insert("disable_notification".into(), true.into());
    }
    parameters
}

/// What every method that sends takes.
fn common(covered: &[&Waiting], occasion: &Occasion<'_>) -> Map<String, Value> {
    let silent = covered.iter().all(|waiting| waiting.record.silent);
    let mut parameters = address(covered[0].record.thread, silent, occasion);
    if let Some(message) = answered(covered, occasion) {
        let reply = json!({"message_id": message, "allow_sending_without_reply": true});
        parameters.insert("reply_parameters".into(), reply);
    }
    parameters
}

/// The message that all of these answer, if it is one and the same.
fn answered(covered: &[&Waiting], occasion: &Occasion<'_>) -> Option<i64> {
    if occasion.changes.no_reply {
        return None;
    }
    let earlier = |waiting: &&Waiting| (occasion.message_about)(waiting.record.about.as_deref()?);
    let mut all = covered.iter().map(earlier);
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

fn reply_markup(rows: &[Vec<Button>], occasion: &Occasion<'_>) -> Option<Value> {
    if occasion.changes.no_buttons {
        return None;
    }
    let button = |button: &Button| match (&button.url, &button.data) {
        (Some(url), _) if is_link(url) => Some(json!({"text": button.text, "url": url})),
        (None, Some(data)) if (1..=64).contains(&data.len()) => {
            Some(json!({"text": button.text, "callback_data": data}))
        }
        _ => None,
    };
    let rows: Vec<Vec<Value>> = rows.iter().map(|row| row.iter().filter_map(button).collect()).collect();
    let rows: Vec<Vec<Value>> = rows.into_iter().filter(|row| !row.is_empty()).collect();
    (!rows.is_empty()).then(|| json!({"inline_keyboard": rows}))
}

fn has_file(record: &Record) -> bool {
    record.photo.is_some() || record.document.is_some()
}

#[cfg(test)]
mod tests;
