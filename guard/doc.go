// Package guard finds the secrets of a build in what the build makes.
//
// A secret that a build was given belongs in no layer, config, log or record. A [Guard] knows the secrets and
// looks for their bytes: in one piece ([Guard.Find]), in a stream ([Guard.Reader]), or to take them out of what
// is shown ([Guard.Mask], [Masker]). It never writes a secret anywhere.
//
// # What counts
//
// A secret is looked for without the line ends it ends with, as it is and in base64: in the standard and the
// URL alphabet, wherever in the encoded text it begins, and wrapped as base64(1) and openssl(1) do it. One
// that is shorter than [MinLength] is not looked for: a few bytes come up by chance. Of one that is longer
// than [MaxLength] that many count. What is compressed, encrypted or encoded in another way is not found.
//
// # What it costs
//
// Nothing without secrets. With them every byte of a layer is looked at once while it is read anyway, by a
// search that skips most bytes and does not slow down as patterns are added.
package guard
