//! Every level of the keyboard: folders, dashboards, rows and tabs, panels, pages of each, and the way back from each one;
//! tapped, and the same typed.

use serde_json::{Value, json};

use crate::keyboards::{again, asked_for, buttons, flat, stored};
use crate::standin::{Generation, Setup, Standin, Stored};
use crate::world::{ADMIN, World, has, text_of};

const USERS: &str = r#"{"1": {"role": "admin"}, "2": {}}"#;

fn panel(id: u64, title: &str) -> Value {
    json!({"id": id, "type": "timeseries", "title": title, "gridPos": {"x": 0, "y": id, "w": 24, "h": 1}})
}

fn row(id: u64, title: &str, closed: Option<Vec<Value>>) -> Value {
    json!({"id": id, "type": "row", "title": title, "collapsed": closed.is_some(),
        "panels": closed.unwrap_or_default(), "gridPos": {"x": 0, "y": id, "w": 24, "h": 1}})
}

/// Seven panels without a row, an open row of two, a closed row of ten: with the rows' keys more than a page, and more than a
/// page in the closed row.
fn shop() -> Stored {
    let mut panels: Vec<Value> = (1..=7).map(|n| panel(n, &format!("Sales {n}"))).collect();
    panels.extend([row(20, "Traffic", None), panel(21, "Requests"), panel(22, "Errors")]);
    panels.push(row(30, "Latency", Some((1..=10).map(|n| panel(30 + n, &format!("Zone {n}"))).collect())));
    let options: Vec<Value> = (1..=6).map(|n| json!({"text": format!("web{n}"), "value": format!("web{n}")})).collect();
    let variable = |name: &str| {
        json!({"name": name, "label": name, "type": "custom", "query": "web1,web2,web3,web4,web5,web6",
            "options": options, "current": {"text": "web1", "value": "web1"}})
    };
    let json = json!({"uid": "shop", "title": "Shop", "panels": panels, "schemaVersion": 39,
        "templating": {"list": [variable("host"), variable("peer")]}});
    Stored::from_json(&json, "", Some("Web"))
}

fn small(title: &str, folder: Option<&str>) -> Stored {
    let uid = title.to_lowercase().replace(' ', "-");
    Stored::from_json(
        &json!({"uid": uid, "title": title, "panels": [panel(1, "Load")], "schemaVersion": 39}),
        &uid,
        folder,
    )
}

/// A folder of ten, a folder of two, and seven in none: with the folders' keys more than a page.
pub fn dashboards() -> Setup {
    let mut all: Vec<Stored> = (1..=10).map(|n| small(&format!("Database {n}"), Some("Databases"))).collect();
    all.extend([stored("tabs"), shop()].map(|stored| Stored { folder: Some("Web".to_owned()), ..stored }));
    all.extend((1..=7).map(|n| small(&format!("Office {n}"), None)));
    Setup::new(Generation::V12, all)
}

fn numbered(name: &str, numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|n| format!("{name} {n}")).collect()
}

/// The keys of a page: those before, some with numbers, those after.
fn page(before: &[&str], numbered: Vec<String>, after: &[&str]) -> Vec<String> {
    let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    [own(before), numbered, own(after)].concat()
}

/// Somebody who taps what is on the screen, or types.
struct Walker<'a> {
    world: &'a World,
    chat: i64,
}

impl Walker<'_> {
    fn sees(&self, answer: &Value, said: &str, keys: &[String]) {
        assert_eq!((text_of(answer).as_str(), flat(self.world.keys(self.chat))), (said, keys.to_vec()));
    }

    fn taps(&self, key: &str, said: &str, keys: &[String]) {
        self.sees(&self.world.tap(self.chat, key), said, keys);
    }

    fn types(&self, text: &str, said: &str, keys: &[String]) {
        self.sees(&self.world.ask(self.chat, text), said, keys);
    }

    /// The panel that the picture shows.
    fn pictured(&self, picture: &Value, dashboard: &str, panel: u64) {
        has(&asked_for(self.world, picture), &[&format!("/d-solo/{dashboard}/"), &format!("panelId={panel}&")]);
    }
}

