package display

import "time"

// rateWindow is how far back the rate of a running transfer looks.
const rateWindow = 2 * time.Second

// Transfer is data on its way.
type Transfer struct {
	// Name is what the events call it.
	Name string
	// Current and Total are bytes; Total is 0 as long as it is unknown.
	Current, Total int64
	// Began and Updated are when the first and the last event about it came.
	Began, Updated time.Time

	first     int64
	old, mark sample
}

// sample is how far a transfer had come at some time.
type sample struct {
	at    time.Time
	bytes int64
}

// Done reports whether all bytes have been moved.
func (t *Transfer) Done() bool { return t.Total > 0 && t.Current >= t.Total }

// update takes in how far the transfer has come and reports whether that is news.
func (t *Transfer) update(now time.Time, current, total int64) bool {
	if t.Began.IsZero() {
		t.Began, t.first = now, current
		t.old = sample{now, current}
		t.mark = t.old
	} else if t.Current == current && t.Total == total {
		return false
	}
	if now.Sub(t.mark.at) >= rateWindow/2 {
		t.old, t.mark = t.mark, sample{now, current}
	}
	t.Current, t.Total, t.Updated = current, total, now
	return true
}

// Rate is how many bytes a second were moved of late; 0 if that cannot be told yet.
func (t *Transfer) Rate(now time.Time) int64 {
	return rate(t.Current-t.old.bytes, now.Sub(t.old.at))
}

// Mean is how many bytes a second were moved from the first event to the last; 0 if they were one.
func (t *Transfer) Mean() int64 {
	return rate(t.Current-t.first, t.Updated.Sub(t.Began))
}

func rate(bytes int64, d time.Duration) int64 {
	if bytes <= 0 || d < 50*time.Millisecond {
		return 0
	}
	return int64(float64(bytes) / d.Seconds())
}

// transfers are those of one step, or of the whole build, in order of appearance.
type transfers []*Transfer

// update takes in a progress event and returns the transfer it is about; changed is false if it says
// nothing new.
func (ts *transfers) update(now time.Time, name string, current, total int64) (t *Transfer, changed bool) {
	for _, t := range *ts {
		if t.Name == name {
			return t, t.update(now, current, total)
		}
	}
	t = &Transfer{Name: name}
	*ts = append(*ts, t)
	return t, t.update(now, current, total)
}

// active returns those that have begun and not ended.
func (ts transfers) active() []*Transfer {
	var active []*Transfer
	for _, t := range ts {
		if !t.Done() && (t.Current > 0 || t.Total > 0) {
			active = append(active, t)
		}
	}
	return active
}
