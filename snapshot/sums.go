//go:build linux

package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/wholefile"
)

// Sums remembers the digests of the files of one directory of the user from build to build, so that a
// file that has not changed is not read again. That it has not is told, as git does, from its size,
// times and inode; a file that changed so shortly before it was read that another change could have left
// the same times is not remembered.
//
// The file scan/HASH holds a record of fixed size for every file, in the order of their keys.
type Sums struct {
	store *Store
	name  string
	// known are the records of earlier builds, mapped from the file.
	known []byte

	mu sync.Mutex
	// learned are those of this one.
	learned map[sumKey]sumRecord
}

// sumKey names a file by the hash of its path in the directory.
type sumKey [16]byte

// sumRecord is what is known of a file.
type sumRecord struct {
	size, mtime, ctime int64
	inode              uint64
	sum                [32]byte
}

// The layout of a record: key, size, mtime, ctime, inode, sum.
const sumRecordSize = 16 + 4*8 + 32

// sumsVersion begins the file.
const sumsVersion = "builder sums 1\n\x00"

// Sums returns what is remembered of the directory dir.
func (s *Store) Sums(dir string) (*Sums, error) {
	hash := sha256.Sum256([]byte(dir))
	name := filepath.Join(s.path, "scan", fmt.Sprintf("%x", hash[:16]))
	sums := &Sums{store: s, name: name, learned: map[sumKey]sumRecord{}}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		s.atClose(sums.save)
		return sums, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s.atClose(sums.save)
	size := info.Size() - int64(len(sumsVersion))
	if size <= 0 || size%sumRecordSize != 0 {
		return sums, nil
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if bytes.HasPrefix(mapped, []byte(sumsVersion)) {
		sums.known = mapped[len(sumsVersion):]
	}
	return sums, nil
}

// Know sets the Sum of e if it is remembered, and else sees to it that it will be.
func (s *Sums) Know(e *Entry) {
	if e.Kind != Regular || e.stat == nil {
		return
	}
	key := keyOf(e.Path)
	r := sumRecord{size: e.Size, mtime: e.ModTime.UnixNano(), ctime: e.stat.ctime, inode: e.stat.inode}
	if known, ok := s.find(key); ok && known.size == r.size && known.mtime == r.mtime && known.ctime == r.ctime && known.inode == r.inode {
		e.Sum = &known.sum
		return
	}
	began := time.Now()
	e.Learn = func(sum [32]byte) {
		if changed := max(r.mtime, r.ctime); began.UnixNano()-changed < int64(granularity) {
			return
		}
		learned := r // others may be told at the same time
		learned.sum = sum
		s.mu.Lock()
		defer s.mu.Unlock()
		s.learned[key] = learned
	}
}

// granularity is how coarse the times of files may be: a tick of the slowest kernel clock, twice.
const granularity = 20 * time.Millisecond

func keyOf(path string) sumKey {
	hash := sha256.Sum256([]byte(path))
	return sumKey(hash[:16])
}

// find returns the record of a key.
func (s *Sums) find(key sumKey) (sumRecord, bool) {
	s.mu.Lock()
	r, ok := s.learned[key]
	s.mu.Unlock()
	if ok {
		return r, true
	}
	n := len(s.known) / sumRecordSize
	low, high := 0, n
	for low < high {
		middle := (low + high) / 2
		record := s.known[middle*sumRecordSize:][:sumRecordSize]
		switch bytes.Compare(record[:16], key[:]) {
		case 0:
			return decodeSum(record), true
		case -1:
			low = middle + 1
		default:
			high = middle
		}
	}
	return sumRecord{}, false
}

func decodeSum(b []byte) sumRecord {
	number := func(i int) uint64 { return binary.BigEndian.Uint64(b[16+8*i:]) }
	return sumRecord{
		size: int64(number(0)), mtime: int64(number(1)), ctime: int64(number(2)), inode: number(3),
		sum: [32]byte(b[48:]),
	}
}

func (r sumRecord) append(b []byte, key sumKey) []byte {
	b = append(b, key[:]...)
	for _, n := range []uint64{uint64(r.size), uint64(r.mtime), uint64(r.ctime), r.inode} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return append(b, r.sum[:]...)
}

// save writes what was learned, merged with what was known.
func (s *Sums) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.learned) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.name), 0o700); err != nil {
		return err
	}
	return wholefile.Create(s.name, 0o600, s.write)
}

// write writes all records in order.
func (s *Sums) write(f io.Writer) error {
	keys := make([]sumKey, 0, len(s.learned))
	for k := range s.learned {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b sumKey) int { return bytes.Compare(a[:], b[:]) })
	w := bufio.NewWriter(f)
	_, _ = w.WriteString(sumsVersion) // Flush has the error
	known := s.known
	var record []byte
	for _, k := range keys {
		for len(known) > 0 && bytes.Compare(known[:16], k[:]) < 0 {
			_, _ = w.Write(known[:sumRecordSize])
			known = known[sumRecordSize:]
		}
		if len(known) > 0 && bytes.Equal(known[:16], k[:]) {
			known = known[sumRecordSize:]
		}
		record = s.learned[k].append(record[:0], k)
		_, _ = w.Write(record)
	}
	_, _ = w.Write(known)
	return w.Flush()
}