#[test]
fn folders_rows_and_pages_are_tapped() {
    let standin = Standin::start(dashboards());
    let mut world = World::new("levels-tapped", USERS).grafana(&standin);
    world.start();
    let ada = Walker { world: &world, chat: ADMIN };
    let list = page(&["▸ Databases", "▸ Web"], numbered("Office", 1..=6), &["2/2 ▸"]);
    let rest = page(&["Office 7"], vec![], &["◂ 1/2"]);
    ada.types("/dashboards", "📊 19 dashboards · page 1 of 2", &list);
    ada.taps("2/2 ▸", "📊 19 dashboards · page 2 of 2", &rest);
    ada.taps("◂ 1/2", "📊 19 dashboards · page 1 of 2", &list);

    // A folder with two pages.
    let folder = page(&[], numbered("Database", 1..=8), &["2/2 ▸", "go back"]);
    ada.taps("▸ Databases", "📁 Databases · page 1 of 2", &folder);
    let second = page(&[], numbered("Database", 9..=10), &["◂ 1/2", "go back"]);
    ada.taps("2/2 ▸", "📁 Databases · page 2 of 2", &second);
    ada.taps("Database 10", "📊 Database 10: 1 panel", &page(&["Load", "go back"], vec![], &[]));
    ada.taps("go back", "📁 Databases · page 2 of 2", &second);
    ada.taps("◂ 1/2", "📁 Databases · page 1 of 2", &folder);
    ada.taps("go back", "📊 19 dashboards · page 1 of 2", &list);

    // Panels, rows, and the pages of both.
    let web = page(&["City network", "Shop", "go back"], vec![], &[]);
    ada.taps("▸ Web", "📁 Web", &web);
    let panels = page(&[], numbered("Sales", 1..=7), &["▸ Traffic", "2/2 ▸", "go back"]);
    ada.taps("Shop", "📊 Shop: 19 panels · page 1 of 2", &panels);
    let rows = page(&["▸ Latency", "◂ 1/2", "go back"], vec![], &[]);
    ada.taps("2/2 ▸", "📊 Shop: 19 panels · page 2 of 2", &rows);
    let row = page(&[], numbered("Zone", 1..=8), &["2/2 ▸", "go back"]);
    ada.taps("▸ Latency", "📊 Shop\n▤ Latency · page 1 of 2", &row);
    let more = page(&[], numbered("Zone", 9..=10), &["◂ 1/2", "go back"]);
    ada.taps("2/2 ▸", "📊 Shop\n▤ Latency · page 2 of 2", &more);
    ada.pictured(&world.tap(ADMIN, "Zone 10"), "shop", 40);
    assert_eq!(flat(world.keys(ADMIN)), more, "a picture leaves the keys as they are");
    ada.taps("◂ 1/2", "📊 Shop\n▤ Latency · page 1 of 2", &row);
    ada.taps("go back", "📊 Shop: 19 panels · page 2 of 2", &rows);
    ada.taps("◂ 1/2", "📊 Shop: 19 panels · page 1 of 2", &panels);
    ada.taps("▸ Traffic", "📊 Shop\n▤ Traffic", &page(&["Requests", "Errors", "go back"], vec![], &[]));
    ada.pictured(&world.tap(ADMIN, "Errors"), "shop", 22);
    ada.taps("go back", "📊 Shop: 19 panels · page 1 of 2", &panels);
    ada.pictured(&world.tap(ADMIN, "Sales 7"), "shop", 7);
    ada.taps("go back", "📁 Web", &web);
    ada.taps("go back", "📊 19 dashboards · page 1 of 2", &list);
    assert_eq!(world.violations(), []);
}

#[test]
fn tabs_are_tapped_and_open_rows_where_all_keys_fit() {
    let standin = Standin::start(dashboards());
    let mut world = World::new("levels-tabs", USERS).grafana(&standin);
    world.start();
    let ada = Walker { world: &world, chat: ADMIN };
    let tabs: Vec<String> = [
        "Not placed",
        "▸ Core / Links",
        "Traffic",
        "Core / Links / Loss",
        "▸ Core / Rings",
        "Load of ring $ring",
        "Notes",
        "▸ Sites",
        "Power",
        "Sites / Loss",
        "go back",
    ]
    .map(str::to_owned)
    .into();
    ada.types("City network", "📊 City network: 7 panels", &tabs);
    let open = page(&["Traffic", "Core / Links / Loss", "go back"], vec![], &[]);
    ada.taps("▸ Core / Links", "📊 City network\n▤ Core / Links", &open);
    ada.pictured(&world.tap(ADMIN, "Core / Links / Loss"), "city-net", 22);
    ada.taps("go back", "📊 City network: 7 panels", &tabs);
    let sites = page(&["Power", "Sites / Loss", "go back"], vec![], &[]);
    ada.taps("▸ Sites", "📊 City network\n▤ Sites", &sites);
    ada.types(
        "core / rings",
        "📊 City network\n▤ Core / Rings",
        &page(&["Load of ring $ring", "Notes", "go back"], vec![], &[]),
    );
    ada.taps("go back", "📊 City network: 7 panels", &tabs);
    let list = page(&["▸ Databases", "▸ Web"], numbered("Office", 1..=6), &["2/2 ▸"]);
    ada.taps("go back", "📊 19 dashboards · page 1 of 2", &list);
}

