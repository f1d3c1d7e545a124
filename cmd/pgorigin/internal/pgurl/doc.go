// Package pgurl reads a connection URL as applications have it, such as
// postgres://app:secret@db.example.com:5432/app?sslmode=require.
//
// It knows how libpq reads a URL, and which schemes the drivers of other languages have. It can show a URL
// without its secrets, and it can make the URL that leads to pgorigin instead. It must not know what pgorigin
// does with a URL: no settings, no files, no environment. No error repeats a user or a password.
//
// Start reading in parse.go. lead.go makes the URL that leads elsewhere.
package pgurl
