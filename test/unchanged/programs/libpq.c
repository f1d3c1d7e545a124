/*
 * Logs in by each URL with libpq, and uses the session. Prints a line for each: "works", or what failed. It is linked
 * with whatever libpq it finds at run time; what only newer ones have is looked up by name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int cancel(PGconn *conn)
{
	void *(*create)(PGconn *) = (void *(*)(PGconn *)) dlsym(RTLD_DEFAULT, "PQcancelCreate");
	int (*blocking)(void *) = (int (*)(void *)) dlsym(RTLD_DEFAULT, "PQcancelBlocking");
	char problem[200];
	if (create && blocking)
		return blocking(create(conn));
	return PQcancel(PQgetCancel(conn), problem, sizeof problem);
}

static const char *works(const char *url)
{
	static char said[1000];
	PGconn *conn = PQconnectdb(url), *other = PQconnectdb(url);
	if (PQstatus(conn) != CONNECTION_OK)
		return PQerrorMessage(conn);
	if (PQstatus(other) != CONNECTION_OK)
		return PQerrorMessage(other);
	PQexec(conn, "CREATE TEMP TABLE kept (n int)");
	PQexec(conn, "BEGIN; INSERT INTO kept VALUES (1); COMMIT");
	PQexec(conn, "BEGIN; INSERT INTO kept VALUES (2); ROLLBACK");
	PGresult *row = PQexec(conn, "SELECT count(*), pg_backend_pid() FROM kept");
	if (PQresultStatus(row) != PGRES_TUPLES_OK || strcmp(PQgetvalue(row, 0, 0), "1") != 0) {
		snprintf(said, sizeof said, "transaction: %s", PQerrorMessage(conn));
		return said;
	}
	char sql[200];
	snprintf(sql, sizeof sql, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = %s", PQgetvalue(row, 0, 1));
	PQsendQuery(conn, "SELECT pg_sleep(30)");
	for (time_t end = time(NULL) + 20; PQntuples(PQexec(other, sql)) < 1 && time(NULL) < end;)
		usleep(10000);
	if (!cancel(conn))
		return "cancel: not sent";
	const char *state = PQresultErrorField(PQgetResult(conn), PG_DIAG_SQLSTATE);
	if (!state || strcmp(state, "57014") != 0)
		return "cancel: the query went on";
	PQfinish(conn);
	PQfinish(other);
	return "works";
}

static void report(const char *url)
{
	for (const char *c = works(url); *c; c++)
		if (*c != '\n' || c[1])
			putchar(*c == '\n' ? ' ' : *c);
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		report(getenv("DATABASE_URL"));
	for (int i = 1; i < argc; i++)
		report(argv[i]);
	return 0;
}
