package registry

import (
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999999999999999999": 0, "4000000000": 24 * time.Hour,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := parseRetryAfter(in, now); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// The waits grow, are random, and end.
func TestBackOff(t *testing.T) {
	r := Config{}.withDefaults().Retry
	for try, most := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		var longest time.Duration
		for range 1000 {
			wait, again := r.again(try+1, &StatusError{Status: 500})
			if !again || wait > most {
				t.Fatalf("try %d: got %s, %v", try+1, wait, again)
			}
			longest = max(longest, wait)
		}
		if longest < most/2 {
			t.Errorf("try %d: never longer than %s", try+1, longest)
		}
	}
	if _, again := r.again(5, &StatusError{Status: 500}); again {
		t.Errorf("there is a sixth try")
	}
	r.Tries = 100
	if wait, _ := r.again(99, &StatusError{Status: 500}); wait > 16*time.Second {
		t.Errorf("got %s", wait)
	}
}
