//! `--upstream`: faults in front of a server that somebody else wrote.

use std::time::Duration;

use super::http::{Request, Response};

/// Headers that belong to one connection only.
const HOP: [&str; 7] = ["connection", "host", "content-length", "transfer-encoding", "keep-alive", "expect", "te"];

/// Sends the request on as it is and takes the answer as it is.
pub fn forward(root: &str, request: &Request) -> Result<Response, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(90)))
        .max_redirects(0)
        .build()
        .into();
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
    let mut answer = agent.run(forwarded).map_err(|_| "the upstream does not answer".to_owned())?;
    let body = answer.body_mut().read_to_vec().map_err(|_| "the upstream broke off".to_owned())?;
    let mut response = Response { status: answer.status().as_u16(), headers: Vec::new(), body };
    for (name, value) in answer.headers() {
        if !HOP.contains(&name.as_str()) {
            response = response.header(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
    }
    Ok(response)
}
