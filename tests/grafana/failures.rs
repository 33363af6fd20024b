//! Everything that can go wrong before and while a picture is drawn: the right exit code, a line that says what to do,
//! nothing on stdout.

use crate::relay;
use crate::standin::{Fault, Generation, Setup, Standin};
use crate::tool::{Shot, directory, own, own_dashboards, shot, skip};

fn broken(generation: Generation, fault: Fault) -> Standin {
    Standin::start(Setup { fault: Some(fault), ..Setup::new(generation, own_dashboards()) })
}

/// The table of facts 1.5 and what is around it: fault, exit code, words that must be said.
const FAULTS: [(Fault, i32, &[&str]); 21] = [
    (Fault::NoRenderer, 5, &["no image renderer is installed", "server_url", "callback_url"]),
    (Fault::SilentlyNoRenderer, 5, &["no image renderer is installed"]),
    (Fault::Limit, 6, &["too many pictures", "concurrent_render_request_limit"]),
    (Fault::LimitLight, 6, &["too many pictures"]),
    (Fault::RendererBusy, 6, &["hint: "]),
    (Fault::Timeout, 6, &["timeout error", "--timeout"]),
    (Fault::RendererFailed, 6, &["500", "Rendering failed.", "log", "--timeout"]),
    (Fault::RendererFrontPage, 8, &["front page of its renderer", "must end in /render"]),
    (Fault::LoginRedirect, 4, &["302", "asks for a login"]),
    (Fault::ForeignRedirect, 4, &["sso.example.org", "--header"]),
    (Fault::LoginPage, 4, &["login page", "--header"]),
    (Fault::BadGateway, 6, &["502"]),
    (Fault::GatewayTimeout, 6, &["504", "read timeout"]),
    (Fault::CutPicture, 8, &["cut off"]),
    (Fault::Empty, 8, &["empty"]),
    (Fault::WrongType, 8, &["application/octet-stream"]),
    (Fault::BadParameters, 2, &["400 \"Render parameters error\""]),
    (Fault::Forbidden, 4, &["403", "role Viewer"]),
    (Fault::Hang, 6, &["within 7 s", "--timeout"]),
    (Fault::ApiBroken, 1, &["500", "Search failed"]),
    (Fault::NotGrafana, 7, &["/api/health must answer in JSON"]),
];

#[test]
fn every_failure_has_its_code_and_says_what_to_do() {
    for (fault, code, words) in FAULTS {
        // The slow one would be slow four times.
        let generations: &[Generation] = if fault == Fault::Hang { &[Generation::V13] } else { &Generation::ALL };
        for generation in generations {
            let standin = broken(*generation, fault);
            let done = shot(&standin, ["--retries", "0", "--timeout", "1", "web-shop", "3"]);
            done.refused(code, words);
            if !done.err.contains("hint: ") {
                done.fail("no hint");
            }
        }
    }
}

#[test]
fn nothing_is_drawn_where_the_settings_say_that_nothing_can() {
    let standin = broken(Generation::V10, Fault::NoRenderer);
    shot(&standin, ["web-shop", "3"]).refused(5, &[]);
    assert_eq!(standin.pictures().len(), 0);
}

#[test]
fn a_clamped_picture_is_handed_on_with_a_warning() {
    let standin = broken(Generation::V13, Fault::Clamped);
    let done = shot(&standin, ["--width", "100", "--height", "60", "web-shop", "3"]);
    done.picture();
    assert!(done.err.contains("warning: the picture is 1000x500 pixels, not 100x60"), "{}", done.err);
    let quiet = shot(&standin, ["-q", "--width", "100", "--height", "60", "web-shop", "3"]);
    quiet.picture();
    assert_eq!(quiet.err, "");
}

