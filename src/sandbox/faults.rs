//! What the rules do to a request: before it is looked at, and to its answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Call, Refusal};
use super::exchange::{Answer, Origin, Wire, error};
use super::params::Params;
use super::requests::Outcome;
use super::rules::{Action, Flood, Lost, Malformed, Scope, Then, UpdateFault};
use super::{Sandbox, poll};
use crate::http::Response;

/// Faults that come before the request is looked at. True: there is nothing more to do.
pub fn before(sandbox: &Sandbox, params: &Params, action: Option<&Action>, answer: &mut Answer) -> bool {
    match action {
        Some(Action::Error(spec)) => answer.reject(error(&Refusal {
            parameters: spec.parameters.clone(),
            ..Refusal::new(spec.code, spec.description.clone())
        })),
        Some(Action::Preset(preset)) => {
            let (code, description) = preset.error();
            answer.reject(error(&Refusal::new(code, description)))
        }
        Some(Action::Flood(flood)) => answer.reject(error(&freeze(sandbox, params, flood))),
        Some(Action::Migrate(migrate)) => {
            sandbox.state().migrate(params.get("chat_id"), migrate.to, sandbox.clock.wall_ms());
            false
        }
        Some(Action::Http(http)) => {
            let mut response = Response { status: http.status, headers: Vec::new(), body: http.body.clone().into() };
            for (name, value) in &http.headers {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                response = response.header(name, value);
            }
            answer.reject(response)
        }
        Some(Action::Html(status)) => answer.reject(nginx(*status)),
        Some(Action::Redirect(url)) => {
            answer.reject(Response::new(302, "text/html", "").header("Location", url.as_str()))
        }
        Some(Action::RefuseMs(ms)) => {
            sandbox.refuse(Duration::from_millis(*ms));
            answer.wire = Wire::Reset;
            true
        }
        Some(Action::Rst(_)) => {
            answer.wire = Wire::Reset;
            true
        }
        Some(Action::Hang(ms, then)) => {
            sandbox.sleep(Duration::from_millis(*ms));
            answer.wire = if *then == Then::Close { Wire::Close } else { Wire::Whole };
            *then == Then::Close
        }
        Some(Action::Malformed(Malformed::Http200OkFalse)) => {
            let refusal = Refusal::too_many(1);
            answer.reject(Response { status: 200, ..error(&refusal) })
        }
        _ => false,
    }
}

fn freeze(sandbox: &Sandbox, params: &Params, flood: &Flood) -> Refusal {
    let mut state = sandbox.state();
    let chat = match flood.scope {
        Scope::Chat => state.world.find(params.get("chat_id")),
        Scope::All => None,
    };
    let now = sandbox.clock.steady_ms();
    Refusal::too_many(state.limits.freeze(chat, flood.retry_after, now))
}

/// The page that production's front server answers.
fn nginx(status: u16) -> Response {
    let reason = match status {
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        504 => "Gateway Time-out",
        _ => "Error",
    };
    let title = format!("{status} {reason}");
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
    );
    Response::new(status, "text/html", body)
}

/// getUpdates, and what may be wrong with its updates.
pub fn updates(
    sandbox: &Sandbox,
    call: &Call,
    action: Option<&Action>,
    origin: Origin,
) -> Option<Result<Value, Refusal>> {
    let fault = match action {
        Some(Action::Update(fault)) => Some(*fault),
        _ => None,
    };
    match fault {
        Some(UpdateFault::IdJump) => sandbox.state().bots.get(call.token).jump(),
        Some(UpdateFault::UnknownType) => {
            let update = json!({"something_new": {"id": 1, "nested": {"list": [1, 2, 3]}}});
            sandbox.state().bots.get(call.token).push_raw(update, call.wall_ms);
        }
        _ => {}
    }
    let result = poll::get_updates(sandbox, call.token, call.params, origin.stream)?;
    Some(result.map(|mut updates| {
        spoil(&mut updates, fault);
        updates
    }))
}

fn spoil(updates: &mut Value, fault: Option<UpdateFault>) {
    let Value::Array(list) = updates else { return };
    match fault {
        Some(UpdateFault::Dup) => {
            *list = list.iter().flat_map(|update| [update.clone(), update.clone()]).collect();
        }
        Some(UpdateFault::Reorder) => list.reverse(),
        Some(UpdateFault::StaleDate) => {
            for update in list.iter_mut() {
                for body in update.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
                    if let Some(date) = body.get("date").and_then(Value::as_i64) {
                        body["date"] = (date - 2 * 86_400).into();
                    }
                }
            }
        }
        _ => {}
    }
}

/// Faults that come when the request was done.
pub fn after(action: Option<&Action>, answer: &mut Answer) {
    match action {
        Some(Action::DeliverThen(lost)) => {
            if answer.outcome == Outcome::Delivered {
                answer.outcome = Outcome::LostAnswer;
            }
            match lost {
                Lost::Rst => answer.wire = Wire::Reset,
                Lost::Fin => answer.wire = Wire::Close,
                Lost::Hang => answer.wire = Wire::Hang,
                Lost::Truncate => answer.wire = Wire::Truncate,
                Lost::Http502 => answer.response = nginx(502),
                Lost::Garbage => answer.response.body = b"\x00\x01garbage{{{".to_vec(),
            }
        }
        Some(Action::Slow(slow)) => answer.wire = Wire::Slow(*slow),
        Some(Action::IdleCloseMs(ms)) => answer.idle = Some(Duration::from_millis(*ms)),
        Some(Action::Malformed(shape)) => malform(*shape, answer),
        Some(Action::Update(UpdateFault::BadJson)) => {
            answer.response.body = b"{\"ok\":true,\"result\":[{\"update_id\":12,\"message\":{".to_vec();
        }
        _ => {}
    }
}

fn malform(shape: Malformed, answer: &mut Answer) {
    let body = &mut answer.response.body;
    let unreadable = match shape {
        Malformed::Json => {
            body.truncate(body.len() / 2);
            true
        }
        Malformed::Empty => {
            body.clear();
            true
        }
        Malformed::Utf8 => {
            body.extend_from_slice(b"\xff\xfe");
            body.insert(1, 0xff);
            true
        }
        Malformed::NullResult => {
            *body = b"{\"ok\":true,\"result\":null}".to_vec();
            false
        }
        Malformed::MissingOk => {
            *body = b"{\"result\":{}}".to_vec();
            true
        }
        Malformed::Huge => {
            let padding = format!("{{\"padding\":\"{}\",", "x".repeat(8 << 20));
            body.splice(..1, padding.into_bytes());
            false
        }
        Malformed::ExtraFields => {
            if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
                add_fields(&mut value);
                *body = value.to_string().into_bytes();
            }
            false
        }
        Malformed::BadContentLength => {
            answer.wire = Wire::WrongLength;
            true
        }
        Malformed::CloseDelimited => {
            answer.wire = Wire::CloseDelimited;
            false
        }
        Malformed::Chunked => {
            answer.wire = Wire::Chunked;
            false
        }
        Malformed::Http200OkFalse => false,
    };
    if unreadable && answer.outcome == Outcome::Delivered {
        answer.outcome = Outcome::LostAnswer;
    }
}

/// Fields that nobody knows, in every object.
fn add_fields(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(add_fields);
            map.insert("new_in_bot_api_99".to_owned(), json!({"a": [1, null, "x"]}));
        }
        Value::Array(list) => list.iter_mut().for_each(add_fields),
        _ => {}
    }
}
