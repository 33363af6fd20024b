//! The users file under many hands: any edits in any order, several writers at once, and writers that are killed.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use prometheus_telegram::record::Chat;
use prometheus_telegram::users::{Roster, Users, edit, read};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::harness::*;

#[derive(Clone, Debug)]
enum Edit {
    Admit,
    Remove,
    SetMatch(Option<i64>, String),
    Subscribe(Option<i64>, &'static str),
    Unsubscribe(Option<i64>, Option<&'static str>),
    Clear(Option<i64>),
    Role(Option<&'static str>),
    Lang(&'static str),
    Name(String),
    Blocked(Option<Timestamp>),
}

/// What an entry should say.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    role: Option<String>,
    lang: Option<String>,
    name: Option<String>,
    blocked: Option<Timestamp>,
    /// Patterns and canonical matcher sets of each topic that has some.
    topics: BTreeMap<Option<i64>, (Vec<String>, Vec<String>)>,
}

/// In canonical form, each with another way to write it.
const SETS: [(&str, &str); 3] = [
    (r#"severity="critical""#, "severity=critical"),
    (r#"a="b", c=~"d|e""#, r#"{c=~"d|e",a=b}"#),
    (r#"path!="C:\\ \"x\"""#, r#" path != "C:\\ \"x\"" ,"#),
];

fn edits() -> impl Strategy<Value = Vec<(i64, Edit)>> {
    let thread = || prop::sample::select(vec![None, Some(1), Some(7), Some(9)]);
    let set = || prop::sample::select(SETS.iter().flat_map(|(a, b)| [*a, *b]).collect::<Vec<_>>());
    let edit = prop_oneof![
        1 => Just(Edit::Admit),
        1 => Just(Edit::Remove),
        4 => (thread(), "[a-z\"\\\\ж]{0,4}").prop_map(|(thread, text)| Edit::SetMatch(thread, text)),
        4 => (thread(), set()).prop_map(|(thread, set)| Edit::Subscribe(thread, set)),
        3 => (thread(), prop::option::of(set())).prop_map(|(thread, set)| Edit::Unsubscribe(thread, set)),
        2 => thread().prop_map(Edit::Clear),
        1 => prop::option::of(Just("admin")).prop_map(Edit::Role),
        1 => prop::sample::select(vec!["en", "ru"]).prop_map(Edit::Lang),
        1 => ".{0,6}".prop_map(Edit::Name),
        1 => prop::option::of(Just(Timestamp::UNIX_EPOCH)).prop_map(Edit::Blocked),
    ];
    prop::collection::vec((prop::sample::select(vec![1_i64, 2, -3]), edit), 0..40)
}

fn apply(roster: &mut Roster, model: &mut BTreeMap<i64, Model>, chat: i64, edit: &Edit) {
    let place = |thread: Option<i64>| thread.filter(|thread| *thread != 1);
    let canonical = |set: &str| SETS.iter().find(|(a, b)| set == *a || set == *b).unwrap().0.to_owned();
    match edit {
        Edit::Admit => {
            roster.admit(chat);
            model.entry(chat).or_default();
        }
        Edit::Remove => assert_eq!(roster.remove(chat), model.remove(&chat).is_some()),
        Edit::SetMatch(thread, pattern) => {
            roster.set_match(chat, *thread, pattern);
            let topics = &mut model.entry(chat).or_default().topics;
            topics.entry(place(*thread)).or_default().0 = vec![pattern.clone()];
        }
        Edit::Subscribe(thread, set) => {
            let sets = &mut model.entry(chat).or_default().topics.entry(place(*thread)).or_default().1;
            let is_new = !sets.contains(&canonical(set));
            assert_eq!(roster.subscribe(chat, *thread, set), is_new);
            sets.extend(is_new.then(|| canonical(set)));
        }
        Edit::Unsubscribe(thread, set) => {
            let topic = model.get_mut(&chat).and_then(|model| model.topics.get_mut(&place(*thread)));
            let taken = topic.is_some_and(|(patterns, sets)| {
                let before = patterns.len() + sets.len();
                patterns.retain(|_| set.is_some());
                sets.retain(|known| set.is_some_and(|set| canonical(set) != *known));
                patterns.len() + sets.len() < before
            });
            assert_eq!(roster.unsubscribe(chat, *thread, *set), taken);
        }
        Edit::Clear(thread) => {
            roster.clear(chat, *thread);
            model.get_mut(&chat).map(|model| model.topics.remove(&place(*thread)));
        }
        Edit::Role(role) => {
            roster.set_role(chat, *role);
            model.get_mut(&chat).into_iter().for_each(|model| model.role = role.map(str::to_owned));
        }
        Edit::Lang(lang) => {
            roster.set_lang(chat, lang);
            model.get_mut(&chat).into_iter().for_each(|model| model.lang = Some((*lang).to_owned()));
        }
        Edit::Name(name) => {
            roster.set_name(chat, name);
            model.get_mut(&chat).into_iter().for_each(|model| model.name = Some(name.clone()));
        }
        Edit::Blocked(since) => {
            roster.set_blocked(chat, *since);
            model.get_mut(&chat).into_iter().for_each(|model| model.blocked = *since);
        }
    }
    for model in model.values_mut() {
        model.topics.retain(|_, (patterns, sets)| !patterns.is_empty() || !sets.is_empty());
    }
}

fn said(roster: &Roster) -> BTreeMap<i64, Model> {
    let entries = roster.chats().filter_map(|(chat, entry)| match chat {
        Chat::Id(chat) => Some((chat, entry)),
        Chat::Name(_) => None,
    });
    let model = entries.map(|(chat, entry)| {
        let topics = entry.subscriptions.into_iter().map(|one| (one.thread, (one.patterns, one.labels)));
        let (role, lang, name, blocked) = (entry.role, entry.lang, entry.name, entry.blocked_since);
        (chat, Model { role, lang, name, blocked, topics: topics.collect() })
    });
    model.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..Default::default() })]

    #[test]
    fn any_edits_say_what_a_simple_model_says(edits in edits()) {
        // By hand: an unknown chat member, a number that no float holds, a channel, something odd.
        const NUMBER: &str = "12345678901234567890.10";
        let file = format!(r#"{{"@ops": {{"match": "x",  "zone": [1.0, {{}}]}}, "-3": {{"note": {NUMBER}}}, "odd key": 7}}"#);
        let mut roster = Roster::parse(&file).unwrap();
        let mut model = BTreeMap::from([(-3, Model::default())]);
        let mut removed = false;
        for (chat, edit) in &edits {
            apply(&mut roster, &mut model, *chat, edit);
            removed |= *chat == -3 && matches!(edit, Edit::Remove);
            prop_assert_eq!(&said(&roster), &model, "after {:?} of {}", edit, chat);
        }
        let text = roster.to_text();
        prop_assert_eq!(&Roster::parse(&text).unwrap(), &roster);
        let by_hand = text.contains(r#"  "@ops": {"match": "x",  "zone": [1.0, {}]}"#) && text.contains(r#""odd key": 7"#);
        prop_assert!(by_hand, "{}", text);
        prop_assert!(removed || text.contains(&format!(r#""note": {NUMBER}"#)), "{}", text);
        prop_assert_eq!(text.lines().count(), 2 + 2 + model.len(), "a chat a line");
        // alert-route reads the same out of it.
        let users = Users::parse(&text).unwrap();
        let wanting: Vec<_> = model.iter().flat_map(|(chat, model)| model.topics.keys().map(|topic| (*chat, *topic))).collect();
        for (chat, topic) in wanting {
            let subscriber = users.chats.iter().find(|one| one.chat == Chat::Id(chat) && one.thread == topic);
            prop_assert_eq!(subscriber.map(|one| one.is_blocked), Some(model[&chat].blocked.is_some()));
        }
    }

    #[test]
    fn any_text_is_an_error_or_stays_what_it_is(text in "[\\[\\]{}\":,a1 n\\\\-]{0,30}") {
        if let Ok(roster) = Roster::parse(&text) {
            prop_assert_eq!(Roster::parse(&roster.to_text()), Ok(roster));
        }
    }
}

/// This test binary again, as a program that edits the file in the environment until it is killed.
fn writer(path: &std::path::Path, number: i64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "roster::edit_until_killed", "--nocapture"]);
    command.env("EDITED", path).env("WRITER", number.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
#[ignore = "a part of the next test, in a process of its own"]
fn edit_until_killed() {
    let Ok(path) = std::env::var("EDITED") else { return };
    let number: i64 = std::env::var("WRITER").unwrap().parse().unwrap();
    for n in 0.. {
        edit(path.as_ref(), |roster| roster.set_match(number * 1_000_000 + n, None, &"x".repeat(500))).unwrap();
        // The lock is not handed out in turn: who asks all the time keeps it from the other one.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn writers_that_are_killed_leave_a_whole_file() {
    let scratch = Scratch::new("roster-kill");
    let path = scratch.write("users.json", r#"{"5": {"match": "by hand", "note": 1.50}}"#);
    let mut known = 1;
    for round in 0..12 {
        let mut writers = [writer(&path, 2 * round + 1), writer(&path, 2 * round + 2)];
        until("both to have written", || {
            let roster = read(&path).unwrap();
            let of = |number: i64| roster.chats().any(|(chat, _)| chat == Chat::Id(number * 1_000_000 + 5));
            (of(2 * round + 1) && of(2 * round + 2)).then_some(())
        });
        for writer in &mut writers {
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        let roster = read(&path).unwrap();
        let count = roster.chats().count();
        assert!(count >= known + 12, "{count} after {known}");
        known = count;
        // Each writer's are without a gap: none was lost to the other.
        for number in [2 * round + 1, 2 * round + 2] {
            let of = |chat: &Chat| matches!(chat, Chat::Id(id) if id / 1_000_000 == number);
            let mut ids: Vec<Chat> = roster.chats().map(|(chat, _)| chat).filter(of).collect();
            ids.sort();
            let whole: Vec<Chat> = (0..ids.len() as i64).map(|n| Chat::Id(number * 1_000_000 + n)).collect();
            assert_eq!(ids, whole);
        }
    }
    edit(&path, |roster| roster.admit(6)).unwrap();
    assert!(scratch.read("users.json").contains(r#"  "5": {"match": "by hand", "note": 1.50}"#));
    let mut left: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["users.json", "users.json.lock"], "no litter");
}
