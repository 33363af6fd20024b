//! The JSON API of the stand-in.

use serde_json::{Value, json};

use super::{Fault, Generation, Reply, Seen, Stored, World, convert};

pub fn answer(world: &World, seen: &Seen) -> Reply {
    // Facts 1.4: no login needed.
    if seen.path() == "/api/health" {
        let version = world.setup.generation.version();
        let health = json!({"commit": "0000000000", "database": "ok", "version": version});
        return Reply::new(200, "application/json; charset=UTF-8", format!("{health:#}"));
    }
    if let Some(refused) = refusal(world, seen) {
        return refused;
    }
    if world.setup.fault == Some(Fault::ApiBroken) {
        return message(500, "Search failed");
    }
    let path = seen.path();
    match path {
        "/api/org" => Reply::json(200, json!({"id": world.setup.org, "name": "Main Org."})),
        "/api/search" => search(world, seen),
        "/api/frontend/settings" => settings(world),
        "/apis" if world.setup.generation >= Generation::V12 => {
            Reply::json(200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}))
        }
        "/apis/dashboard.grafana.app" if world.setup.generation >= Generation::V12 => Reply::json(200, group()),
        _ => match path.strip_prefix("/api/dashboards/uid/") {
            Some(uid) => dashboard(world, &decoded(uid)),
            None if path.starts_with("/apis/dashboard.grafana.app/") => resource(world, path),
            // Facts 1.2: the slug's API was removed in 8.0.0, with this answer.
            None => message(404, "Not found"),
        },
    }
}

