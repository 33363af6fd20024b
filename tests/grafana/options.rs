//! The command line: what is sent for which options, and what is refused.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::standin::{Generation, Seen, Setup, Standin};
use crate::tool::{Shot, directory, own, own_dashboards, shot};

/// The request for the picture that a call makes.
fn request(args: &[&str]) -> Seen {
    let standin = own(Generation::V10);
    let done = shot(&standin, args.iter().copied());
    done.picture();
    standin.pictures().pop().unwrap_or_else(|| done.fail("no picture was asked for"))
}

fn parameters(seen: &Seen) -> BTreeMap<String, Vec<String>> {
    let (_, query) = seen.url.split_once('?').unwrap();
    let names = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.to_owned());
    names.map(|name| (name.clone(), seen.values(&name))).collect()
}

#[test]
fn without_options_the_dashboard_decides() {
    let seen = request(&["web-shop", "3"]);
    assert_eq!(seen.path(), "/render/d-solo/web-shop/web-shop");
    let all = parameters(&seen);
    let expected = [
        ("height", "500"),
        ("hideLogo", "true"),
        ("panelId", "3"),
        ("timeout", "60"),
        ("timezone", "Europe/Berlin"),
        ("tz", "Europe/Berlin"),
        ("width", "1000"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
    assert_eq!(all, BTreeMap::from(expected));
    assert_eq!(seen.header("Authorization"), Some("Bearer glsa_standin_token"));
    assert_eq!(seen.header("X-Grafana-Org-Id"), None);
}

/// Names of parameters and all their values.
type Parameters = &'static [(&'static str, &'static [&'static str])];

/// An option and what must be in the query for it.
#[test]
fn options_become_parameters() {
    let table: [(&[&str], Parameters); 22] = [
        (&["--width", "800", "--height=300"], &[("width", &["800"]), ("height", &["300"])]),
        (&["--scale", "2"], &[("scale", &["2"]), ("width", &["1000"])]),
        (&["--scale", "0.5"], &[("scale", &["0.5"])]),
        (&["--theme", "light"], &[("theme", &["light"])]),
        (&["--tz", "Asia/Tokyo"], &[("tz", &["Asia/Tokyo"]), ("timezone", &["Asia/Tokyo"])]),
        (&["--tz", "utc"], &[("tz", &["UTC"]), ("timezone", &["utc"])]),
        (&["--tz", "dashboard"], &[("tz", &[]), ("timezone", &[])]),
        (&["--timeout", "90"], &[("timeout", &["90"])]),
        (&["--timeout", "1.2"], &[("timeout", &["2"])]),
        (&["--from", "now-6h", "--to", "now"], &[("from", &["now-6h"]), ("to", &["now"])]),
        (&["--from", "6h"], &[("from", &["now-6h"]), ("to", &[])]),
        (&["--since", "7d"], &[("from", &["now-7d"]), ("to", &["now"])]),
        (&["--from", "now-1d/d", "--to", "now-1d/d"], &[("from", &["now-1d/d"])]),
        (&["--from", "1700000000"], &[("from", &["1700000000000"])]),
        (&["--from", "1700000000000"], &[("from", &["1700000000000"])]),
        (&["--from", "2023-11-14T22:13:20Z"], &[("from", &["1700000000000"])]),
        (&["--from", "2023-11-14T23:13:20+01:00"], &[("from", &["1700000000000"])]),
        // Local times are of the zone that is drawn, and a date as the end is that whole day.
        (&["--from", "2023-11-14 23:13:20"], &[("from", &["1700000000000"])]),
        (
            &["--tz", "UTC", "--from", "2023-11-14", "--to", "2023-11-14"],
            &[("from", &["1699920000000"]), ("to", &["1700006400000"])],
        ),
        (&["--var", "host=web1"], &[("var-host", &["web1"])]),
        (&["--var", "host=web1", "--var", "var-host=web 2&3"], &[("var-host", &["web1", "web 2&3"])]),
        (
            &["--var", "Filters=job|=|a=b", "--var", "host=$__all"],
            &[("var-Filters", &["job|=|a=b"]), ("var-host", &["$__all"])],
        ),
    ];
    for (options, expected) in table {
        let seen = request(&[options, &["web-shop", "3"]].concat());
        for (name, values) in expected {
            assert_eq!(seen.values(name), *values, "{options:?}: {name} in {}", seen.url);
        }
        assert_eq!(seen.value("orgId"), None);
    }
}