#[test]
fn busy_servers_are_asked_again() {
    for (generation, fault) in [
        (Generation::V8, Fault::Limit),
        (Generation::V13, Fault::LimitLight),
        (Generation::V13, Fault::RendererBusy),
        (Generation::V10, Fault::BadGateway),
    ] {
        let setup = Setup::new(generation, own_dashboards());
        let standin = Standin::start(Setup { fault: Some(fault), fault_times: Some(1), ..setup });
        let done = shot(&standin, ["web-shop", "3"]);
        done.picture();
        assert!(done.err.contains("trying again in 1 s"), "{}", done.err);
        assert_eq!(standin.pictures().len(), 2, "{fault:?}");
    }
    // What a second try does not mend is not tried again.
    for fault in [Fault::Timeout, Fault::RendererFailed, Fault::CutPicture, Fault::LoginRedirect] {
        let standin = broken(Generation::V13, fault);
        assert_ne!(shot(&standin, ["web-shop", "3"]).code, 0);
        assert_eq!(standin.pictures().len(), 1, "{fault:?}");
    }
}

#[test]
fn the_number_of_retries_is_obeyed() {
    let standin = broken(Generation::V13, Fault::RendererBusy);
    shot(&standin, ["--retries", "1", "web-shop", "3"]).refused(6, &["429"]);
    assert_eq!(standin.pictures().len(), 2);
}

#[test]
fn logins_that_are_missing_wrong_or_of_another_organisation() {
    for generation in Generation::ALL {
        let standin = own(generation);
        let bare = Shot::bare().env("GRAFANA_URL", &standin.url).args(["web-shop", "3"]).run();
        bare.refused(4, &["401 \"Unauthorized\"", "set GRAFANA_TOKEN"]);
        let wrong = Shot::at(&standin).env("GRAFANA_TOKEN", "glsa_wrong").args(["web-shop", "3"]).run();
        wrong.refused(4, &["nvalid API key", "revoked"]);
        let listed = Shot::at(&standin).env("GRAFANA_TOKEN", "glsa_wrong").args(["--list"]).run();
        listed.refused(4, &["the list of dashboards", "nvalid API key"]);
    }
    let other = shot(&own(Generation::V13), ["--org", "2", "web-shop", "3"]);
    other.refused(4, &["does not belong to the requested organization", "leave --org"]);
    // Before, the header is no matter for a token.
    shot(&own(Generation::V10), ["--org", "2", "web-shop", "3"]).picture();
}

#[test]
fn a_login_that_sees_nothing_is_told_so() {
    let standin = Standin::start(Setup::new(Generation::V10, Vec::new()));
    shot(&standin, ["web-shop", "3"]).refused(3, &["no dashboard \"web-shop\"", "sees no dashboards", "Main Org."]);
    let list = shot(&standin, ["--list"]);
    assert_eq!((list.code, list.text().as_str()), (0, ""));
}

#[test]
fn a_server_that_is_not_there_or_elsewhere() {
    let nobody = Shot::bare().env("GRAFANA_URL", "http://127.0.0.1:9").args(["x", "3"]).run();
    nobody.refused(7, &["cannot reach http://127.0.0.1:9", "is Grafana running"]);
    let plain = relay::saying("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let tls = Shot::bare().env("GRAFANA_URL", &format!("https://{plain}")).args(["x", "3"]).run();
    tls.refused(7, &["cannot reach https://", "is the port really https"]);
    let other = relay::saying("220 mail.example.org ESMTP\r\n");
    Shot::bare().env("GRAFANA_URL", &format!("http://{other}")).args(["x", "3"]).run().refused(7, &["cannot reach"]);
    let standin =
        Standin::start(Setup { sub_path: "/grafana".into(), ..Setup::new(Generation::V10, own_dashboards()) });
    Shot::at(&standin)
        .env("GRAFANA_URL", &standin.url.replace("/grafana", ""))
        .args(["web-shop", "3"])
        .run()
        .refused(7, &["404", "with its sub path"]);
    shot(&standin, ["web-shop", "3"]).picture();
    shot(&standin, ["Web shop", "3"]).picture();
}

#[test]
fn a_picture_that_cannot_be_written_is_an_error_and_leaves_nothing() {
    let standin = own(Generation::V10);
    let directory = directory("write");
    let missing = directory.join("no/such/p.png");
    shot(&standin, ["-o", missing.to_str().unwrap(), "web-shop", "3"]).refused(1, &["cannot write", "p.png"]);
    shot(&standin, ["-o", "/dev/full", "web-shop", "3"]).refused(1, &["cannot write /dev/full"]);
    let target = directory.join("p.png");
    std::fs::write(&target, "old").unwrap();
    let standin = broken(Generation::V10, Fault::CutPicture);
    shot(&standin, ["-o", target.to_str().unwrap(), "web-shop", "3"]).refused(8, &[]);
    assert_eq!(std::fs::read(&target).unwrap(), b"old", "a failure must not touch the old picture");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "no part of a picture stays");
}