#[test]
fn folders_rows_and_pages_are_typed() {
    let standin = Standin::start(dashboards());
    let mut world = World::new("levels-typed", USERS).grafana(&standin);
    world.person(2, "Боря", "ru");
    world.start();
    let boris = Walker { world: &world, chat: 2 };
    let list = page(&["▸ Databases", "▸ Web"], numbered("Office", 1..=6), &["2/2 ▸"]);
    let rest = page(&["Office 7"], vec![], &["◂ 1/2"]);
    boris.types("/dashboards", "📊 19 дашбордов · страница 1 из 2", &list);
    boris.types("ещё", "📊 19 дашбордов · страница 2 из 2", &rest);
    boris.types("раньше", "📊 19 дашбордов · страница 1 из 2", &list);
    boris.types("more", "📊 19 дашбордов · страница 2 из 2", &rest);
    boris.types("назад", "📊 19 дашбордов · страница 1 из 2", &list);

    let folder = page(&[], numbered("Database", 1..=8), &["2/2 ▸", "назад"]);
    boris.types("databases", "📁 Databases · страница 1 из 2", &folder);
    let second = page(&[], numbered("Database", 9..=10), &["◂ 1/2", "назад"]);
    boris.types("2/2 ▸", "📁 Databases · страница 2 из 2", &second);
    boris.types("previous", "📁 Databases · страница 1 из 2", &folder);
    boris.types("назад", "📊 19 дашбордов · страница 1 из 2", &list);
    // Names of what is on no page that is shown.
    boris.types("office 7", "📊 Office 7: 1 панель", &page(&["Load", "назад"], vec![], &[]));
    boris.types("back", "📊 19 дашбордов · страница 1 из 2", &list);
    // A wrong name at each level, and its nearest.
    let near = page(&[], numbered("Office", 1..=3), &["назад"]);
    boris.types("Ofice", "Ни дашборда, ни панели «Ofice» нет. Может быть, что-то из этого?", &near);
    boris.types("назад", "📊 19 дашбордов · страница 1 из 2", &list);

    let panels = page(&[], numbered("Sales", 1..=7), &["▸ Traffic", "2/2 ▸", "назад"]);
    boris.types("/shop", "📊 Shop: 19 панелей · страница 1 из 2", &panels);
    let row = page(&[], numbered("Zone", 1..=8), &["2/2 ▸", "назад"]);
    boris.types("latency", "📊 Shop\n▤ Latency · страница 1 из 2", &row);
    let more = page(&[], numbered("Zone", 9..=10), &["◂ 1/2", "назад"]);
    boris.types("далее", "📊 Shop\n▤ Latency · страница 2 из 2", &more);
    let wrong = |text: &str| format!("В Shop нет панели «{text}», и дашборда с таким названием тоже нет.");
    let meant = format!("{} Может быть, что-то из этого?", wrong("Requsts"));
    boris.types("Requsts", &meant, &page(&["Requests", "назад"], vec![], &[]));
    boris.pictured(&world.tap(2, "Requests"), "shop", 21);
    boris.pictured(&world.ask(2, "zone 3"), "shop", 33);
    boris.types("назад", "📊 Shop: 19 панелей · страница 1 из 2", &panels);
    boris.pictured(&world.ask(2, "Errors"), "shop", 22);
    boris.types("зоны", &format!("{} Все дашборды: /dashboards, команды: /help", wrong("зоны")), &panels);
    boris.types("назад", "📊 19 дашбордов · страница 1 из 2", &list);
    assert_eq!(world.violations(), []);
}

#[test]
fn the_keys_under_a_picture() {
    let standin = Standin::start(dashboards());
    let mut world = World::new("levels-picture", USERS).grafana(&standin);
    world.start();
    world.ask(ADMIN, "Shop");
    world.tap(ADMIN, "▸ Traffic");
    let picture = world.tap(ADMIN, "Requests");
    let pressed = |key: &str| {
        let drawn = standin.pictures().len();
        let shown = again(&world, ADMIN, &picture);
        let update = world.press(ADMIN, &shown, key, ADMIN);
        world.settled(update);
        let now = again(&world, ADMIN, &picture);
        assert!(now["message_id"] == picture["message_id"] && asked_for(&world, &now).contains("panelId=21&"), "{now}");
        (asked_for(&world, &now), buttons(&now), standin.pictures().len() - drawn)
    };
    let ranges = ["1h", "6h", "24h", "7d"];
    for range in ranges {
        let (url, under, drawn) = pressed(range);
        has(&url, &[&format!("from=now-{range}&"), "to=now&"]);
        let mut row = ranges.map(|other| if other == range { format!("• {other}") } else { other.to_owned() }).to_vec();
        row.extend(["default", "↻", "host: web1 ▾", "peer: web1 ▾"].map(str::to_owned));
        assert_eq!((under, drawn), (row, 1));
    }
    let (url, _, drawn) = pressed("↻");
    has(&url, &["from=now-7d&"]);
    assert_eq!(drawn, 1, "drawn again");
    let (_, values, drawn) = pressed("peer: web1 ▾");
    assert_eq!(values, ["• web1", "web2", "web3", "web4", "web5", "web6", "◂ back"]);
    assert_eq!(drawn, 0, "keys alone are no picture");
    let (_, under, _) = pressed("◂ back");
    assert!(under.contains(&"host: web1 ▾".to_owned()), "{under:?}");
    pressed("host: web1 ▾");
    let (url, under, drawn) = pressed("web4");
    has(&url, &["from=now-7d&", "var-host=web4"]);
    assert!(!url.contains("var-peer") && under.contains(&"host: web4 ▾".to_owned()) && drawn == 1, "{url} {under:?}");
    let (url, ..) = pressed("default");
    has(&url, &["var-host=web4"]);
    assert!(!url.contains("from="), "{url}");
    assert_eq!(world.violations(), []);
}
