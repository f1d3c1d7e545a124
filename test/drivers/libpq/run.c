/*
 * The checks of the driver matrix with libpq itself. It is linked with whatever libpq it finds at run time, so the same
 * program serves several versions; what only newer ones have is looked up by name.
 */
#define _GNU_SOURCE
#include "report.h"

#include <dlfcn.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LARGE (8 << 20)
#define TEXT "Gr\xc3\xbc\xc3\x9f" "e, \xe4\xb8\x96\xe7\x95\x8c, \xf0\x9f\x90\x98, e\xcc\x81"

static PGconn *connect_as(const char *prefix, const char *password)
{
	char user[32], secret[32], database[32];
	snprintf(user, sizeof user, "%sUSER", prefix);
	snprintf(secret, sizeof secret, "%sPASSWORD", prefix);
	snprintf(database, sizeof database, "%sDATABASE", prefix);
	int tls = *env("CA_FILE") != 0;
	/* protocol 3.2 has to be asked for, by a parameter that older versions do not know */
	const char *protocol = *env("PROTOCOL") ? "max_protocol_version" : NULL;
	const char *names[] = {"host", "port", "user", "password", "dbname", "connect_timeout", "client_encoding", "sslmode",
		tls ? "sslrootcert" : "application_name", protocol, NULL};
	const char *values[] = {env("HOST"), env("PORT"), env(user), password ? password : env(secret), env(database), "30",
		"UTF8", tls ? "verify-full" : "disable", tls ? env("CA_FILE") : "libpq", env("PROTOCOL"), NULL};
	PGconn *conn = PQconnectdbParams(names, values, 0);
	/* pgbouncer's words for a version of the protocol that it does not know */
	if (protocol && strstr(PQerrorMessage(conn), "bad packet header"))
		snprintf(cannot, sizeof cannot, "pgbouncer 1.18 refuses protocol %s instead of negotiating", env("PROTOCOL"));
	if (PQstatus(conn) != CONNECTION_OK && !password)
		fail("connect: %s", PQerrorMessage(conn));
	return conn;
}

static PGconn *connect_main(void) { return connect_as("", NULL); }

/* keep checks how a query ended, and returns the first value, valid until the next call. */
static const char *keep(PGresult *result)
{
	static PGresult *last;
	PQclear(last);
	last = result;
	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		fail("query: %s", PQresultErrorMessage(result));
	return PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
}

static void equal(const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fail("got %.100s, want %.100s", got, want);
}

static void login(void)
{
	PGconn *conn = connect_main();
	equal(keep(PQexec(conn, "SELECT current_user")), env("USER"));
	PQfinish(conn);
}

static void wrong_password(void)
{
	PGconn *conn = connect_as("", "not-the-one");
	if (PQstatus(conn) == CONNECTION_OK)
		fail("a wrong password was accepted");
	else if (!strstr(PQerrorMessage(conn), env("REFUSAL")))
		fail("not the server's words: %s", PQerrorMessage(conn));
	PQfinish(conn);
}

/* An integer and a byte string in binary, the rest as text. */
static void parameters(void)
{
	PGconn *conn = connect_main();
	const char number[8] = {(char) 0xc0, 0, 0, 0, 0, 0, 0, 0}, bytes[5] = {0, 1, (char) 0x80, (char) 0xff, '\''};
	const char *values[] = {number, "0.1", "t", bytes, "{a,\"b,c\"}", NULL};
	const Oid types[] = {20, 701, 16, 17, 1009, 25};
	const int lengths[] = {8, 0, 0, 5, 0, 0}, formats[] = {1, 0, 0, 1, 0, 0};
	PGresult *row = PQexecParams(conn, "SELECT $1, $2, $3, $4, $5, $6", 6, types, values, lengths, formats, 0);
	equal(keep(row), "-4611686018427387904");
	if (!why[0]) {
		equal(PQgetvalue(row, 0, 1), "0.1");
		equal(PQgetvalue(row, 0, 2), "t");
		equal(PQgetvalue(row, 0, 3), "\\x000180ff27");
		equal(PQgetvalue(row, 0, 4), "{a,\"b,c\"}");
		if (!PQgetisnull(row, 0, 5))
			fail("a null came back as a value");
	}
	PQfinish(conn);
}

