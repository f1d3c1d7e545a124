// Package hostile attacks the built pgorigin from outside: as a man in the middle with a valid certificate, as a hostile
// but verified upstream, as a peer that has proved nothing, as a client, and as the machine it runs on.
//
// "make hostile" runs it. It has the build tag "hostile", because it needs Node.js and judges of other suites. It knows
// README and documentation, and imports nothing of the product but its maker of certificates. Real clients are the
// judges: psql with two versions of libpq, pgx, lib/pq and node-postgres. A test passes if no secret leaves, no login is
// forged, and the budgets hold.
//
// An impostor is a scripted upstream. The application_name of a login chooses its script and finds its record again.
package hostile
