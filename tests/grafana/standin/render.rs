//! `/render` of the stand-in: the table of facts 1.5, row by row.

use serde_json::json;

use super::drawing::{by_browser, chart, picture};
use super::{Fault, Generation, Reply, Seen, World, api};

/// Facts 1.5: V8's error-template.html, shortened.
fn html(status: u16, words: &str) -> Reply {
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>Grafana - Error</title></head><body><div class=\"alert-title\">{words}</div>\
         <a href=\"/\">Click here to go home</a></body></html>"
    );
    Reply::new(status, "text/html; charset=UTF-8", page)
}

pub const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Grafana</title></head><body class=\"app-grafana\">\
    <form><input name=\"user\"><input name=\"password\" type=\"password\"><button>Log in</button></form></body></html>";

/// What `[rendering]` of 8 to 13 does; `server.fault` says what goes wrong.
pub fn answer(world: &World, seen: &Seen) -> Reply {
    let generation = world.setup.generation;
    // 8 refuses a bad token by 401 on every path, later versions send to the login; without a login all do (facts 1.4).
    if !api::is_logged_in(world, seen) {
        let has_header = seen.header("Authorization").is_some();
        return match generation {
            Generation::V8 if has_header => Reply::json(401, json!({"message": "invalid API key"})),
            _ => login_redirect(world),
        };
    }
    if let Some(refused) = bad_parameters(generation, seen) {
        return refused;
    }
    match world.next_fault() {
        Some(fault) => faulty(world, seen, fault),
        None => drawn(world, seen, Size::asked(seen)),
    }
}

fn login_redirect(world: &World) -> Reply {
    let words = "<a href=\"/login\">Found</a>.";
    Reply::new(302, "text/html; charset=utf-8", words)
        .with("Location", format!("{}/login", world.setup.sub_path))
        .with("Set-Cookie", "redirect_to=%2F; Path=/; HttpOnly")
}

fn bad_parameters(generation: Generation, seen: &Seen) -> Option<Reply> {
    let whole = |name: &str| seen.value(name).is_none_or(|text| text.parse::<i64>().is_ok());
    if !whole("timeout") || (generation == Generation::V8 && !(whole("width") && whole("height"))) {
        return Some(html(400, "Render parameters error"));
    }
    let theme = seen.value("theme").unwrap_or("dark".to_owned());
    let knows_themes = generation >= Generation::V12;
    (knows_themes && !["light", "dark"].contains(&theme.as_str())).then(|| html(400, "theme can only be light or dark"))
}

struct Size {
    width: u32,
    height: u32,
    scale: f64,
}

impl Size {
    fn asked(seen: &Seen) -> Size {
        let number = |name: &str| seen.value(name).and_then(|text| text.parse().ok());
        Size {
            width: number("width").unwrap_or(1000),
            height: number("height").unwrap_or(500),
            scale: seen.value("scale").and_then(|text| text.parse().ok()).unwrap_or(1.0),
        }
    }
}

fn png(body: Vec<u8>, generation: Generation) -> Reply {
    let reply = Reply::new(200, "image/png", body).with("Last-Modified", "Sun, 22 Nov 2026 07:00:00 GMT");
    // Facts 1.5, row "ok".
    if generation >= Generation::V13 { reply.with("Cache-Control", "private") } else { reply }
}

fn drawn(world: &World, seen: &Seen, size: Size) -> Reply {
    let generation = world.setup.generation;
    if let Some(raw) = &world.setup.raw {
        return png(raw.clone(), generation);
    }
    let body = match &world.setup.browser {
        Some(browser) => {
            // The path after /render goes to the page as it is, plus render=1 (facts 1.5).
            let page = seen.url.strip_prefix("/render").unwrap_or_default();
            let url = format!("{}{page}&render=1", world.root);
            let scale = size.scale.to_string();
            by_browser(browser, &url, (size.width, size.height), &scale, seen.value("tz").as_deref())
        }
        None => {
            let pixels = |side: u32| (f64::from(side) * size.scale).round() as u32;
            let id = panel_id(seen).unwrap_or(0);
            // "Panel not found" is a picture as well (facts 0.3): here it is red.
            let colour = if exists(world, seen) { [(id % 251) as u8, (id / 251) as u8, 200] } else { [255, 0, 0] };
            chart(pixels(size.width), pixels(size.height), colour, &seen.url)
        }
    };
    png(body, generation)
}

/// Before 11.2 `panel-3` is no number for the page (facts 0.7).
fn panel_id(seen: &Seen) -> Option<u64> {
    seen.value("panelId")?.parse().ok()
}

