//! A Grafana on loopback, as far as this project talks to it, in four generations and with its failures.
//!
//! It copies the real thing and not our wishes: each behaviour names the section of `facts/grafana.md` (which names
//! Grafana's source) that it copies.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

mod api;
mod convert;
pub mod drawing;
mod render;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

/// Grafana of a time; what differs between them is in facts 1.1 to 1.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    V8,
    V10,
    /// 12.0 to 12.3.
    V12,
    V13,
}

impl Generation {
    pub const ALL: [Generation; 4] = [Generation::V8, Generation::V10, Generation::V12, Generation::V13];

    pub fn parse(text: &str) -> Option<Generation> {
        Generation::ALL.into_iter().find(|generation| generation.version().starts_with(text))
    }

    pub fn version(self) -> &'static str {
        match self {
            Generation::V8 => "8.5.13",
            Generation::V10 => "10.4.19",
            Generation::V12 => "12.0.2",
            Generation::V13 => "13.0.0",
        }
    }
}

/// What goes wrong when a picture is asked for (rows of the table in facts 1.5), or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The settings say that there is no renderer, and so does the placeholder.
    NoRenderer,
    /// The same, but the settings do not tell (facts 0.1).
    SilentlyNoRenderer,
    /// concurrent_render_request_limit, the dark picture.
    Limit,
    /// The same in light: 1004x404.
    LimitLight,
    /// The renderer says 429 (its memory-based limiter).
    RendererBusy,
    /// Grafana's own wait ran out.
    Timeout,
    /// The renderer is down, refuses, or took too long: all look the same.
    RendererFailed,
    /// server_url without /render (facts 0.2).
    RendererFrontPage,
    /// A redirect to the login although the API takes the token (facts 0.4).
    LoginRedirect,
    /// A proxy in front sends to its own login on another host.
    ForeignRedirect,
    /// A proxy in front answers with a page of its own and 200.
    LoginPage,
    /// 502 and 504 of a proxy in front.
    BadGateway,
    GatewayTimeout,
    /// The picture ends early, though the length is right.
    CutPicture,
    /// 200 and nothing.
    Empty,
    /// A PNG by another name.
    WrongType,
    /// The renderer makes it at least 1000x500 (facts 1.5, R5).
    Clamped,
    /// 400, as for numbers and themes that it does not take.
    BadParameters,
    /// The dashboard may not be seen; the picture would be of the error page (facts 0.3).
    Forbidden,
    /// No answer for as long as the client waits.
    Hang,
    /// An error in the API: 500.
    ApiBroken,
    /// Something that is no Grafana answers.
    NotGrafana,
}

impl Fault {
    pub const ALL: [(&str, Fault); 22] = [
        ("no-renderer", Fault::NoRenderer),
        ("silently-no-renderer", Fault::SilentlyNoRenderer),
        ("limit", Fault::Limit),
        ("limit-light", Fault::LimitLight),
        ("renderer-busy", Fault::RendererBusy),
        ("timeout", Fault::Timeout),
        ("renderer-failed", Fault::RendererFailed),
        ("renderer-front-page", Fault::RendererFrontPage),
        ("login-redirect", Fault::LoginRedirect),
        ("foreign-redirect", Fault::ForeignRedirect),
        ("login-page", Fault::LoginPage),
        ("bad-gateway", Fault::BadGateway),
        ("gateway-timeout", Fault::GatewayTimeout),
        ("cut-picture", Fault::CutPicture),
        ("empty", Fault::Empty),
        ("wrong-type", Fault::WrongType),
        ("clamped", Fault::Clamped),
        ("bad-parameters", Fault::BadParameters),
        ("forbidden", Fault::Forbidden),
        ("hang", Fault::Hang),
        ("api-broken", Fault::ApiBroken),
        ("not-grafana", Fault::NotGrafana),
    ];

    pub fn parse(text: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, fault)| fault)
    }
}

/// A dashboard as stored: the classic JSON, or an object of `/apis/dashboard.grafana.app` (schema v2).
#[derive(Clone, Debug)]
pub struct Stored {
    pub uid: String,
    /// The title of its folder; `None` is the root.
    pub folder: Option<String>,
    /// The whole object in schema v2, only the dashboard before.
    pub content: Value,
}

