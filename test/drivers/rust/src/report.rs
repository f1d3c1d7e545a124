//! The account from the environment, and a line of JSON per check.

use futures_util::{future, stream, StreamExt};
use std::{error::Error, fmt::Debug, future::Future, time::Duration};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

pub type Outcome = Result<(), Box<dyn Error>>;

pub enum Account {
    Main,
    /// Letters beyond ASCII in every name.
    Other,
}

pub fn env(name: &str) -> String {
    std::env::var(format!("DRIVER_{name}")).unwrap_or_default()
}

/// Logs in; notices and notifications arrive on the second value.
pub async fn connect(
    account: Account,
    password: Option<&str>,
) -> Result<(Client, mpsc::UnboundedReceiver<AsyncMessage>), Box<dyn Error>> {
    let prefix = match account {
        Account::Main => "",
        Account::Other => "OTHER_",
    };
    let (client, mut connection) = Config::new()
        .host(&env("HOST"))
        .port(env("PORT").parse()?)
        .user(&env(&format!("{prefix}USER")))
        .password(password.map(str::to_string).unwrap_or_else(|| env(&format!("{prefix}PASSWORD"))))
        .dbname(&env(&format!("{prefix}DATABASE")))
        .connect_timeout(Duration::from_secs(30))
        .connect(NoTls)
        .await?;
    let (messages, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        stream::poll_fn(move |cx| connection.poll_message(cx))
            .take_while(|message| future::ready(message.is_ok()))
            .for_each(|message| {
                if let Ok(message) = message {
                    let _ = messages.send(message); // the check may not listen
                }
                future::ready(())
            })
            .await
    });
    Ok((client, received))
}

pub fn equal<T: PartialEq + Debug>(got: T, want: T) -> Outcome {
    if got == want {
        return Ok(());
    }
    Err(format!("got {:.100}, want {:.100}", format!("{got:?}"), format!("{want:?}")).into())
}

/// The message of an error with those of its causes, where tokio-postgres keeps the server's words.
pub fn words(error: &(dyn Error + 'static)) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", words(cause)),
        None => error.to_string(),
    }
}

/// Runs a check and prints its line.
pub async fn check(name: &str, run: impl Future<Output = Outcome>) {
    match run.await {
        Ok(()) => line(name, "true", ""),
        Err(error) => line(name, "false", &words(&*error)),
    }
}

/// Prints the line of a check that the driver cannot do, or that should have failed otherwise.
pub fn limit(name: &str, note: &str, error: &Option<String>) {
    match error {
        None => line(name, "null", note),
        Some(error) => line(name, "false", error),
    }
}

fn line(name: &str, ok: &str, note: &str) {
    println!(r#"{{"check": "{name}", "ok": {ok}, "note": "{}"}}"#, escaped(note));
}

pub fn version(version: &str) {
    println!(r#"{{"version": "{}"}}"#, version.replace("postgres-", "postgres "));
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => "\\\"".to_string(),
            '\\' => "\\\\".to_string(),
            c if c.is_control() => " ".to_string(),
            c => c.to_string(),
        })
        .collect()
}

/// Says that this program is ready for a restart of its server, and returns when that is over.
pub fn await_restart() {
    println!(r#"{{"waiting": "restart"}}"#);
    let _ = std::io::stdin().read_line(&mut String::new()); // at the end of input there is nothing to wait for
}
