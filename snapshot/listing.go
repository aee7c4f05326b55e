package snapshot

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A listing says what a layer holds, one line an entry, in the order of the layer. It is kept beside an
// unpacked layer, because the directory alone does not say it: overlayfs leaves files there that it
// copied up and nobody changed. The fields of a line are separated by blanks:
//
//	KIND MODE UID GID SIZE MTIME SUM MAJOR MINOR "PATH" "LINK" ["XATTR" "VALUE"]...
//
// KIND is a letter, MODE octal, MTIME seconds since 1970 and nanoseconds, SUM the SHA-256 of the content, in an inventory
// its CRC-32C, or "-".
const listingKinds = "-dlhcbpw" // in the order of the kinds

// appendListing appends the line of e to b.
func appendListing(b []byte, e *Entry) []byte {
	kind := listingKinds[e.Kind]
	if e.Opaque {
		kind = 'D'
	}
	b = append(b, kind, ' ')
	b = strconv.AppendUint(b, uint64(e.Mode), 8)
	for _, n := range []int64{int64(e.UID), int64(e.GID), e.Size} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	b = strconv.AppendInt(append(b, ' '), e.ModTime.Unix(), 10)
	b = strconv.AppendInt(append(b, '.'), int64(e.ModTime.Nanosecond()), 10)
	b = appendSum(append(b, ' '), e)
	b = strconv.AppendUint(append(b, ' '), uint64(e.Major), 10)
	b = strconv.AppendUint(append(b, ' '), uint64(e.Minor), 10)
	b = appendQuoted(append(b, ' '), e.Path)
	b = appendQuoted(append(b, ' '), e.Link)
	if len(e.Xattrs) == 0 {
		return append(b, '\n')
	}
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		b = strconv.AppendQuote(append(b, ' '), name)
		b = strconv.AppendQuote(append(b, ' '), e.Xattrs[name])
	}
	return append(b, '\n')
}

// appendSum appends what is known of the content of e.
func appendSum(b []byte, e *Entry) []byte {
	switch {
	case e.Sum != nil:
		return hex.AppendEncode(b, e.Sum[:])
	case e.crc != nil:
		var sum [crc32.Size]byte
		binary.BigEndian.PutUint32(sum[:], *e.crc)
		return hex.AppendEncode(b, sum[:])
	}
	return append(b, '-')
}

// appendQuoted is strconv.AppendQuote, and faster for what needs no escapes, as nearly every path.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// readListing streams a listing. The entries have no content.
func readListing(r io.Reader) Entries {
	return func(yield func(*Entry, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) && line == "" {
				return
			}
			var e *Entry
			if errors.Is(err, io.EOF) {
				err = errListing // cut off
			}
			if err == nil {
				e, err = parseListing(strings.TrimSuffix(line, "\n"))
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

var errListing = errors.New("the listing of a layer is damaged")

func parseListing(line string) (*Entry, error) {
	fields := strings.SplitN(line, " ", 10)
	if len(fields) != 10 || len(fields[0]) != 1 {
		return nil, errListing
	}
	var e Entry
	if fields[0] == "D" {
		e.Kind, e.Opaque = Directory, true
	} else if k := strings.Index(listingKinds, fields[0]); k >= 0 {
		e.Kind = Kind(k)
	} else {
		return nil, errListing
	}
	var p numberParser
	e.Mode = uint32(p.uint(fields[1], 8))
	e.UID, e.GID = uint32(p.uint(fields[2], 10)), uint32(p.uint(fields[3], 10))
	e.Size = int64(p.uint(fields[4], 10))
	seconds, nanoseconds, _ := strings.Cut(fields[5], ".")
	e.ModTime = time.Unix(p.int(seconds), p.int(nanoseconds))
	p.sum(&e, fields[6])
	e.Major, e.Minor = uint32(p.uint(fields[7], 10)), uint32(p.uint(fields[8], 10))
	texts := p.quoted(fields[9])
	if p.failed || len(texts)%2 != 0 || len(texts) < 2 {
		return nil, errListing
	}
	e.Path, e.Link = texts[0], texts[1]
	for pair := range slices.Chunk(texts[2:], 2) {
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		e.Xattrs[pair[0]] = pair[1]
	}
	return &e, nil
}

// numberParser parses fields and remembers whether one was not what it should be.
type numberParser struct {
	failed bool
}

func (p *numberParser) uint(s string, base int) uint64 {
	n, err := strconv.ParseUint(s, base, 63)
	p.failed = p.failed || err != nil
	return n
}

func (p *numberParser) int(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	p.failed = p.failed || err != nil
	return n
}

// sum sets what is known of the content of e.
func (p *numberParser) sum(e *Entry, s string) {
	if s == "-" {
		return
	}
	b, err := hex.DecodeString(s)
	switch {
	case err != nil:
		p.failed = true
	case len(b) == len(e.Sum):
		e.Sum = (*[32]byte)(b)
	case len(b) == crc32.Size:
		crc := binary.BigEndian.Uint32(b)
		e.crc = &crc
	default:
		p.failed = true
	}
}

// quoted parses a list of quoted strings.
func (p *numberParser) quoted(s string) []string {
	var texts []string
	for s != "" {
		q, err := strconv.QuotedPrefix(s)
		if err != nil {
			p.failed = true
			return nil
		}
		text, err := strconv.Unquote(q)
		p.failed = p.failed || err != nil
		texts = append(texts, text)
		s = strings.TrimPrefix(s[len(q):], " ")
	}
	return texts
}

// withContent gives the entries of a listing the content that the files of a tree have.
func withContent(listing Entries, dir Dir) Entries {
	return func(yield func(*Entry, error) bool) {
		for e, err := range listing {
			if err == nil && e.Kind == Regular {
				name := e.Path
				e.Open = func() (io.ReadCloser, error) { return dir.open(name) }
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// listingWriter writes a listing and the content ID of the same entries.
type listingWriter struct {
	w       *bufio.Writer
	content *ContentHash
	line    []byte
	// size adds up the sizes of the files.
	size int64
}

func newListingWriter(w io.Writer, form Form) *listingWriter {
	return &listingWriter{w: bufio.NewWriterSize(w, 64<<10), content: NewContentHash(form)}
}

// add adds an entry whose Sum is set.
func (l *listingWriter) add(e *Entry) error {
	l.content.Add(e)
	l.size += e.Size
	l.line = appendListing(l.line[:0], e)
	if _, err := l.w.Write(l.line); err != nil {
		return fmt.Errorf("writing a listing: %w", err)
	}
	return nil
}