impl Stored {
    /// Any of the forms in which dashboards are passed around: the JSON itself, the API's answer with `dashboard`, an
    /// object of Kubernetes' kind, or that in gdg's `resource`.
    pub fn from_json(json: &Value, uid: &str, folder: Option<&str>) -> Stored {
        let content = ["resource", "dashboard"].iter().find_map(|key| json.get(key)).unwrap_or(json).clone();
        let own = content["metadata"]["name"].as_str().or(content["uid"].as_str());
        let folder = folder.map(str::to_owned);
        Stored { uid: own.unwrap_or(uid).to_owned(), folder, content }
    }

    pub fn is_schema2(&self) -> bool {
        self.content["spec"]["elements"].is_object()
    }

    pub fn title(&self) -> &str {
        let title = if self.is_schema2() { &self.content["spec"]["title"] } else { &self.content["title"] };
        title.as_str().unwrap_or_default()
    }

    /// Grafana's slug: lower case, everything but letters and digits as one dash.
    pub fn slug(&self) -> String {
        let lower = self.title().to_lowercase();
        let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    }
}

/// The world of one stand-in.
#[derive(Clone, Debug)]
pub struct Setup {
    pub generation: Generation,
    pub fault: Option<Fault>,
    /// How many requests for pictures meet the fault; all if `None`.
    pub fault_times: Option<usize>,
    /// The one good token; without it the server is open (anonymous access).
    pub token: Option<String>,
    /// The organisation of the token.
    pub org: u64,
    /// Like `/grafana`.
    pub sub_path: String,
    /// `root_url` of grafana.ini, where it is not the address of this server.
    pub root_url: Option<String>,
    pub dashboards: Vec<Stored>,
    /// Send these bytes as every picture.
    pub raw: Option<Vec<u8>>,
    /// Draw by this browser instead of by our own encoder.
    pub browser: Option<std::path::PathBuf>,
    /// Requests that wait.
    pub gate: Option<Gate>,
}

/// Requests whose path begins like this wait until the gate is opened.
#[derive(Clone, Debug)]
pub struct Gate {
    path: &'static str,
    state: Arc<(Mutex<Waiting>, Condvar)>,
}

#[derive(Debug, Default)]
struct Waiting {
    is_open: bool,
    urls: Vec<String>,
}

impl Gate {
    /// It is closed.
    pub fn new(path: &'static str) -> Gate {
        Gate { path, state: Arc::default() }
    }

    pub fn set_open(&self, open: bool) {
        self.state.0.lock().unwrap().is_open = open;
        self.state.1.notify_all();
    }

    /// The requests that wait now, each as often as it came; also those whose client has hung up.
    pub fn held(&self) -> Vec<String> {
        self.state.0.lock().unwrap().urls.clone()
    }

    fn wait(&self, url: &str) {
        let mut state = self.state.0.lock().unwrap();
        if state.is_open {
            return;
        }
        state.urls.push(url.to_owned());
        while !state.is_open {
            state = self.state.1.wait(state).unwrap();
        }
        let this = state.urls.iter().position(|other| other == url);
        this.map(|this| state.urls.swap_remove(this));
    }
}

impl Setup {
    pub fn new(generation: Generation, dashboards: Vec<Stored>) -> Setup {
        Setup {
            generation,
            fault: None,
            fault_times: None,
            token: Some("glsa_standin_token".to_owned()),
            org: 1,
            sub_path: String::new(),
            root_url: None,
            dashboards,
            raw: None,
            browser: None,
            gate: None,
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Path and query below the sub path.
    pub url: String,
    pub headers: Vec<(String, String)>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    /// All values of a parameter, decoded.
    pub fn values(&self, name: &str) -> Vec<String> {
        let query = self.url.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        pairs.filter(|(key, _)| decode(key) == name).map(|(_, value)| decode(&value.replace('+', " "))).collect()
    }

    pub fn value(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next()
    }
}

/// The answer to a request.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: vec![("Content-Type", content_type.to_owned())], body: body.into() }
    }

