// Package display draws the events of a build: on a terminal, as plain text, as JSON, or not at all.
//
// A [Display] takes in events and is told in the end what the build came to. In between it keeps one
// [State], the sum of the events; the drawings are functions of it that give text, and know neither
// clocks nor files. Two kinds of text are told apart everywhere: what a command wrote, and all other.
// The latter is escaped wherever it goes, the former on a terminal, so that neither can do more than be
// read.
//
// # JSON
//
// In mode JSON every line is an object. The names are stable; members that would be empty or 0 are left
// out, except in summary and failure.
//
//	time      when it happened (RFC 3339)
//	action    start, cached, output, done, failed, progress, warning, notice (see solver.Action)
//	number    the number of the step that it is about, from 1 in order of appearance
//	vertex    the digest of that step
//	step      what the step is, with start and cached and where it is known: stage, index, total
//	          (the index-th of total steps of the stage), text (the instruction), and its place in
//	          the Dockerfile: file, start, end (lines)
//	platform  what the step is done for
//	text      the reason of a start, the text of a warning or notice, the name of a transfer
//	output    whole lines of what the step's command wrote; what is not UTF-8 is replaced
//	current   bytes of the transfer that have been moved
//	total     bytes of the transfer, once that is known
//	seconds   how long the step ran, with done and failed
//	error     why the step failed
//
// The last object has the action summary or failure:
//
//	summary   time, seconds, run, cached (numbers of steps), warnings (their number),
//	          images (each with platform, digest, size), index (its digest), outputs
//	failure   time, seconds, number, vertex (of the step that failed), output (an array of the last
//	          lines it wrote), excerpt (of the Dockerfile), hints (an array), error
package display