static void prepared(void)
{
	PGconn *conn = connect_main();
	keep(PQprepare(conn, "double", "SELECT $1::int * 2", 1, NULL));
	for (int i = 0; i < 5; i++) {
		char sent[12], want[12];
		const char *values[] = {sent};
		snprintf(sent, sizeof sent, "%d", i);
		snprintf(want, sizeof want, "%d", 2 * i);
		equal(keep(PQexecPrepared(conn, "double", 1, values, NULL, NULL, 0)), want);
	}
	PQfinish(conn);
}

static void pipeline(void)
{
	PGconn *conn = connect_main();
	int sum = 0;
	if (!PQenterPipelineMode(conn))
		fail("no pipeline: %s", PQerrorMessage(conn));
	for (int i = 0; i < 10; i++) {
		char sent[12];
		const char *values[] = {sent};
		snprintf(sent, sizeof sent, "%d", i);
		if (!PQsendQueryParams(conn, "SELECT $1::int", 1, NULL, values, NULL, NULL, 0))
			fail("send: %s", PQerrorMessage(conn));
	}
	if (!PQpipelineSync(conn))
		fail("sync: %s", PQerrorMessage(conn));
	for (int i = 0; i < 10 && !why[0]; i++) {
		sum += atoi(keep(PQgetResult(conn)));
		if (PQgetResult(conn))
			fail("more than one result");
	}
	if (sum != 45)
		fail("the sum is %d", sum);
	PQfinish(conn);
}

static void copy(void)
{
	PGconn *conn = connect_main();
	int rows = 0;
	char *line;
	keep(PQexec(conn, "CREATE TEMP TABLE copied (n int, t text)"));
	PQclear(PQexec(conn, "COPY copied FROM STDIN"));
	for (int i = 0; i < 1000; i++) {
		char text[40];
		int n = snprintf(text, sizeof text, "%d\trow %d\n", i, i);
		if (PQputCopyData(conn, text, n) != 1)
			fail("copy in: %s", PQerrorMessage(conn));
	}
	PQputCopyEnd(conn, NULL);
	keep(PQgetResult(conn));
	PQclear(PQgetResult(conn));
	PQclear(PQexec(conn, "COPY copied TO STDOUT"));
	while (PQgetCopyData(conn, &line, 0) > 0) {
		rows++;
		PQfreemem(line);
	}
	if (rows != 1000)
		fail("%d rows came back", rows);
	PQfinish(conn);
}

static void hear(void *heard, const char *message) { snprintf(heard, 100, "%s", message); }

static void notice(void)
{
	char heard[100] = "";
	PGconn *conn = connect_main();
	PQsetNoticeProcessor(conn, hear, heard);
	keep(PQexec(conn, "DO $$ BEGIN RAISE NOTICE 'look here'; END $$"));
	equal(heard, "NOTICE:  look here\n");
	PQfinish(conn);
}

static void notify(void)
{
	PGconn *conn = connect_main(), *other = connect_main();
	PGnotify *heard = NULL;
	char sql[100];
	struct pollfd readable = {PQsocket(conn), POLLIN, 0};
	snprintf(sql, sizeof sql, "LISTEN driver_%d", getpid());
	keep(PQexec(conn, sql));
	snprintf(sql, sizeof sql, "NOTIFY driver_%d, 'hello'", getpid());
	keep(PQexec(other, sql));
	while (!why[0] && !(heard = PQnotifies(conn)))
		if (poll(&readable, 1, 30000) != 1 || !PQconsumeInput(conn))
			fail("no notification: %s", PQerrorMessage(conn));
	equal(heard ? heard->extra : "", "hello");
	PQfreemem(heard);
	PQfinish(conn);
	PQfinish(other);
}