/// Facts 1.4: what a wrong, a missing, or another organisation's login gets from `/api`.
fn refusal(world: &World, seen: &Seen) -> Option<Reply> {
    let token = world.setup.token.as_ref()?;
    let generation = world.setup.generation;
    match presented(seen) {
        None => Some(message(401, "Unauthorized")),
        Some(given) if given != *token => Some(match generation {
            Generation::V8 => message(401, "invalid API key"),
            _ => Reply::json(
                401,
                json!({"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401, "traceID": ""}),
            ),
        }),
        Some(_) => {
            let org = seen.header("X-Grafana-Org-Id")?.parse::<u64>().ok()?;
            let other = org != world.setup.org && generation >= Generation::V13;
            other.then(|| message(401, "API key does not belong to the requested organization"))
        }
    }
}

/// Facts 1.4: a bearer token, or the user `api_key` with the token as the password; `admin:admin` is a user.
fn presented(seen: &Seen) -> Option<String> {
    use base64::Engine;
    let header = seen.header("Authorization")?;
    if let Some(token) = header.strip_prefix("Bearer ") {
        return Some(token.to_owned());
    }
    let pair = base64::prelude::BASE64_STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    Some(pair.strip_prefix("api_key:").unwrap_or(&pair).to_owned())
}

/// Whether `/render` sees a login.
pub fn is_logged_in(world: &World, seen: &Seen) -> bool {
    refusal(world, seen).is_none()
}

/// Facts 0.5.
fn settings(world: &World) -> Reply {
    let available = world.setup.fault != Some(Fault::NoRenderer);
    let mut settings = json!({
        "rendererAvailable": available, "rendererVersion": if available { "3.12.9" } else { "" },
        "appUrl": format!("{}/", world.setup.root_url.as_ref().unwrap_or(&world.root)),
        "appSubUrl": world.setup.sub_path, "buildInfo": {"version": world.setup.generation.version()},
    });
    // Since 10.2.3 (mcp-grafana, GrafanaNamespace); of organisation 1 it is "default" (facts 1.3).
    if world.setup.generation >= Generation::V10 {
        let namespace = if world.setup.org == 1 { "default".to_owned() } else { format!("org-{}", world.setup.org) };
        settings["namespace"] = json!(namespace);
    }
    Reply::json(200, settings)
}

/// Facts 1.1.
fn search(world: &World, seen: &Seen) -> Reply {
    // Missing, 0 and junk are 1000.
    let limit = seen.value("limit").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0).unwrap_or(1000);
    if limit > 5000 {
        let words = "Limit is above maximum allowed (5000), use page parameter to access hits beyond limit";
        return message(422, words);
    }
    let kind = seen.value("type").unwrap_or_default();
    // "type=unknown gives all hits before 12 and 500 from 12".
    if !["", "dash-db", "dash-folder"].contains(&kind.as_str()) && world.setup.generation >= Generation::V12 {
        return message(500, "Search failed");
    }
    let page = seen.value("page").and_then(|text| text.parse::<usize>().ok()).filter(|page| *page > 0).unwrap_or(1);
    let query = seen.value("query").unwrap_or_default().to_lowercase();
    let uids = seen.values("dashboardUIDs");
    let hits = world.setup.dashboards.iter().enumerate().filter(|(_, stored)| {
        kind != "dash-folder"
            && stored.title().to_lowercase().contains(&query)
            && (uids.is_empty() || uids.contains(&stored.uid))
    });
    let hits = hits.skip((page - 1) * limit).take(limit).map(|(n, stored)| hit(world, n, stored));
    Reply::json(200, Value::Array(hits.collect()))
}

fn hit(world: &World, n: usize, stored: &Stored) -> Value {
    let slug = stored.slug();
    let mut hit = json!({
        "id": n + 1, "uid": stored.uid, "title": stored.title(), "uri": format!("db/{slug}"), "slug": "",
        // With the sub path.
        "url": format!("{}/d/{}/{slug}", world.setup.sub_path, stored.uid),
        "type": "dash-db", "tags": [], "isStarred": false, "sortMeta": 0,
    });
    // Absent for dashboards in General. Ids pass 2^50 with unified storage.
    if let Some(folder) = &stored.folder {
        hit["folderTitle"] = json!(folder);
        hit["folderUid"] = json!(folder_uid(folder));
        hit["folderUrl"] = json!(format!("{}/dashboards/f/{}", world.setup.sub_path, folder_uid(folder)));
    }
    if world.setup.generation >= Generation::V12 {
        hit["id"] = json!(2_135_913_261_838_336_u64 + n as u64);
        hit["orgId"] = json!(world.setup.org);
    }
    hit
}

fn folder_uid(title: &str) -> String {
    title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Facts 1.2 and 1.3.
fn dashboard(world: &World, uid: &str) -> Reply {
    let Some(stored) = world.dashboard(uid) else { return message(404, "Dashboard not found") };
    if world.setup.fault == Some(Fault::Forbidden) {
        return match world.setup.generation {
            Generation::V8 => message(403, "Access denied to this dashboard"),
            _ => Reply::json(
                403,
                json!({
                    "accessErrorId": "ACE0000000000", "title": "Access denied",
                    "message": "You'll need additional permissions to perform this action. Permissions needed: dashboards:read",
                }),
            ),
        };
    }
    let generation = world.setup.generation;
    let content = match (stored.is_schema2(), generation) {
        // Before v2 there was none.
        (true, Generation::V8 | Generation::V10) => return message(404, "Dashboard not found"),
        (true, Generation::V12) => {
            let path = format!("/apis/dashboard.grafana.app/v2/namespaces/default/dashboards/{uid}");
            return message(406, &format!("dashboard api version not supported, use {path} instead"));
        }
        (true, Generation::V13) => convert::to_classic(&stored.content),
        (false, Generation::V8) => convert::with_library_panels_in_full(stored.content.clone()),
        (false, _) => convert::with_library_panels_as_stubs(stored.content.clone()),
    };
    let slug = stored.slug();
    let mut meta = json!({
        "type": "db", "slug": slug, "url": format!("{}/d/{uid}/{slug}", world.setup.sub_path), "version": 1,
        "isFolder": false, "provisioned": false, "canSave": false,
        "folderTitle": stored.folder.as_deref().unwrap_or("General"),
        "folderUid": stored.folder.as_deref().map(folder_uid).unwrap_or_default(),
    });
    if generation >= Generation::V12 {
        meta["apiVersion"] = json!(if stored.is_schema2() { "v2" } else { "v1" });
    }
    Reply::json(200, json!({"meta": meta, "dashboard": content}))
}

/// Facts 1.3: what `GET /apis` and `GET /apis/dashboard.grafana.app` tell about the group.
fn group() -> Value {
    let versions = ["v1beta1", "v1", "v2beta1", "v2"]
        .map(|version| json!({"groupVersion": format!("dashboard.grafana.app/{version}"), "version": version}));
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": "dashboard.grafana.app", "versions": versions,
        "preferredVersion": versions[1],
    })
}

/// `/apis/dashboard.grafana.app/<version>/namespaces/<ns>/dashboards/<uid>`, facts 1.3.
fn resource(world: &World, path: &str) -> Reply {
    let parts: Vec<&str> = path.split('/').collect();
    let not_found =
        || Reply::json(404, json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}));
    let [_, "apis", _, version, "namespaces", _, "dashboards", uid] = parts.as_slice() else { return not_found() };
    let uid = decoded(uid);
    let Some(stored) = world.dashboard(&uid).filter(|_| world.setup.generation >= Generation::V12) else {
        return not_found();
    };
    let mut object = match (stored.is_schema2(), version.starts_with("v2")) {
        (true, true) => stored.content.clone(),
        // mcp-grafana reads here which version is stored (its tools/dashboard.go).
        (true, false) => json!({
            "spec": convert::to_classic(&stored.content),
            "status": {"conversion": {"failed": false, "storedVersion": "v2"}},
        }),
        (false, false) => json!({"spec": stored.content}),
        // Stored in v1 and asked for in v2: real servers convert; nobody here asks for it.
        (false, true) => return not_found(),
    };
    object["apiVersion"] = json!(format!("dashboard.grafana.app/{version}"));
    object["kind"] = json!("Dashboard");
    object["metadata"]["name"] = json!(uid);
    Reply::json(200, object)
}

fn message(status: u16, words: &str) -> Reply {
    Reply::json(status, json!({"message": words}))
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
