//! Through proxies: HTTP and SOCKS5, with user and password.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::harness::*;

/// What a proxy saw: how clients logged in and where they wanted to go.
type Seen = Arc<Mutex<Vec<String>>>;

fn serve(talk: impl Fn(TcpStream, &Seen) -> Option<(TcpStream, TcpStream)> + Send + Sync + 'static) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let (talk, shared) = (Arc::new(talk), seen.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (talk, seen) = (talk.clone(), shared.clone());
            thread::spawn(move || {
                let (client, server) = talk(stream.unwrap(), &seen)?;
                let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let (mut from, mut to) = (server, client);
                let _ = std::io::copy(&mut from, &mut to);
                to.shutdown(Shutdown::Both).ok()
            });
        }
    });
    (port, seen)
}

fn read<const N: usize>(stream: &mut TcpStream) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).ok().map(|()| bytes)
}

fn text(stream: &mut TcpStream) -> Option<String> {
    let [length] = read(stream)?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).ok()?;
    String::from_utf8(bytes).ok()
}

/// RFC 1928 and RFC 1929, as much as a client of ours needs.
fn socks5(mut client: TcpStream, seen: &Seen) -> Option<(TcpStream, TcpStream)> {
    let [5, methods] = read(&mut client)? else { return None };
    let mut offered = vec![0; usize::from(methods)];
    client.read_exact(&mut offered).ok()?;
    if !offered.contains(&2) {
        client.write_all(&[5, 255]).ok()?;
        return None;
    }
    client.write_all(&[5, 2]).ok()?;
    let [1] = read(&mut client)? else { return None };
    let login = format!("{}:{}", text(&mut client)?, text(&mut client)?);
    let welcome = login == "user:p@ss word";
    seen.lock().unwrap().push(login);
    client.write_all(&[1, u8::from(!welcome)]).ok()?;
    if !welcome {
        return None;
    }
    let [5, 1, 0, kind] = read(&mut client)? else { return None };
    let host = match kind {
        1 => std::net::Ipv4Addr::from(read::<4>(&mut client)?).to_string(),
        3 => text(&mut client)?,
        _ => return None,
    };
    let port = u16::from_be_bytes(read(&mut client)?);
    seen.lock().unwrap().push(format!("{host}:{port}"));
    let server = TcpStream::connect((host.as_str(), port)).ok()?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).ok()?;
    Some((client, server))
}

fn http(mut client: TcpStream, seen: &Seen) -> Option<(TcpStream, TcpStream)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read::<1>(&mut client)?);
    }
    let head = String::from_utf8(head).ok()?;
    let (method, target) = (head.split(' ').next()?, head.split(' ').nth(1)?);
    // printf %s 'user:p@ss word' | base64
    let welcome = head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwqhnzihdvcmq=");
    seen.lock().unwrap().extend([format!("{method} {target}"), format!("welcome {welcome}")]);
    if !welcome {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").ok()?;
        return None;
    }
    let address = target.trim_start_matches("http://").split('/').next()?;
    let mut server = TcpStream::connect(address).ok()?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    } else {
        server.write_all(head.replace(&format!("http://{address}"), "").as_bytes()).ok()?;
    }
    Some((client, server))
}

fn send_through(proxy: serde_json::Value, test: &str) -> (Scratch, Sandbox, Output) {
    let scratch = Scratch::new(test);
    let sandbox = Sandbox::start(&scratch, &[]);
    let config = scratch.write("config.json", &json!({"apihelper_proxy": proxy, "bot_token": TOKEN}).to_string());
    let mut command = tg_send(&scratch, &sandbox);
    command.env_remove("TELEGRAM_BOT_TOKEN").arg("-c").arg(config).args(["--timeout", "20"]);
    let output = run(&mut command, record(1, "through a proxy").as_bytes());
    (scratch, sandbox, output)
}

#[test]
fn socks5_with_user_and_password() {
    let (port, seen) = serve(socks5);
    // As the Python original's users wrote it.
    let proxy = json!({"https": format!("socks5://user:p%40ss%20word@127.0.0.1:{port}")});
    let (_scratch, sandbox, output) = send_through(proxy, "socks");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(sandbox.texts(1), ["through a proxy"]);
    let api = sandbox.api.trim_start_matches("http://").to_owned();
    assert_eq!(*seen.lock().unwrap(), ["user:p@ss word".to_owned(), api]);
}

#[test]
fn socks5h_has_names_looked_up_by_the_proxy() {
    let (port, seen) = serve(socks5);
    let scratch = Scratch::new("socks5h");
    let sandbox = Sandbox::start(&scratch, &[]);
    let by_name = sandbox.api.replace("127.0.0.1", "localhost");
    let by_address = sandbox.api.trim_start_matches("http://");
    for (n, (scheme, wanted)) in
        [("socks5", by_address), ("socks5h", by_name.trim_start_matches("http://"))].into_iter().enumerate()
    {
        let mut command = tg_send(&scratch, &sandbox);
        command.env("TELEGRAM_API_URL", &by_name).args(["--timeout", "5"]);
        command.env("TELEGRAM_PROXY", format!("{scheme}://user:p%40ss%20word@127.0.0.1:{port}"));
        let output = run(&mut command, record(1, scheme).as_bytes());
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(sandbox.texts(1).len(), n + 1);
        assert_eq!(seen.lock().unwrap().last().map(String::as_str), Some(wanted), "{scheme}");
    }
}

#[test]
fn http_with_user_and_password() {
    let (port, seen) = serve(http);
    let (_scratch, sandbox, output) =
        send_through(json!(format!("http://user:p%40ss%20word@127.0.0.1:{port}")), "http");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(sandbox.texts(1), ["through a proxy"]);
    assert!(seen.lock().unwrap().contains(&"welcome true".to_owned()), "{seen:?}");
}

#[test]
fn a_proxy_that_refuses_costs_nothing_and_its_password_is_not_shown() {
    let (port, seen) = serve(socks5);
    let proxy = json!(format!("socks5://user:wr0ng-pw@127.0.0.1:{port}"));
    let (scratch, sandbox, output) = send_through(proxy, "refused");
    assert_eq!(output.code, Some(75), "{output:?}");
    assert!(!seen.lock().unwrap().is_empty());
    assert_eq!(sandbox.messages(1).len(), 0);
    assert!(!format!("{output:?}").contains("wr0ng-pw"), "{output:?}");
    let status = run(tg_send(&scratch, &sandbox).arg("--status"), b"");
    assert!(status.stdout.starts_with("waiting  1"), "{status:?}");
}
