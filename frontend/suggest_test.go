package frontend_test

import (
	"strings"
	"testing"
)

// The word that may have been meant is the same each time, also if several are as near.
func TestSuggestions(t *testing.T) {
	for line, want := range map[string]string{
		"COPY --cho=1 a /":                                    "unknown flag: --cho (did you mean chown?)",
		"COPY --chmon=1 a /":                                  "unknown flag: --chmon (did you mean chmod?)",
		"ADD --keepgitdir a /":                                "unknown flag: --keepgitdir (did you mean keep-git-dir?)",
		"RUN --moun=type=bind true":                           "unknown flag: --moun (did you mean mount?)",
		"HEALTHCHECK --start-perio=1s CMD true":               "unknown flag: --start-perio (did you mean start-period?)",
		"FROM --platfor=linux/amd64 scratch":                  "unknown flag: --platfor (did you mean platform?)",
		"COPY --bogus a /":                                    "unknown flag: --bogus",
		"RUN --mount=type=bin,target=/x true":                 `unsupported mount type "bin" (did you mean bind?)`,
		"RUN --mount=type=sh,target=/x true":                  `unsupported mount type "sh" (did you mean ssh?)`,
		"RUN --mount=target=/x,sharing=locker,id=a":           `unsupported sharing value "locker" (did you mean locked?)`,
		"ARG T=cach\nRUN --mount=type=$T,target=/x tru":       `unsupported mount type "cach" (did you mean cache?)`,
		"FROM scratch AS a\nONBUILD COPY --cho=1 a /\nFROM a": "unknown flag: --cho (did you mean chown?)",
	} {
		for range 20 {
			_, err := lowerText(t, "FROM alpine\n"+line+"\n")
			if err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Fatalf("%s: got %v, want %q", line, err, want)
			}
		}
	}
}