#[test]
fn misuse_is_2_and_says_what_is_wrong() {
    let standin = own(Generation::V10);
    let table: [(&[&str], &str); 36] = [
        (&[], "a dashboard is missing"),
        (&["web-shop"], "a panel is missing"),
        (&["web-shop", "3", "4"], "one word too many"),
        (&["web-shop", ""], "a name is empty"),
        (&[" ", "3"], "a name is empty"),
        (&["--list", ""], "a name is empty"),
        (&["--list", "a", "b"], "--list takes"),
        (&["--json", "web-shop", "3"], "--json goes with --list"),
        (&["--nonsense"], "invalid option '--nonsense'"),
        (&["-x"], "invalid option '-x'"),
        (&["--width"], "missing argument"),
        (&["--width", "0", "web-shop", "3"], "1 to 20000"),
        (&["--width", "wide", "web-shop", "3"], "wide"),
        (&["--height", "-1", "web-shop", "3"], "-1"),
        (&["--scale", "5", "web-shop", "3"], "at most 4"),
        (&["--scale", "0", "web-shop", "3"], "above 0"),
        (&["--scale", "nan", "web-shop", "3"], "above 0"),
        (&["--timeout", "0", "web-shop", "3"], "above 0"),
        (&["--timeout", "soon", "web-shop", "3"], "not a number of seconds"),
        (&["--theme", "blue", "web-shop", "3"], "no theme \"blue\""),
        (&["--tz", "Mars/Base", "web-shop", "3"], "no time zone \"Mars/Base\""),
        (&["--from", "yesterday", "web-shop", "3"], "\"yesterday\" is no point in time"),
        (&["--from", "99999999999999999999", "web-shop", "3"], "no point in time"),
        (&["--from", "2024", "web-shop", "3"], "\"2024\" is no point in time"),
        (&["--from", "20240101", "web-shop", "3"], "no point in time"),
        (&["--to", "-5", "web-shop", "3"], "no point in time"),
        (&["--since", "now-6h", "web-shop", "3"], "no length of time"),
        (&["--since", "6h", "--from", "now-1h", "web-shop", "3"], "excludes"),
        (&["--from", "2024-01-02", "--to", "2024-01-01", "--tz", "UTC", "web-shop", "3"], "ends before it starts"),
        (&["--var", "host", "web-shop", "3"], "not NAME=VALUE"),
        (&["--header", "nonsense", "web-shop", "3"], "Name: value"),
        (&["--header", "@/no/such/file", "web-shop", "3"], "cannot read headers"),
        (&["--cacert", "/no/such/file", "web-shop", "3"], "cannot use the certificates"),
        (&["--token-file", "/no/such/file", "web-shop", "3"], "/no/such/file"),
        (&["http://grafana/d/web-shop", "3"], "a link is no name"),
        (&["--url", "web-shop"], "is no link"),
    ];
    for (args, words) in table {
        shot(&standin, args.iter().copied()).refused(2, &[words]);
    }
    assert_eq!(standin.pictures().len(), 0);
    Shot::bare().args(["web-shop", "3"]).run().refused(2, &["not said where grafana is", "set GRAFANA_URL"]);
    for url in ["grafana.example.org", "ftp://x", "http://", "/d/x"] {
        Shot::bare().env("GRAFANA_URL", url).args(["web-shop", "3"]).run().refused(2, &["not an http or https URL"]);
    }
}

