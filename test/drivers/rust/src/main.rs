//! The checks of the driver matrix with tokio-postgres, built without a TLS feature: the application that pgorigin was
//! made for.

mod report;

use futures_util::{future, pin_mut, SinkExt, TryStreamExt};
use report::{check, connect, env, equal, Account, Outcome};
use std::time::{Duration, SystemTime};
use tokio_postgres::{types::ToSql, AsyncMessage, NoTls};

const TEXT: &str = "Grüße, 世界, \u{1F418}, e\u{301}";
const NO_TLS: &str = "built without TLS: the server refuses it without pgorigin";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    report::version(env!("DRIVER_CRATE_VERSION"));
    if !env("CA_FILE").is_empty() {
        return direct().await;
    }
    check("login", login()).await;
    check("wrong password", wrong_password()).await;
    check("parameters", parameters()).await;
    check("prepared", prepared()).await;
    check("pipeline", pipeline()).await;
    check("copy", copy()).await;
    check("notice", notice()).await;
    check("notify", notify()).await;
    check("cancel", cancel()).await;
    check("large", large()).await;
    check("unicode", unicode()).await;
    check("restart", restart()).await;
}

/// Nothing is possible without TLS, which is the point; it must be the server that says so.
async fn direct() {
    let error = match connect(Account::Main, None).await {
        Ok(_) => Some("a server that demands TLS let a plaintext client in".to_string()),
        Err(error) if !report::words(&*error).contains("SSL required") && !report::words(&*error).contains("no encryption") => {
            Some(format!("not the server's refusal: {}", report::words(&*error)))
        }
        Err(_) => None,
    };
    for name in [
        "login", "wrong password", "parameters", "prepared", "pipeline", "copy", "notice", "notify", "cancel", "large",
        "unicode",
    ] {
        report::limit(name, NO_TLS, &error);
    }
    report::await_restart();
    report::limit("restart", NO_TLS, &error);
}

async fn login() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    equal(client.query_one("SELECT current_user::text", &[]).await?.get::<_, &str>(0), env("USER").as_str())
}

async fn wrong_password() -> Outcome {
    match connect(Account::Main, Some("not-the-one")).await {
        Ok(_) => Err("a wrong password was accepted".into()),
        Err(error) if report::words(&*error).contains(&env("REFUSAL")) => Ok(()),
        Err(error) => Err(format!("not the server's words: {}", report::words(&*error)).into()),
    }
}

async fn parameters() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    let when = SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_210_096_789);
    let (bytes, list) = (b"\0\x01\x80\xff'".to_vec(), vec!["a".to_string(), "b,c".to_string()]);
    let row = client
        .query_one(
            "SELECT $1::bigint, $2::float8, $3::bool, $4::bytea, $5::timestamptz, $6::text[], $7::text",
            &[&(-1i64 << 62) as &(dyn ToSql + Sync), &0.1f64, &true, &bytes, &when, &list, &None::<String>],
        )
        .await?;
    equal(row.get::<_, i64>(0), -1i64 << 62)?;
    equal(row.get::<_, f64>(1), 0.1)?;
    equal(row.get::<_, bool>(2), true)?;
    equal(row.get::<_, Vec<u8>>(3), bytes)?;
    equal(row.get::<_, SystemTime>(4), when)?;
    equal(row.get::<_, Vec<String>>(5), list)?;
    equal(row.get::<_, Option<String>>(6), None)
}

async fn prepared() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    let statement = client.prepare("SELECT $1::int * 2").await?;
    for i in 0..5i32 {
        equal(client.query_one(&statement, &[&i]).await?.get::<_, i32>(0), 2 * i)?;
    }
    Ok(())
}

/// Futures that are polled together are pipelined.
async fn pipeline() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    let statement = client.prepare("SELECT $1::int").await?;
    let (client, statement) = (&client, &statement);
    let rows = future::try_join_all((0..10i32).map(|i| async move { client.query_one(statement, &[&i]).await })).await?;
    equal(rows.iter().map(|row| row.get::<_, i32>(0)).sum::<i32>(), 45)
}

async fn copy() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    client.batch_execute("CREATE TEMP TABLE copied (n int, t text)").await?;
    let sink = client.copy_in("COPY copied FROM STDIN").await?;
    pin_mut!(sink);
    for i in 0..1000 {
        sink.send(std::io::Cursor::new(format!("{i}\trow {i}\n").into_bytes())).await?;
    }
    equal(sink.finish().await?, 1000)?;
    let out = client.copy_out("COPY copied TO STDOUT").await?;
    let chunks: Vec<_> = out.map_ok(|chunk| chunk.to_vec()).try_collect().await?;
    equal(String::from_utf8(chunks.concat())?.matches("row ").count(), 1000)
}

async fn notice() -> Outcome {
    let (client, mut messages) = connect(Account::Main, None).await?;
    client.batch_execute("DO $$ BEGIN RAISE NOTICE 'look here'; END $$").await?;
    match messages.recv().await {
        Some(AsyncMessage::Notice(notice)) => equal(notice.message(), "look here"),
        _ => Err("no notice".into()),
    }
}

async fn notify() -> Outcome {
    let (client, mut messages) = connect(Account::Main, None).await?;
    let (other, _) = connect(Account::Main, None).await?;
    let channel = format!("driver_{}", std::process::id());
    client.batch_execute(&format!("LISTEN {channel}")).await?;
    other.execute("SELECT pg_notify($1, 'hello')", &[&channel]).await?;
    match tokio::time::timeout(Duration::from_secs(30), messages.recv()).await? {
        Some(AsyncMessage::Notification(notification)) => equal(notification.payload(), "hello"),
        _ => Err("no notification".into()),
    }
}

async fn cancel() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    let (other, _) = connect(Account::Main, None).await?;
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let asleep = "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1";
    let cancelling = async {
        while !other.query_one(asleep, &[&pid]).await?.get::<_, bool>(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        client.cancel_token().cancel_query(NoTls).await
    };
    let (slept, cancelled) = future::join(client.batch_execute("SELECT pg_sleep(30)"), cancelling).await;
    cancelled?;
    let error = slept.err().ok_or("the query was not cancelled")?;
    equal(error.code().map(|code| code.code()), Some("57014"))
}

async fn large() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    let value = "0123456789abcdef".repeat(8 << 16);
    let row = client.query_one("SELECT $1::text", &[&value]).await?;
    equal(row.get::<_, &str>(0) == value, true)
}

async fn unicode() -> Outcome {
    let (client, _) = connect(Account::Other, None).await?;
    let row = client.query_one("SELECT current_user::text, current_database()::text, $1::text", &[&TEXT]).await?;
    equal(row.get::<_, &str>(0), env("OTHER_USER").as_str())?;
    equal(row.get::<_, &str>(1), env("OTHER_DATABASE").as_str())?;
    equal(row.get::<_, &str>(2), TEXT)
}

async fn restart() -> Outcome {
    let (client, _) = connect(Account::Main, None).await?;
    report::await_restart();
    if client.batch_execute("SELECT 1").await.is_ok() {
        return Err("the connection outlived its server".into());
    }
    login().await
}
