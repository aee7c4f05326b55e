// Package frontend turns a Dockerfile into a graph of [solver.Vertex] and the config of the image it makes.
//
// The language is that of BuildKit's Dockerfile frontend, version 1.26: its parser packages read the file,
// and what an instruction means, down to the texts of the history, is what docker build makes of it. What
// cannot be honoured is an error, never ignored.
//
// # From text to graph
//
// [Lower] goes through four steps, each of which makes one value that the next one reads:
//
//   - parse: bytes to instructions (dockerfile). Limits on size are checked before anything is expanded.
//   - plan: which stages there are, what each begins from and copies from (plan). Nothing is looked up.
//   - resolve: from the target down, all names that it needs are turned into digests, side by side (origin).
//     A stage that nothing leads to is never looked at. This is the only place where a name is resolved;
//     commits of ADD are the exception, because their addresses can hold variables of the stage.
//   - lower: stage by stage, instruction by instruction, vertices and config come about (state).
//
// Instructions that only change the config make no vertex; operations carry all that matters to their
// result. Lowering the same text for several platforms gives equal vertices where the platform does not
// matter, so that such steps run once.
//
// All input and output goes through the [Resolver] that the caller provides.
package frontend