/* send_cancel uses the call of libpq 17, which encrypts where the connection does, if this libpq has it. */
static void send_cancel(PGconn *conn)
{
	void *(*create)(PGconn *) = (void *(*) (PGconn *)) dlsym(RTLD_DEFAULT, "PQcancelCreate");
	int (*blocking)(void *) = (int (*)(void *)) dlsym(RTLD_DEFAULT, "PQcancelBlocking");
	char error[256] = "";
	if (create && blocking) {
		if (!blocking(create(conn)))
			fail("PQcancelBlocking failed");
		return;
	}
	PGcancel *cancel = PQgetCancel(conn);
	if (!PQcancel(cancel, error, sizeof error))
		fail("PQcancel: %s", error);
	PQfreeCancel(cancel);
	if (*env("CA_FILE"))
		snprintf(note, sizeof note, "libpq before 17 sends cancel requests in plaintext, also of a verify-full session");
}

static void cancel(void)
{
	PGconn *conn = connect_main(), *other = connect_main();
	char sql[200];
	time_t end = time(NULL) + 30;
	snprintf(sql, sizeof sql, "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = %s",
		keep(PQexec(conn, "SELECT pg_backend_pid()")));
	PQsendQuery(conn, "SELECT pg_sleep(30)");
	while (!why[0] && strcmp(keep(PQexec(other, sql)), "t") != 0) {
		usleep(10000);
		if (time(NULL) > end)
			fail("the query did not start");
	}
	if (!why[0])
		send_cancel(conn);
	PGresult *ended = PQgetResult(conn);
	const char *state = PQresultErrorField(ended, PG_DIAG_SQLSTATE);
	equal(state ? state : "no error", "57014");
	PQfinish(conn);
	PQfinish(other);
}

static void large(void)
{
	PGconn *conn = connect_main();
	char *value = malloc(LARGE + 1);
	const char *values[] = {value};
	for (int i = 0; i < LARGE; i++)
		value[i] = "0123456789abcdef"[i % 16];
	value[LARGE] = 0;
	if (strcmp(keep(PQexecParams(conn, "SELECT $1::text", 1, NULL, values, NULL, NULL, 0)), value) != 0)
		fail("the value changed");
	PQfinish(conn);
}

static void unicode(void)
{
	PGconn *conn = connect_as("OTHER_", NULL);
	const char *values[] = {TEXT};
	PGresult *row = PQexecParams(conn, "SELECT current_user, current_database(), $1::text", 1, NULL, values, NULL, NULL, 0);
	equal(keep(row), env("OTHER_USER"));
	if (!why[0]) {
		equal(PQgetvalue(row, 0, 1), env("OTHER_DATABASE"));
		equal(PQgetvalue(row, 0, 2), TEXT);
	}
	PQfinish(conn);
}

static void restart(void)
{
	PGconn *conn = connect_main();
	char line[10];
	puts("{\"waiting\": \"restart\"}");
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		fail("nobody restarts the server");
	PGresult *result = PQexec(conn, "SELECT 1");
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		fail("the connection outlived its server");
	PQreset(conn);
	equal(keep(PQexec(conn, "SELECT current_user")), env("USER"));
	PQclear(result);
	PQfinish(conn);
}

int main(void)
{
	const struct { const char *name; void (*run)(void); } checks[] = {
		{"login", login}, {"wrong password", wrong_password}, {"parameters", parameters}, {"prepared", prepared},
		{"pipeline", pipeline}, {"copy", copy}, {"notice", notice}, {"notify", notify}, {"cancel", cancel},
		{"large", large}, {"unicode", unicode}, {"restart", restart},
	};
	printf("{\"version\": \"libpq %d.%d\"}\n", PQlibVersion() / 10000, PQlibVersion() % 10000);
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		why[0] = note[0] = cannot[0] = 0;
		checks[i].run();
		report(checks[i].name);
	}
	return 0;
}