#[test]
fn links_from_the_browser() {
    let standin =
        Standin::start(Setup { sub_path: "/grafana".into(), ..Setup::new(Generation::V13, own_dashboards()) });
    let base = &standin.url;
    let last = |link: &str, more: &[&str]| {
        let url = format!("{base}{link}");
        let done = Shot::at(&standin).args(["--url", &url]).args(more.iter().copied()).run();
        done.picture();
        standin.pictures().pop().unwrap()
    };
    let seen = last(
        "/d/web-shop/web-shop?orgId=1&from=now-12h&to=now&timezone=browser&var-host=web1&var-host=web+2&viewPanel=panel-4&refresh=5s",
        &[],
    );
    assert_eq!(seen.value("panelId").unwrap(), "4");
    assert_eq!(seen.values("var-host"), ["web1", "web 2"]);
    assert_eq!((seen.value("from").unwrap(), seen.value("to").unwrap()), ("now-12h".into(), "now".into()));
    assert_eq!(
        (seen.value("tz").unwrap(), seen.value("orgId"), seen.value("refresh")),
        ("Europe/Berlin".into(), None, None)
    );
    assert_eq!(seen.header("X-Grafana-Org-Id"), Some("1"), "the organisation is a header");
    let seen = last("/d/web-shop/x?viewPanel=web1%24panel-4&from=2023-11-14T22:13:20.000Z&theme=light", &[]);
    assert_eq!(seen.values("var-host"), ["web1"]);
    assert_eq!((seen.value("from").unwrap(), seen.value("theme").unwrap()), ("1700000000000".into(), "light".into()));
    let seen = last("/render/d-solo/web-shop/_?panelId=3&width=640&height=320&tz=UTC&timezone=utc", &[]);
    assert_eq!((seen.value("width").unwrap(), seen.value("height").unwrap()), ("640".into(), "320".into()));
    assert_eq!(seen.value("tz").unwrap(), "UTC");
    // A word after the link is the panel, and options go before what the link says.
    let seen = last(
        "/d/web-shop?from=now-1h&to=now&var-host=a&var-shop=b",
        &["Orders", "--from", "now-2h", "--var", "host=c"],
    );
    assert_eq!((seen.value("panelId").unwrap(), seen.value("from").unwrap()), ("3".into(), "now-2h".into()));
    assert_eq!((seen.values("var-host"), seen.values("var-shop")), (vec!["c".into()], vec!["b".into()]));
    for (link, code, words) in [
        ("/d/web-shop/web-shop", 2, "of a whole dashboard"),
        ("/goto/abc?orgId=1", 2, "open the short link"),
        ("/dashboard/db/web-shop", 2, "removed such links in version 8"),
        ("/explore", 2, "no /d/UID in it"),
        ("/d/nothing/x?viewPanel=3", 3, "Dashboard not found"),
        ("/d/web-shop/x?viewPanel=99", 3, "no panel \"99\""),
        ("/d/web-shop/x?orgId=7&viewPanel=3", 4, "the link's orgId"),
    ] {
        shot(&standin, ["--url", &format!("{base}{link}")]).refused(code, &[words]);
    }
}

#[test]
fn the_token_goes_to_the_configured_server_only() {
    let (ours, theirs) = (own(Generation::V10), own(Generation::V10));
    let link = format!("{}/d/web-shop/x?viewPanel=3", theirs.url);
    let done = shot(&ours, ["--url", &link]);
    done.picture();
    assert!(
        done.err.contains(&format!("warning: the link is of {}, the picture of {}", theirs.url, ours.url)),
        "{}",
        done.err
    );
    assert_eq!((ours.pictures().len(), theirs.seen().len()), (1, 0), "a pasted link must not get the token");
    // Without GRAFANA_URL the link says where Grafana is, and gets nothing that is secret.
    let directory = directory("link");
    std::fs::write(directory.join("token"), "glsa_standin_token").unwrap();
    let file = directory.join("token");
    let call = |more: &[&str]| Shot::bare().args(["--url", &link]).args(more.iter().copied());
    for call in [
        Shot::at(&theirs).without("GRAFANA_URL").args(["--url", &link]),
        call(&[]).env("GRAFANA_USER", "viewer").env("GRAFANA_PASSWORD", "glsa_password"),
        call(&["--token-file", file.to_str().unwrap()]),
        call(&["--header", "X-Auth: glsa_x"]),
    ] {
        call.run().refused(2, &["may have the login", "set GRAFANA_URL"]);
    }
    assert_eq!(theirs.seen().len(), 0, "it was not even asked");
    call(&[]).run().refused(4, &[]);
    assert!(theirs.seen().iter().all(|seen| seen.header("Authorization").is_none()));
    // A server that is known to people by that address is the right one.
    let root_url = Some("https://grafana.example.org".to_owned());
    let inside = Standin::start(Setup { root_url, ..Setup::new(Generation::V10, own_dashboards()) });
    let done = shot(&inside, ["--url", "https://grafana.example.org/d/web-shop/x?viewPanel=3"]);
    done.picture();
    assert_eq!(done.err, "");
}

