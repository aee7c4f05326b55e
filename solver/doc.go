// Package solver turns a graph of vertices into file trees, running as little as it can.
//
// A [Vertex] says what to do, a [Tree] is what came out: a list of layers. A [Worker] knows how each
// operation is done, a [Cache] remembers what it gave; this package knows neither files nor processes,
// only the order of things, and runs on any system.
//
// # The scheduler
//
// Every reachable vertex is a once-function. Solving one solves its inputs side by side, looks the
// result up, takes a slot, runs, and stores. There is no queue, no event loop and no state machine:
// what waits for what is the call graph of ordinary functions. The first failure cancels everything
// else and is the one reported.
//
// # Two names for one step
//
// A step is looked up under two keys, both hashes of a readable text (see key.go).
//
// Its content key names every input by what it holds. It is the truth: equal keys mean equal results,
// whatever way the inputs came about, so a step that ran again and gave the same content does not rerun
// what follows. But it can only be computed when the inputs exist.
//
// Its definition key names every input by how it is made, down to the digests of base images and of
// the files copied from a context. It is known before anything runs, so all of them are looked up
// at once, however far away the cache is, and a stage of which nothing is needed is not even looked at.
// A record found this way is a prediction: it says on which trees the result was made, and is used only
// if those are the trees the records of the inputs give today. When it cannot be used the content key
// decides.
//
// A step that has no record under any key cannot hit, so it does not wait for its inputs to be hashed:
// that happens beside it, while it runs.
package solver
