//! Logs in by each URL with tokio-postgres, and uses the session. Prints a line for each: "works", or what failed.
//!
//! A URL of tokio-postgres has no CA file, and what it verifies is up to the program. This one keeps the default of
//! native-tls: it verifies by the CAs of the system, which SSL_CERT_FILE replaces.

mod tls;

use std::{error::Error, time::Duration};
use tokio_postgres::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut urls: Vec<String> = std::env::args().skip(1).collect();
    if urls.is_empty() {
        urls.push(std::env::var("DATABASE_URL").unwrap_or_default());
    }
    for url in urls {
        match works(&url).await {
            Ok(()) => println!("works"),
            Err(error) => println!("{}", words(&*error).split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }
}

fn words(error: &(dyn Error + 'static)) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", words(cause)),
        None => error.to_string(),
    }
}

fn connector() -> Result<tls::Tls, Box<dyn Error>> {
    Ok(tls::Tls(native_tls::TlsConnector::new()?))
}

async fn connect(url: &str) -> Result<Client, Box<dyn Error>> {
    let (client, connection) = tokio_postgres::connect(url, connector()?).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn works(url: &str) -> Result<(), Box<dyn Error>> {
    let (mut client, other) = (connect(url).await?, connect(url).await?);
    client.batch_execute("CREATE TEMP TABLE kept (n int)").await?;
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO kept VALUES ($1)", &[&1i32]).await?;
    transaction.commit().await?;
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO kept VALUES ($1)", &[&2i32]).await?;
    transaction.rollback().await?;
    let row = client.query_one("SELECT count(*), pg_backend_pid() FROM kept", &[]).await?;
    if row.get::<_, i64>(0) != 1 {
        return Err(format!("transaction: {} rows", row.get::<_, i64>(0)).into());
    }
    let pid: i32 = row.get(1);
    let asleep = "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1";
    let cancelling = async {
        while !other.query_one(asleep, &[&pid]).await?.get::<_, bool>(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        client.cancel_token().cancel_query(connector()?).await?;
        Ok::<(), Box<dyn Error>>(())
    };
    let (slept, cancelled) = tokio::join!(client.batch_execute("SELECT pg_sleep(30)"), cancelling);
    cancelled?;
    match slept.err().and_then(|error| error.code().map(|code| code.code().to_string())) {
        Some(code) if code == "57014" => Ok(()),
        code => Err(format!("cancel: {code:?}").into()),
    }
}
