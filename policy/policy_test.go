package policy

import (
	"errors"
	"strings"
	"testing"
)

const (
	alpine = "docker-image://docker.io/library/alpine:3.20"
	pinned = alpine + "@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
)

func TestEvaluate(t *testing.T) {
	for name, tt := range map[string]struct {
		rules string
		in    Source
		// want is the identifier; "denied" if the source is denied.
		want string
		attr string
	}{
		"no rules":          {`[]`, Source{Identifier: alpine}, alpine, ""},
		"another is denied": {`[{"action":"DENY","selector":{"identifier":"docker-image://x"}}]`, Source{Identifier: alpine}, alpine, ""},
		"denied":            {`[{"action":"DENY","selector":{"identifier":"` + alpine + `"}}]`, Source{Identifier: alpine}, "denied", ""},
		"denied by a wildcard": {
			`[{"action":"DENY","selector":{"identifier":"docker-image://docker.io/*"}}]`, Source{Identifier: alpine}, "denied", "",
		},
		"an exact star is none": {
			`[{"action":"DENY","selector":{"identifier":"docker-image://*","match_type":"EXACT"}}]`, Source{Identifier: alpine}, alpine, "",
		},
		"denied by an expression": {
			`[{"action":"DENY","selector":{"identifier":"alpine:[0-9]","match_type":"REGEX"}}]`, Source{Identifier: alpine}, "denied", "",
		},
		"the last that allows or denies counts": {
			`[{"action":"DENY","selector":{"identifier":"*"}},{"action":"ALLOW","selector":{"identifier":"docker-image://*"}}]`,
			Source{Identifier: alpine},
			alpine, "",
		},
		"allowed, then denied": {
			`[{"action":"ALLOW","selector":{"identifier":"docker-image://*"}},{"action":"DENY","selector":{"identifier":"*"}}]`,
			Source{Identifier: alpine},
			"denied", "",
		},
		"numbers as BuildKit has them": {`[{"action":1,"selector":{"identifier":"alpine","match_type":2}}]`, Source{Identifier: alpine}, "denied", ""},
		"pinned": {
			`[{"action":"CONVERT","selector":{"identifier":"` + alpine + `"},"updates":{"identifier":"` + pinned + `"}}]`,
			Source{Identifier: alpine},
			pinned, "",
		},
		"what a wildcard stands for": {
			`[{"action":"CONVERT","selector":{"identifier":"docker-image://docker.io/*:*"},"updates":{"identifier":"docker-image://mirror.example.com/${1}:$2"}}]`,
			Source{Identifier: alpine},
			"docker-image://mirror.example.com/library/alpine:3.20", "",
		},
		"what a group stands for": {
			`[{"action":"CONVERT","selector":{"identifier":"docker.io/library/([a-z]+)","match_type":"REGEX"},"updates":{"identifier":"example.com/$1"}}]`,
			Source{Identifier: alpine},
			"docker-image://example.com/alpine:3.20", "",
		},
		"converted, then denied": {
			`[{"action":"CONVERT","selector":{"identifier":"` + alpine + `"},"updates":{"identifier":"docker-image://bad"}},{"action":"DENY","selector":{"identifier":"*bad"}}]`,
			Source{Identifier: alpine},
			"denied", "",
		},
		"a checksum": {
			`[{"action":"CONVERT","selector":{"identifier":"https://example.com/*"},"updates":{"attrs":{"http.checksum":"sha256:00"}}}]`,
			Source{Identifier: "https://example.com/f"},
			"https://example.com/f", "sha256:00",
		},
		"only without a checksum": {
			`[{"action":"DENY","selector":{"identifier":"https://*","constraints":[{"key":"http.checksum","value":"","condition":"EQUAL"}]}}]`,
			Source{Identifier: "https://example.com/f", Attrs: map[string]string{"http.checksum": "sha256:11"}},
			"https://example.com/f", "sha256:11",
		},
		"a constraint that is an expression": {
			`[{"action":"DENY","selector":{"identifier":"https://*","constraints":[{"key":"http.checksum","value":"^$","condition":"MATCHES"}]}}]`,
			Source{Identifier: "https://example.com/f"},
			"denied", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(`{"version":1,"rules":` + tt.rules + `}`))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Evaluate([]*Policy{p}, tt.in)
			if _, ok := errors.AsType[*DeniedError](err); ok {
				got.Identifier, err = "denied", nil
			}
			if err != nil || got.Identifier != tt.want || got.Attrs["http.checksum"] != tt.attr {
				t.Errorf("got %+v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestLoop(t *testing.T) {
	p, err := Parse([]byte(`{"rules":[{"action":"CONVERT","selector":{"identifier":"*"},"updates":{"identifier":"${1}x"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate([]*Policy{p}, Source{Identifier: "a"}); !errors.Is(err, errLoop) {
		t.Errorf("got %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{`:             "unexpected EOF",
		`{"version":2}`: "version 2",
		`{"rules":[{"action":"REFUSE","selector":{"identifier":"x"}}]}`:                    "REFUSE",
		`{"rules":[{"action":7,"selector":{"identifier":"x"}}]}`:                           "7",
		`{"rules":[{"action":"DENY"}]}`:                                                    "rule 1: the selector needs",
		`{"rules":[{"action":"CONVERT","selector":{"identifier":"x"}}]}`:                   "needs updates",
		`{"rules":[{"action":"DENY","selector":{"identifier":"(","match_type":"REGEX"}}]}`: "missing closing",
		`{"rules":[{"action":"DENY","selector":{"identifier":"a**"}}]}`:                    "**",
		`{"rules":[{"action":"DENY","selector":{"identifier":"a","matchtpye":"EXACT"}}]}`:  "matchtpye",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something about %q", text, err, want)
		}
	}
}
