// Package page shows a [health.Snapshot] to people, as one HTML page.
//
// The page is in templates: page.html is the frame, origin.html has what is shown of one upstream, parts.html
// has the small pieces, and page.css is the style. testdata has the page in ten states, to be opened in a
// browser.
//
// The page fetches nothing and runs no script. Its Content-Security-Policy allows exactly one style sheet, by
// hash. html/template escapes every text. Each text also passes the template function text, which bounds its
// length and makes invisible characters visible: texts can come from certificates and peers. Texts that
// somebody else wrote are isolated in a bdi element.
//
// Start reading at Handler in page.go. summary.go decides what the page says first: whether it works and, if
// not, what is wrong and what to change.
package page
