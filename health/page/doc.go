// Package page shows a [health.Snapshot] to people, as one HTML page.
//
// The page is in three template files: page.html is the frame, origin.html shows one upstream, parts.html has
// the small pieces. page.css is the style. testdata has the page in each state; a browser shows them as
// pgorigin does. go generate compiles the templates to Go code with quicktemplate, so the compiler checks
// every name in them.
//
// The page fetches nothing and runs no script. Its Content-Security-Policy allows exactly one style sheet, by
// hash. Templates escape every text. A text from a certificate, a peer or the configuration also passes the
// function text, which bounds its length and shows invisible characters. Texts that somebody else wrote are
// isolated in a bdi element.
//
// Start reading at Handler in page.go. summary.go decides what the page says first: whether pgorigin works
// and, if not, what is wrong and what to change.
package page