/// A proxy that breaks off before the end of a picture.
#[test]
fn a_connection_that_breaks_off() {
    let standin = own(Generation::V13);
    let address = relay::breaking_off(&standin);
    let call = Shot::at(&standin).env("GRAFANA_URL", &format!("http://{address}")).args(["web-shop", "3"]);
    call.run().refused(7, &["cannot reach http://127.0.0.1", "hint: "]);
}

#[test]
fn the_table_has_every_failure_of_the_stand_in() {
    for (name, fault) in Fault::ALL {
        assert_eq!(Fault::parse(name), Some(fault));
        assert!(fault == Fault::Clamped || FAULTS.iter().any(|(tried, ..)| *tried == fault), "{name}");
    }
    for (name, generation) in
        [("8", Generation::V8), ("10", Generation::V10), ("12", Generation::V12), ("13", Generation::V13)]
    {
        assert_eq!(Generation::parse(name), Some(generation));
    }
}

#[test]
fn certificates_are_checked_against_the_authority_that_is_named() {
    let directory = directory("tls");
    let Some([authority, certificate, key]) = relay::certificates(&directory) else {
        return skip("certificates", "no openssl(1) that makes them");
    };
    let standin = own(Generation::V13);
    let url = format!("https://{}", relay::with_tls(&standin, &certificate, &key));
    let call =
        |more: &[&str]| Shot::at(&standin).env("GRAFANA_URL", &url).args(more.iter().copied()).args(["web-shop", "3"]);
    call(&[]).run().refused(7, &["cannot reach https://", "UnknownIssuer", "--cacert FILE"]);
    assert_eq!(standin.seen().len(), 0, "the token must not go to who cannot prove itself");
    call(&["--cacert", authority.to_str().unwrap()]).run().picture();
    call(&[]).env("GRAFANA_CA", authority.to_str().unwrap()).run().picture();
    call(&["--insecure"]).run().picture();
    call(&["--cacert", certificate.to_str().unwrap()]).run().refused(7, &["--cacert FILE"]);
    call(&["--cacert", key.to_str().unwrap()]).run().refused(2, &["cannot use the certificates", "there are none"]);
}

#[test]
fn a_connection_that_ends_as_it_is_used_is_no_failure() {
    let standin = own(Generation::V13);
    let url = format!("http://{}", relay::hanging_up_once(&standin));
    let done = Shot::at(&standin).env("GRAFANA_URL", &url).args(["web-shop", "3"]).run();
    done.picture();
    assert!(done.err.contains("trying again"), "{}", done.err);
}

#[test]
fn a_server_that_asks_for_patience_gets_it() {
    let address =
        relay::saying("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let call = Shot::bare().env("GRAFANA_URL", &format!("http://{address}")).args(["--retries", "1", "--list"]);
    let done = call.run();
    done.refused(6, &["503"]);
    assert!(done.err.contains("trying again in 2 s"), "{}", done.err);
}