/// Whether the page would find the panel; the server itself never looks.
fn exists(world: &World, seen: &Seen) -> bool {
    let uid = seen.path().split('/').nth(3).unwrap_or_default();
    let Some(stored) = world.dashboard(uid) else { return false };
    let Some(id) = panel_id(seen) else { return false };
    has_panel(&stored.content, id)
}

fn has_panel(part: &serde_json::Value, id: u64) -> bool {
    match part {
        serde_json::Value::Array(list) => list.iter().any(|one| has_panel(one, id)),
        serde_json::Value::Object(map) => {
            map.get("id") == Some(&json!(id)) || map.values().any(|one| has_panel(one, id))
        }
        _ => false,
    }
}

fn faulty(world: &World, seen: &Seen, fault: Fault) -> Reply {
    let generation = world.setup.generation;
    let asked = || drawn(world, seen, Size::asked(seen));
    match fault {
        // Our own pictures of the placeholders' sizes: the tests of the shared fixtures have the real bytes.
        Fault::NoRenderer | Fault::SilentlyNoRenderer => png(picture(478, 208, [9, 9, 9], "not installed"), generation),
        Fault::Limit => png(picture(526, 202, [9, 9, 9], "limit"), generation),
        Fault::LimitLight => png(picture(1004, 404, [250, 250, 250], "limit"), generation),
        Fault::RendererBusy if generation >= Generation::V13 => {
            Reply::json(429, json!({"message": "Too many rendering requests", "traceID": "0"}))
        }
        Fault::RendererBusy | Fault::RendererFailed => html(500, "Rendering failed."),
        Fault::Timeout => html(500, "timeout error - you can set timeout in seconds with &amp;timeout url parameter"),
        Fault::RendererFrontPage => Reply::new(200, "image/png", "Grafana Image Renderer"),
        Fault::LoginRedirect => login_redirect(world),
        Fault::ForeignRedirect => {
            Reply::new(302, "text/html", "").with("Location", "https://sso.example.org/auth?next=secret")
        }
        Fault::LoginPage => Reply::new(200, "text/html", LOGIN_PAGE),
        Fault::BadGateway => Reply::new(502, "text/html", "<html><h1>502 Bad Gateway</h1><hr>nginx</html>"),
        Fault::GatewayTimeout => Reply::new(504, "text/html", "<html><h1>504 Gateway Time-out</h1><hr>nginx</html>"),
        Fault::CutPicture => {
            let mut reply = asked();
            reply.body.truncate(reply.body.len() - 20);
            reply
        }
        Fault::Empty => Reply::new(200, "image/png", ""),
        Fault::WrongType => {
            let mut reply = asked();
            reply.headers[0].1 = "application/octet-stream".to_owned();
            reply
        }
        Fault::Clamped => {
            let size = Size::asked(seen);
            let scale = size.scale;
            drawn(
                world,
                seen,
                Size { width: size.width.clamp(1000, 3000), height: size.height.clamp(500, 3000), scale },
            )
        }
        Fault::BadParameters => html(400, "Render parameters error"),
        Fault::Hang => {
            // Longer than the client waits in the test that uses it (1 s x 2 + 5 s).
            std::thread::sleep(std::time::Duration::from_secs(9));
            html(500, "Rendering failed.")
        }
        Fault::ApiBroken | Fault::NotGrafana | Fault::Forbidden => asked(),
    }
}

/// The page that the browser draws: a chart of the panel, and squares for the tests, whose colours come from the theme,
/// the panel, a variable and the time zone.
pub fn page(world: &World, seen: &Seen) -> Reply {
    let uid = seen.path().split('/').nth(2).unwrap_or_default();
    let panel = panel_id(seen).unwrap_or(0);
    let title = world.dashboard(uid).and_then(|stored| title_of(&stored.content, panel)).unwrap_or("Panel not found");
    let page = include_str!("panel.html").replace("\"panel\"", &json!(title).to_string().replace('<', "\\u003c"));
    Reply::new(200, "text/html; charset=UTF-8", page)
}

/// The title next to this id.
fn title_of(part: &serde_json::Value, id: u64) -> Option<&str> {
    match part {
        serde_json::Value::Array(list) => list.iter().find_map(|one| title_of(one, id)),
        serde_json::Value::Object(map) => match map.get("title") {
            Some(serde_json::Value::String(title)) if map.get("id") == Some(&json!(id)) => Some(title),
            _ => map.values().find_map(|one| title_of(one, id)),
        },
        _ => None,
    }
}