#[test]
fn logins_and_headers() {
    let directory = directory("logins");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).unwrap();
        directory.join(name).to_str().unwrap().to_owned()
    };
    let token = write("token", "glsa_standin_token\n");
    let headers = write("headers", "CF-Access-Client-Id: me\n\nCF-Access-Client-Secret: very\n");
    let standin = own(Generation::V10);
    let host = standin.url.strip_prefix("http://").unwrap();
    let bare = || Shot::bare().env("GRAFANA_URL", &standin.url);
    let basic = "Basic YXBpX2tleTpnbHNhX3N0YW5kaW5fdG9rZW4=";
    for (call, authorization) in [
        (bare().env("GRAFANA_SERVICE_ACCOUNT_TOKEN", "glsa_standin_token"), "Bearer glsa_standin_token"),
        (bare().env("GRAFANA_TOKEN_FILE", &token), "Bearer glsa_standin_token"),
        (bare().args(["--token-file", &token]), "Bearer glsa_standin_token"),
        (bare().env("GRAFANA_TOKEN", "glsa_no").args(["--token-file", &token]), "Bearer glsa_standin_token"),
        (bare().env("GRAFANA_USER", "api_key").env("GRAFANA_PASSWORD", "glsa_standin_token"), basic),
        (bare().env("GRAFANA_URL", &format!("http://api_key:glsa_standin_token@{host}/")), basic),
    ] {
        call.args(["web-shop", "3"]).run().picture();
        assert_eq!(standin.pictures().pop().unwrap().header("Authorization"), Some(authorization));
    }
    let call = Shot::at(&standin).args(["--header", &format!("@{headers}"), "--header", "X-One: 1", "web-shop", "3"]);
    call.run().picture();
    let seen = standin.pictures().pop().unwrap();
    let values = ["CF-Access-Client-Id", "CF-Access-Client-Secret", "X-One"].map(|name| seen.header(name));
    assert_eq!(values, [Some("me"), Some("very"), Some("1")]);
    bare().env("GRAFANA_USER", "me").args(["web-shop", "3"]).run().refused(2, &["without GRAFANA_PASSWORD"]);
}

#[test]
fn the_configuration_file_is_enough() {
    let standin = own(Generation::V10);
    let path = directory("config").join("config.json");
    let config = serde_json::json!({
        "bot_token": "None", "grafana_url": format!("{}/", standin.url), "time_zone": "Asia/Tokyo", "grafana_org": 1,
        "grafana_token": {"Authorization": "Bearer glsa_standin_token"},
    });
    std::fs::write(&path, config.to_string()).unwrap();
    Shot::bare().args(["-c", path.to_str().unwrap(), "web-shop", "3"]).run().picture();
    let seen = standin.pictures().pop().unwrap();
    assert_eq!(seen.value("tz").as_deref(), Some("Asia/Tokyo"));
    assert_eq!(seen.header("X-Grafana-Org-Id"), Some("1"));
}