    pub fn json(status: u16, json: Value) -> Reply {
        Reply::new(status, "application/json; charset=UTF-8", json.to_string())
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}

/// What all threads of a server share.
struct World {
    setup: Setup,
    /// The root URL of this server.
    root: String,
    seen: Mutex<Vec<Seen>>,
    faults_left: AtomicUsize,
}

impl World {
    /// The fault that the next picture meets.
    fn next_fault(&self) -> Option<Fault> {
        let less = |left: usize| left.checked_sub(1);
        self.faults_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).ok()?;
        self.setup.fault
    }

    fn dashboard(&self, uid: &str) -> Option<&Stored> {
        self.setup.dashboards.iter().find(|stored| stored.uid == uid)
    }
}

/// A running server; it ends when this is dropped.
pub struct Standin {
    pub url: String,
    server: Arc<tiny_http::Server>,
    world: Arc<World>,
    threads: Vec<JoinHandle<()>>,
}

impl Standin {
    pub fn start(setup: Setup) -> Standin {
        Standin::start_at("127.0.0.1:0", setup)
    }

    pub fn start_at(address: &str, setup: Setup) -> Standin {
        let server = Arc::new(tiny_http::Server::http(address).expect("loopback"));
        let url = format!("http://{}{}", server.server_addr(), setup.sub_path);
        let faults_left = AtomicUsize::new(setup.fault_times.unwrap_or(usize::MAX));
        let world = Arc::new(World { setup, root: url.clone(), seen: Mutex::default(), faults_left });
        // A browser asks for a page while its picture is waited for, so one thread is not enough.
        let threads = (0..8).map(|_| {
            let (server, world) = (server.clone(), world.clone());
            std::thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    let gate = world.setup.gate.clone();
                    match gate.filter(|gate| {
                        request.url().strip_prefix(&world.setup.sub_path).unwrap_or_default().starts_with(gate.path)
                    }) {
                        // Those who wait must not keep a thread from the others.
                        Some(gate) => {
                            let world = world.clone();
                            std::thread::spawn(move || {
                                gate.wait(request.url());
                                serve(&world, request);
                            });
                        }
                        None => serve(&world, request),
                    }
                }
            })
        });
        let threads = threads.collect();
        Standin { url, server, world, threads }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.world.seen.lock().unwrap().clone()
    }

    /// The requests for pictures so far.
    pub fn pictures(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path().starts_with("/render/")).collect()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        for _ in &self.threads {
            self.server.unblock();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(world: &World, request: tiny_http::Request) {
    let headers = request.headers().iter().map(|h| (h.field.to_string(), h.value.to_string())).collect();
    let Some(url) = request.url().strip_prefix(&world.setup.sub_path).map(str::to_owned) else {
        let _ = request.respond(tiny_http::Response::from_string("404 page not found").with_status_code(404));
        return;
    };
    let seen = Seen { url, headers };
    world.seen.lock().unwrap().push(seen.clone());
    let reply = answer(world, &seen);
    let headers = reply.headers.iter().map(|(name, value)| {
        tiny_http::Header::from_bytes(name.as_bytes(), value.as_bytes()).expect("a header of ours")
    });
    let length = reply.body.len();
    let body = std::io::Cursor::new(reply.body);
    let response = tiny_http::Response::new(reply.status.into(), headers.collect(), body, Some(length), None);
    // A client that hung up is its own business.
    let _ = request.respond(response.with_chunked_threshold(usize::MAX));
}

fn answer(world: &World, seen: &Seen) -> Reply {
    if world.setup.fault == Some(Fault::NotGrafana) {
        return Reply::new(200, "text/html", "<html><body>It works!</body></html>");
    }
    match seen.path() {
        path if path.starts_with("/render/") => render::answer(world, seen),
        path if path.starts_with("/d-solo/") => render::page(world, seen),
        "/login" => Reply::new(200, "text/html; charset=UTF-8", render::LOGIN_PAGE),
        _ => api::answer(world, seen),
    }
}
