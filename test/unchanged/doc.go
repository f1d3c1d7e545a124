// Package unchanged shows that nothing changes in an application: real drivers, with the host name of their database
// and their sslmode baked in, meet pgorigin instead of the server.
//
// A network and a set of mounts of its own stand in for a pod. There, /etc/hosts leads db.prod.example.com to
// 127.0.0.1, where pgorigin listens, and a name server leads it to the real server. Other programs run under
// "pgorigin exec", with nothing but DATABASE_URL.
//
// "make unchanged" runs it, "make unchanged UPDATE=-update" writes its table in docs/reference/compatibility.md. It
// needs root.
//
// # A driver's program
//
// The programs lie in the folder programs, and for Go in test/drivers/go. A program takes URLs as arguments, or else
// the variable DATABASE_URL. For each URL it logs in, runs a transaction, cancels a query, and prints a line: "works",
// or what failed.
package unchanged