#[test]
fn a_dry_run_prints_the_url_without_the_token() {
    let standin = own(Generation::V10);
    let host = standin.url.strip_prefix("http://").unwrap();
    let with_login = format!("http://api_key:glsa_standin_token@{host}");
    let done = Shot::bare().env("GRAFANA_URL", &with_login).args(["-n", "--tz", "UTC", "Web shop", "Orders"]).run();
    let expected = format!(
        "{}/render/d-solo/web-shop/web-shop?panelId=3&width=1000&height=500&tz=UTC&timezone=utc&timeout=60&hideLogo=true\n",
        standin.url
    );
    assert_eq!((done.code, done.text(), done.err.as_str()), (0, expected, ""));
    assert_eq!(standin.pictures().len(), 0);
}

#[test]
fn a_file_is_written_whole_and_verbose_tells_the_requests() {
    let standin = own(Generation::V10);
    let directory = directory("file");
    let path = directory.join("p.png");
    let done = shot(&standin, ["-v", "-o", path.to_str().unwrap(), "web-shop", "3"]);
    if done.code != 0 || !done.out.is_empty() {
        done.fail("the picture goes to the file alone");
    }
    assert_eq!(crate::standin::drawing::pixels(&std::fs::read(&path).unwrap()).0, 1000);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    assert!(done.err.contains("GET /render/d-solo/web-shop/web-shop?panelId=3"), "{}", done.err);
    assert!(!done.err.contains("glsa_"), "{}", done.err);
    let dash = shot(&standin, ["-o", "-", "web-shop", "3"]);
    dash.picture();
    // A link stays one, and a pipe is written to: as root, a rename would replace /dev/null itself.
    let link = directory.join("link.png");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    std::fs::write(&path, "old").unwrap();
    assert_eq!(shot(&standin, ["-o", link.to_str().unwrap(), "web-shop", "3"]).code, 0);
    assert!(link.is_symlink() && std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
    let fifo = directory.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::read(fifo).unwrap()
    });
    assert_eq!(shot(&standin, ["-o", fifo.to_str().unwrap(), "web-shop", "3"]).code, 0);
    assert!(reader.join().unwrap().starts_with(b"\x89PNG"));
}

/// `script` of util-linux gives the tool a terminal.
#[test]
fn at_a_terminal_there_is_progress_and_no_picture() {
    let Ok(version) = Command::new("script").arg("--version").output() else {
        return crate::tool::skip("the terminal", "no script(1) of util-linux");
    };
    assert!(version.status.success());
    let standin = Standin::start(Setup {
        fault: Some(crate::standin::Fault::Hang),
        ..Setup::new(Generation::V13, own_dashboards())
    });
    let terminal = |arguments: &str| {
        let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_grafana-shot"));
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("GRAFANA_URL", &standin.url)
            .env("GRAFANA_TOKEN", "glsa_standin_token")
            .stdin(Stdio::null())
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    let refused = terminal("web-shop 3");
    assert!(refused.contains("a picture is not for a terminal"), "{refused}");
    assert!(refused.contains("add > p.png"), "{refused}");
    let waiting = terminal("--timeout 1 --retries 0 web-shop 3 > /dev/null");
    assert!(waiting.contains("drawing \"Orders\", at most 7 s: "), "{waiting:?}");
    assert!(waiting.contains("within 7 s"), "{waiting:?}");
}

#[test]
fn help_names_every_option_and_code() {
    let help = Shot::bare().args(["--help"]).run().text();
    for word in [
        "--list",
        "--json",
        "--url",
        "--uid",
        "--title",
        "--var",
        "--from",
        "--to",
        "--since",
        "--tz",
        "--theme",
        "--width",
        "--height",
        "--scale",
        "--timeout",
        "--retries",
        "--org",
        "--cacert",
        "--insecure",
        "--header",
        "--token-file",
        "--output",
        "--dry-run",
        "--config",
        "--log",
        "--quiet",
        "--verbose",
        "--help",
        "--version",
        "65 the name",
    ] {
        assert!(help.contains(word), "{word} is not in the help");
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}
