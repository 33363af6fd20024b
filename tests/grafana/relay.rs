//! A proxy in front of the stand-in: for TLS, and for breaking off.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::standin::Standin;

/// Serves each connection of a new port in a thread of its own.
fn listen(serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let serve = serve.clone();
            // A client that does not like us hangs up: its test tells.
            std::thread::spawn(move || serve(connection.unwrap()));
        }
    });
    address
}

/// Answers every connection with these words.
pub fn saying(words: &'static str) -> SocketAddr {
    listen(move |mut connection| {
        let _ = connection.read(&mut [0; 4096])?;
        connection.write_all(words.as_bytes())
    })
}

/// Passes everything on, but breaks off before the end of pictures.
pub fn breaking_off(standin: &Standin) -> SocketAddr {
    let server = address(standin);
    listen(move |mut connection| {
        let (request, mut reply) = pass(&mut connection, &server)?;
        if request.starts_with("GET /render/") {
            reply.truncate(reply.len() - 100);
        }
        connection.write_all(&reply)
    })
}

/// Passes everything on, but hangs up on the first request.
pub fn hanging_up_once(standin: &Standin) -> SocketAddr {
    let server = address(standin);
    let has_hung_up = AtomicBool::new(false);
    listen(move |mut connection| {
        let (_, reply) = pass(&mut connection, &server)?;
        if has_hung_up.swap(true, Ordering::SeqCst) { connection.write_all(&reply) } else { Ok(()) }
    })
}

/// Speaks TLS and passes everything on.
pub fn with_tls(standin: &Standin, certificate: &Path, key: &Path) -> SocketAddr {
    let server = address(standin);
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    listen(move |connection| {
        let tls = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::StreamOwned::new(tls, connection);
        let (_, reply) = pass(&mut stream, &server)?;
        stream.write_all(&reply)?;
        stream.conn.send_close_notify();
        stream.flush()
    })
}

fn address(standin: &Standin) -> String {
    standin.url.strip_prefix("http://").unwrap().to_owned()
}

/// Reads one request, asks the server, and returns the head of the request and the whole answer.
fn pass(client: &mut impl Read, server: &str) -> std::io::Result<(String, Vec<u8>)> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap().replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let mut server = TcpStream::connect(server)?;
    server.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    server.read_to_end(&mut reply)?;
    Ok((request, reply))
}

/// Makes an authority and a certificate for 127.0.0.1 by openssl(1): paths of authority, certificate and key.
pub fn certificates(directory: &Path) -> Option<[std::path::PathBuf; 3]> {
    let [ca, ca_key, certificate, key] =
        ["ca.pem", "ca.key", "server.pem", "server.key"].map(|name| directory.join(name));
    let openssl = |arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        command.args(arguments).output().ok().filter(|output| output.status.success())
    };
    let arg = std::ffi::OsStr::new;
    openssl(&[arg("-subj"), arg("/CN=test authority"), arg("-keyout"), ca_key.as_ref(), arg("-out"), ca.as_ref()])?;
    openssl(&[
        arg("-subj"),
        arg("/CN=grafana"),
        arg("-addext"),
        arg("subjectAltName=IP:127.0.0.1"),
        arg("-addext"),
        arg("basicConstraints=critical,CA:FALSE"),
        arg("-CA"),
        ca.as_ref(),
        arg("-CAkey"),
        ca_key.as_ref(),
        arg("-keyout"),
        key.as_ref(),
        arg("-out"),
        certificate.as_ref(),
    ])?;
    Some([ca, certificate, key])
}
