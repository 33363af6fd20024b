//! What the sandbox asks of other servers on this machine: `--upstream`, where faults stand in front of a server that
//! somebody else wrote, and files that a message names by URL.

use std::time::Duration;

use super::api::media;
use super::params::{Params, Upload};
use crate::http::{Request, Response};

/// Headers that belong to one connection only.
const HOP: [&str; 7] = ["connection", "host", "content-length", "transfer-encoding", "keep-alive", "expect", "te"];

fn agent(timeout: u64) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(timeout)))
        .max_redirects(0)
        .proxy(None)
        .build()
        .into()
}

/// A photo or a document by URL becomes an upload, as the real server downloads it; from loopback only.
pub fn fetch_file(params: &mut Params, method: &str) {
    let described = || params.json("media")?.get("media")?.as_str().map(str::to_owned);
    let (field, url) = match method {
        "sendphoto" => ("photo", params.get("photo").to_owned()),
        "senddocument" => ("document", params.get("document").to_owned()),
        "editmessagemedia" => (media::FETCHED, described().unwrap_or_default()),
        _ => return,
    };
    let is_local = ["http://127.0.0.1:", "http://localhost:"].iter().any(|start| url.starts_with(start));
    if !is_local {
        return;
    }
    let Ok(mut answer) = agent(20).get(&url).call() else { return };
    let Ok(bytes) = answer.body_mut().read_to_vec() else { return };
    if answer.status() == 200 {
        let filename =
            url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        let mime = answer.body().mime_type().unwrap_or_default().to_owned();
        params.files.push(Upload { name: field.to_owned(), filename, mime, bytes });
    }
}

/// Sends the request on as it is and takes the answer as it is.
pub fn forward(root: &str, request: &Request) -> Result<Response, String> {
    let url = format!("{}{}", root.trim_end_matches('/'), request.head.target);
    let mut forwarded = ureq::http::Request::builder().method(request.head.method.as_str()).uri(url);
    for (name, value) in &request.head.headers {
        if !HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
            forwarded = forwarded.header(name, value);
        }
    }
    // The URL holds the token: errors are told without it.
    let forwarded =
        forwarded.body(request.body.as_slice()).map_err(|_| "the request cannot be forwarded".to_owned())?;
    let mut answer = agent(90).run(forwarded).map_err(|_| "the upstream does not answer".to_owned())?;
    let body = answer.body_mut().read_to_vec().map_err(|_| "the upstream broke off".to_owned())?;
    let mut response = Response { status: answer.status().as_u16(), headers: Vec::new(), body };
    for (name, value) in answer.headers() {
        if !HOP.contains(&name.as_str()) {
            response = response.header(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
    }
    Ok(response)
}
