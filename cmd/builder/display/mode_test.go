package display

import "testing"

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		asked        Mode
		terminal, ci bool
		want         Mode
		fails        bool
	}{
		{Auto, true, false, TTY, false},
		{Auto, true, true, Plain, false},
		{Auto, false, false, Plain, false},
		{TTY, true, true, TTY, false},
		{TTY, false, false, "", true},
		{Plain, true, false, Plain, false},
		{JSON, true, false, JSON, false},
		{Quiet, false, true, Quiet, false},
	} {
		got, err := Choose(c.asked, c.terminal, c.ci)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("Choose(%s, %t, %t) = %q, %v; want %q", c.asked, c.terminal, c.ci, got, err, c.want)
		}
	}
}

func TestParseMode(t *testing.T) {
	for name, want := range map[string]Mode{
		"": Auto, "auto": Auto, "plain": Plain, "tty": TTY, "json": JSON, "rawjson": JSON, "quiet": Quiet, "none": Quiet,
	} {
		if got, err := ParseMode(name); got != want || err != nil {
			t.Errorf("ParseMode(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := ParseMode("fancy"); err == nil {
		t.Error("an unknown mode was accepted")
	}
}
