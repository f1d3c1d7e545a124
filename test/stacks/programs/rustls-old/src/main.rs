//! Judges servers as an application on rustls 0.20, whose only cryptography is ring, would.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

const STARTUP: &[u8] = b"\0\0\0\x1f\0\x03\0\0user\0app\0database\0app\0\0";

fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let job: Vec<&str> = line.split(' ').collect();
        match connect(job[1], job[2], job[3]) {
            Ok(()) => println!("{}\tconnects\t\"\"", job[0]),
            Err(err) => println!("{}\tfails\t\"{}\"", job[0], err.to_string().replace('\\', "/").replace('"', "'")),
        }
    }
}

fn connect(port: &str, ca: &str, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    plain.set_read_timeout(Some(Duration::from_secs(8)))?;
    let mut answer = [0];
    if ca == "-" { // without TLS
        plain.write_all(STARTUP)?;
        return Ok(plain.read_exact(&mut answer)?);
    }
    let mut roots = rustls::RootCertStore::empty();
    for der in rustls_pemfile::certs(&mut BufReader::new(std::fs::File::open(ca)?))? {
        roots.add(&rustls::Certificate(der))?;
    }
    let config = rustls::ClientConfig::builder()
        .with_safe_defaults()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = rustls::ClientConnection::new(Arc::new(config), rustls::ServerName::try_from(name)?)?;
    plain.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f")?;
    plain.read_exact(&mut answer)?;
    let mut secured = rustls::Stream::new(&mut client, &mut plain);
    secured.write_all(STARTUP)?;
    if secured.read(&mut answer)? == 0 {
        return Err(Error::new(ErrorKind::Other, "closed").into());
    }
    Ok(())
}
