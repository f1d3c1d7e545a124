//! Judges servers as an application on rustls would, with the provider of the features, or with none.

use rustls::pki_types::{pem::PemObject, CertificateDer, ServerName};
use std::io::{BufRead, Error, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

const STARTUP: &[u8] = b"\0\0\0\x1f\0\x03\0\0user\0app\0database\0app\0\0";

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let job: Vec<String> = line.split(' ').map(String::from).collect();
        let id = job[0].clone();
        let outcome = std::panic::catch_unwind(move || connect(&job[1], &job[2], &job[3]).map_err(|e| e.to_string()));
        match outcome {
            Ok(Ok(())) => println!("{id}\tconnects\t\"\""),
            Ok(Err(text)) => println!("{id}\tfails\t\"{}\"", text.replace('\\', "/").replace('"', "'").replace('\n', " ")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default();
                println!("{id}\tfails\t\"panicked: {}\"", text.trim().replace('"', "'").replace('\n', " "))
            }
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
    for cert in CertificateDer::pem_file_iter(ca)? {
        roots.add(cert?)?;
    }
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut client = rustls::ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_string())?)?;
    plain.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f")?;
    plain.read_exact(&mut answer)?;
    let mut secured = rustls::Stream::new(&mut client, &mut plain);
    secured.write_all(STARTUP)?;
    if secured.read(&mut answer)? == 0 {
        return Err(Error::other("closed").into());
    }
    Ok(())
}
