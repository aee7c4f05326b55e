// Package httpclient holds the rules that every client of HTTP here follows.
//
// [Retry] says what is tried again and after which wait: overload, server errors, connections that break or
// stand still, but never a refusal. [Timeouts] bounds every phase of a request except its whole, and a [Watch]
// ends one whose bodies stand still. [Redirect] is where an answer may lead, and a [Guard] keeps away from
// link-local addresses, where clouds serve their metadata.
package httpclient
