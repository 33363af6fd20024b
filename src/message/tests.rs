use super::*;

fn record(text: &str) -> Record {
    Record::new(Chat::Id(1), text.to_owned(), Format::Html)
}

fn waiting(seq: i64, record: Record) -> Waiting {
    Waiting { seq, at: 0, shown: 0, unsure: 0, record }
}

fn alert(seq: i64, about: &str, status: &str) -> Waiting {
    let mut record = record(&format!("<b>{about}</b> is {status}"));
    record.title = format!("{about} {status}");
    record.about = Some(about.to_owned());
    record.count_by = [("alertname", about), ("severity", "page"), ("status", status)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    record.buttons =
        vec![vec![Button { text: "Graph".into(), url: Some("http://p.example/g?a=1&b".into()), data: None }]];
    waiting(seq, record)
}

fn make(waiting: &[Waiting], now: Millis, changes: &Changes) -> Message {
    make_of(waiting, now, changes, waiting.len(), &|_| None)
}

fn make_of(
    waiting: &[Waiting],
    now: Millis,
    changes: &Changes,
    in_all: usize,
    message_about: &dyn Fn(&str) -> Option<i64>,
) -> Message {
    let occasion = Occasion { chat: &Chat::Id(1), now, changes: changes.clone(), again: false, in_all, message_about };
    match next(waiting, &occasion) {
        Next::Message(message) => *message,
        Next::Storm { first, alone } => {
            let at = waiting.iter().position(|waiting| waiting.seq == first).unwrap();
            let mut storm = Storm::new(&waiting[at], in_all);
            let _ = alone || waiting[at + 1..].iter().all(|waiting| storm.add(waiting));
            storm.message(&occasion)
        }
    }
}

fn text(message: &Message) -> &str {
    let parameters = &message.call.parameters;
    parameters.get("text").or(parameters.get("caption")).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn one_record_has_its_buttons() {
    let message = make(&[alert(1, "Disk", "firing")], 0, &Changes::default());
    assert_eq!((message.seqs.as_slice(), message.part), ([1].as_slice(), None));
    assert_eq!(
        message.call.parameters,
        json!({"chat_id": 1, "text": "<b>Disk</b> is firing", "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
            "reply_markup": {"inline_keyboard": [[{"text": "Graph", "url": "http://p.example/g?a=1&b"}]]}})
    );
}

#[test]
fn several_are_joined_with_their_links_in_the_text() {
    let message = make(&[alert(1, "Disk", "firing"), alert(2, "CPU", "firing")], 0, &Changes::default());
    assert_eq!(message.seqs, [1, 2]);
    assert_eq!(
        text(&message),
        "<b>Disk</b> is firing\n<a href=\"http://p.example/g?a=1&amp;b\">Graph</a>\n──────────\n\
         <b>CPU</b> is firing\n<a href=\"http://p.example/g?a=1&amp;b\">Graph</a>"
    );
    assert!(message.call.parameters.get("reply_markup").is_none());
}

#[test]
fn a_pair_that_cancels_itself_is_one_line() {
    let run = [alert(1, "Disk", "firing"), alert(2, "CPU", "firing"), alert(3, "Disk", "resolved")];
    let message = make(&run, 0, &Changes::default());
    assert_eq!(message.seqs, [1, 2, 3]);
    assert!(text(&message).ends_with("Disk resolved <i>(fired and resolved meanwhile)</i>"), "{}", text(&message));
    assert!(!text(&message).contains("Disk</b> is firing"));
    // What fires again after that is told in full.
    let again = make(&[run[0].clone(), run[2].clone(), alert(4, "Disk", "firing")], 0, &Changes::default());
    assert!(text(&again).contains("<b>Disk</b> is firing"), "{}", text(&again));
}

#[test]
fn topics_and_pictures_are_not_mixed() {
    let mut topic = record("in a topic");
    topic.thread = Some(7);
    let mut picture = record("with a picture");
    picture.photo = Some("https://x.example/p.png".into());
    let run = [waiting(1, record("a")), waiting(2, topic.clone()), waiting(3, picture)];
    assert_eq!(make(&run, 0, &Changes::default()).seqs, [1]);
    let second = make(&run[1..], 0, &Changes::default());
    assert_eq!((second.seqs.as_slice(), &second.call.parameters["message_thread_id"]), ([2].as_slice(), &json!(7)));
    let third = make(&run[2..], 0, &Changes::default());
    assert_eq!(third.call.method, "sendPhoto");
    assert_eq!(third.call.parameters["caption"], "with a picture");
    topic.thread = Some(1);
    let general = make(&[waiting(1, topic)], 0, &Changes::default());
    assert!(general.call.parameters.get("message_thread_id").is_none());
}

#[test]
fn topics_in_turn_are_joined_each() {
    let run: Vec<Waiting> = (0..40)
        .map(|n| {
            let mut record = record(&format!("text {n}"));
            record.thread = Some(2 + n % 2);
            waiting(n, record)
        })
        .collect();
    let message = make(&run, 0, &Changes::default());
    assert_eq!(message.seqs, (0..40).step_by(2).collect::<Vec<i64>>());
}

#[test]
fn what_may_have_been_told_is_repeated_as_it_was() {
    // A record that was sent once was set aside with an older one that was sent twice.
    let mut run = [waiting(1, record("a")), waiting(2, record("b")), waiting(3, record("c"))];
    run[0].unsure = 1;
    run[1].unsure = 1;
    let again = make(&run, 0, &Changes::default());
    assert_eq!((again.seqs.as_slice(), again.sendings), ([1, 2].as_slice(), 1));
    run[0].shown = 3;
    assert_eq!(make(&run[2..], 0, &Changes::default()).seqs, [3]);
}

#[test]
fn the_one_that_is_told_alone_is_the_one_that_was_measured() {
    // The head was part of a pair that stands further back, and was sent in the place of what comes before that.
    let mut long = alert(1, "Disk", "firing");
    long.record.text = "x".repeat(5000);
    let mut large = alert(2, "CPU", "firing");
    large.record.text = "y".repeat(4010);
    let message = make(&[long, large, alert(3, "Disk", "resolved")], 0, &Changes::default());
    assert_eq!(message.seqs, [2]);
    assert!(text(&message).starts_with("yyy"));
}

#[test]
fn a_picture_that_is_refused_leaves_the_words() {
    let mut picture = record("words");
    picture.photo = Some("https://x.example/p.png".into());
    let changes = Changes { no_file: true, ..Changes::default() };
    let message = make(&[waiting(1, picture.clone())], 0, &changes);
    assert_eq!((message.call.method, text(&message)), ("sendMessage", "words\n\n<i>the picture was refused</i>"));
    picture.text.clear();
    assert_eq!(text(&make(&[waiting(1, picture)], 0, &changes)), "<i>the picture was refused</i>");
}

#[test]
fn a_chat_that_takes_no_documents_gets_messages() {
    let run: Vec<Waiting> = (0..9).map(|n| waiting(n, record(&"x".repeat(3000)))).collect();
    let changes = Changes { no_storm: true, ..Changes::default() };
    let message = make(&run, 0, &changes);
    assert_eq!((message.call.method, message.seqs.as_slice()), ("sendMessage", [0].as_slice()));
}

#[test]
fn what_is_no_file_is_not_read() {
    // A FIFO without a writer would have stopped everything.
    let mut device = record("words");
    device.photo = Some("/dev/zero".into());
    let message = make(&[waiting(1, device)], 0, &Changes::default());
    assert!(text(&message).ends_with("<i>the picture cannot be read: it is no file</i>"), "{}", text(&message));
}

#[test]
fn a_picture_that_cannot_be_read_costs_only_itself() {
    let mut picture = record("words");
    picture.photo = Some("/nonexistent/p.png".into());
    let message = make(&[waiting(1, picture)], 0, &Changes::default());
    assert_eq!(message.call.method, "sendMessage");
    assert!(text(&message).starts_with("words\n\n<i>the picture cannot be read: No such file"), "{}", text(&message));
}

#[test]
fn a_long_record_is_told_in_parts_with_buttons_on_the_last() {
    let mut long = alert(1, "Disk", "firing");
    long.record.text = "a line of some length\n".repeat(250);
    let first = make(std::slice::from_ref(&long), 0, &Changes::default());
    assert_eq!(first.seqs, [1]);
    assert!(first.call.parameters.get("reply_markup").is_none());
    long.shown = first.part.unwrap();
    let second = make(&[long, alert(2, "CPU", "firing")], 0, &Changes::default());
    assert_eq!((second.seqs.as_slice(), second.part), ([1].as_slice(), None));
    assert!(second.call.parameters.get("reply_markup").is_some());
    let lines = text(&first).lines().count() + text(&second).lines().count();
    assert_eq!(lines, 250);
}

#[test]
fn what_is_late_says_so() {
    let run = [waiting(1, record("a")), waiting(2, record("b"))];
    assert!(text(&make(&run[..1], 59_000, &Changes::default())).starts_with('a'));
    assert_eq!(text(&make(&run[..1], 720_000, &Changes::default())), "<i>⏰ told 12m late</i>\na");
    assert!(text(&make(&run, 720_000, &Changes::default())).starts_with("<i>⏰ told up to 12m late</i>\na"));
}

#[test]
fn a_second_try_is_marked() {
    let mut again = waiting(1, record("a"));
    again.unsure = 1;
    assert_eq!(text(&make(&[again], 0, &Changes::default())), "↻ a");
}

#[test]
fn changes_take_away_what_was_refused() {
    let mut full = alert(1, "Disk", "firing");
    full.record.thread = Some(5);
    let about = |_: &str| Some(44);
    let run = std::slice::from_ref(&full);
    let with = |changes| make_of(run, 0, &changes, 1, &about).call.parameters;
    let before = with(Changes::default());
    assert_eq!(before["reply_parameters"]["message_id"], 44);
    let plain = with(Changes { plain: true, ..Changes::default() });
    assert_eq!((plain.get("parse_mode"), &plain["text"]), (None, &json!("Disk is firing")));
    assert!(with(Changes { no_thread: true, ..Changes::default() }).get("message_thread_id").is_none());
    assert!(with(Changes { no_reply: true, ..Changes::default() }).get("reply_parameters").is_none());
    assert!(with(Changes { no_buttons: true, ..Changes::default() }).get("reply_markup").is_none());
    let mut changes = Changes::default();
    assert!(changes.make(Change::Plain));
    assert!(!changes.make(Change::Plain), "it did not help");
}

#[test]
fn joined_records_answer_only_a_message_that_they_share() {
    let run = [alert(1, "Disk", "resolved"), alert(2, "CPU", "resolved")];
    let reply = |about: &dyn Fn(&str) -> Option<i64>| {
        make_of(&run, 0, &Changes::default(), 2, about).call.parameters.get("reply_parameters").cloned()
    };
    assert_eq!(reply(&|_| Some(9)).unwrap()["message_id"], 9);
    assert_eq!(reply(&|about| Some(about.len() as i64)), None);
    assert_eq!(reply(&|about| (about == "Disk").then_some(9)), None);
}

#[test]
fn a_storm_is_one_document_with_everything_in_it() {
    let run: Vec<Waiting> = (0..300)
        .map(|n| {
            let name = if n % 3 == 0 { "InstanceDown" } else { "HighCPU" };
            let mut alert = alert(n, name, "firing");
            alert.record.about = Some(format!("{n}"));
            alert.record.text = format!("<b>{name}</b> on host{n} &lt; {}", "words ".repeat(40));
            alert.record.title = format!("🔴 {name}: host{n}");
            alert
        })
        .collect();
    let message = make(&run, 0, &Changes::default());
    assert_eq!(message.seqs.len(), 300);
    assert_eq!(message.call.method, "sendDocument");
    let caption = text(&message);
    assert!(caption.starts_with("⛈ <b>300 alerts</b> at once\n🔥 300 firing\n"), "{caption}");
    let counted = "🔴 <b>200×</b> HighCPU · page\n🔴 <b>100×</b> InstanceDown · page\n";
    assert!(caption.contains(counted), "{caption}");
    assert!(fits(caption, CAPTION));
    let document = String::from_utf8(message.call.file.unwrap().bytes).unwrap();
    for n in 0..300 {
        assert!(document.contains(&format!("on host{n} < words")), "{n}");
    }
}

#[test]
fn a_storm_has_no_tail_of_messages() {
    // One document holds a little over 256 of these.
    let of = |n| Vec::from_iter((0..n).map(|n| waiting(n, record(&"x".repeat(1000)))));
    let told = |n| make(&of(n), 0, &Changes::default()).seqs.len();
    assert_eq!(told(300), 300, "what is left over goes with it");
    let full = told(600);
    assert!((250..260).contains(&full), "a document has an end: {full}");
    assert_eq!(told(10_000), full, "whatever comes after it");
}

#[test]
fn three_messages_are_no_storm_and_four_are() {
    let run: Vec<Waiting> = (0..4).map(|n| waiting(n, record(&"x".repeat(3000)))).collect();
    assert_eq!(make(&run[..3], 0, &Changes::default()).seqs, [0]);
    assert_eq!(make(&run, 0, &Changes::default()).call.method, "sendDocument");
    assert_eq!(make_of(&run[..3], 0, &Changes::default(), 4, &|_| None).call.method, "sendDocument");
    let small: Vec<Waiting> = (0..10).map(|n| waiting(n, record("x"))).collect();
    assert_eq!(make_of(&small, 0, &Changes::default(), 30, &|_| None).seqs.len(), 10);
    assert_eq!(make_of(&small, 0, &Changes::default(), 10_000, &|_| None).call.method, "sendDocument");
}

#[test]
fn one_record_that_is_a_book_is_a_document() {
    let message = make(&[waiting(1, record(&"word ".repeat(5000)))], 0, &Changes::default());
    assert_eq!(message.call.method, "sendDocument");
    assert!(fits(text(&message), CAPTION), "its title is the whole text: {}", text(&message));
    assert_eq!(message.call.file.unwrap().bytes.iter().filter(|byte| **byte == b'w').count(), 5000);
}

#[test]
fn broken_markup_of_one_spoils_no_other() {
    let run = [waiting(1, record("<b>open")), waiting(2, record("<i>fine</i>"))];
    assert_eq!(text(&make(&run, 0, &Changes::default())), "open\n──────────\n<i>fine</i>");
}

#[test]
fn a_title_cannot_make_the_caption_too_long() {
    let run: Vec<Waiting> = (0..50)
        .map(|n| {
            let mut alert = alert(n, &"<&>".repeat(400), "firing");
            alert.record.about = None;
            alert.record.count_by.insert("alertname".into(), format!("{n}{}", "<&>".repeat(400)));
            alert.record.text = "y".repeat(1000);
            alert
        })
        .collect();
    let message = make(&run, 600_000, &Changes::default());
    assert!(fits(text(&message), CAPTION), "{}", text(&message));
}

#[test]
fn the_summary_counts_the_worst_first() {
    let run: Vec<Waiting> = [("Info", "info", 30), ("Disk", "warning", 20), ("Odd", "", 5), ("Down", "critical", 2)]
        .into_iter()
        .flat_map(|(name, severity, n)| std::iter::repeat_n((name, severity), n))
        .enumerate()
        .map(|(n, (name, severity))| {
            let mut alert = alert(n as i64, name, if n == 0 { "resolved" } else { "firing" });
            alert.record.about = None;
            alert.record.text = "z".repeat(400);
            alert.record.title.push_str(&format!(" {n}"));
            alert.record.count_by.insert("severity".into(), severity.into());
            alert
        })
        .collect();
    let message = make(&run, 0, &Changes::default());
    let kinds = "🔴 <b>2×</b> Down · critical\n🔥 <b>5×</b> Odd\n🟠 <b>20×</b> Disk · warning\n\
        🔵 <b>29×</b> Info · info\n✅ <b>1×</b> Info · info\n";
    assert!(text(&message).contains(kinds), "{}", text(&message));
    // So are the samples, and those that are as bad are in order.
    let samples = "\n\nDown firing 55\nDown firing 56\nOdd firing 50\nOdd firing 51\nOdd firing 52\n… and 52 more\n";
    assert!(text(&message).contains(samples), "{}", text(&message));
}
