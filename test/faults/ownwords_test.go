package faults

// ownWords are regular expressions, by the names of faults. The status page names no user and no database,
// because everybody may read it. So it does not repeat a message of the server that does: it says in words of
// its own what the message means.
func ownWords() map[string]string {
	const password, limit = `password is wrong`, `time limit of the upstream`
	return map[string]string{
		"the password is wrong":                                 password,
		"the user does not exist":                               `user does not exist`,
		"the user may not log in":                               `user may not log in`,
		"the password is out of date":                           password,
		"the database does not exist":                           `database does not exist`,
		"the database takes no connections":                     `takes no connections`,
		"the user may not connect to the database":              `may not connect to the database`,
		"the user has too many connections":                     `limit is that of the user`,
		"the database has too many connections":                 `limit is that of the database`,
		"no rule of pg_hba.conf fits":                           `pg_hba\.conf .* does not allow`,
		"a rule of pg_hba.conf rejects":                         `pg_hba\.conf .* does not allow`,
		"the client asks for a setting that does not exist":     `refuses a parameter.*nosuch`,
		"pgbouncer: the password is wrong":                      `refuses the password`,
		"pgbouncer: the user is not in its list":                `does not know the user`,
		"pgbouncer: the database is not in its list":            `no such database`,
		"pgbouncer: the database is disabled":                   `disabled`,
		"pgbouncer: all connections of the pool are taken":      `no server connection`,
		"pgbouncer: a parameter of the client is not supported": `parameter of the client.*options`,
		"pgbouncer: PostgreSQL does not let it in":              `refuses the password that the pooler has|cannot log in`,
		"pgbouncer: PostgreSQL behind it is down":               `cannot log in to the server behind it`,
		"the password file has an old password":                 `refused the password that pgorigin has`,
		"PostgreSQL logs in by certificate, of another user":    `for another user`,
		"the session is idle for too long":                      limit + `.*idle_session_timeout`,
		"a transaction is idle for too long":                    limit + `.*idle_in_transaction_session_timeout`,
		"pgbouncer: the client is idle for too long":            limit + `.*client_idle_timeout`,
		"pgbouncer: a transaction is idle for too long":         limit + `.*idle_transaction_timeout`,
		"pgbouncer: a query takes too long":                     limit + `.*query_timeout`,
	}
}
