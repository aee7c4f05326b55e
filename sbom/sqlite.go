package sbom

import (
	"encoding/binary"
	"errors"
	"iter"
)

// sqlite is a database file in memory, to read whole tables of (https://www.sqlite.org/fileformat2.html). Names of
// sections are those of that document.
type sqlite struct {
	data []byte
	// page is the size of a page, usable how much of one has content.
	page, usable int
}

var errSQLite = errors.New("the database is damaged")

const (
	sqliteMagic = "SQLite format 3\x00"
	// What the first byte of a page of a table says.
	interiorPage, leafPage = 0x05, 0x0d
)

func openSQLite(data []byte) (*sqlite, error) {
	if len(data) < 100 || string(data[:16]) != sqliteMagic {
		return nil, errSQLite
	}
	s := &sqlite{data: data, page: int(binary.BigEndian.Uint16(data[16:]))}
	if s.page == 1 {
		s.page = 1 << 16
	}
	s.usable = s.page - int(data[20])
	if s.page < 512 || s.usable < 480 {
		return nil, errSQLite
	}
	return s, nil
}

// table streams the rows of a table; each is its columns, of which only texts and blobs are told.
func (s *sqlite) table(name string) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		for row, err := range s.rows(1) {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(row) < 4 || string(row[0]) != "table" || string(row[1]) != name {
				continue
			}
			root := 0
			for _, b := range row[3] {
				root = root<<8 | int(b)
			}
			for r, err := range s.rows(root) {
				if !yield(r, err) || err != nil {
					return
				}
			}
			return
		}
	}
}

// rows streams what the tree with a root page holds.
func (s *sqlite) rows(root int) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		w := &sqliteWalk{sqlite: s, left: len(s.data)/s.page + 1, content: len(s.data)}
		if err := w.walk(root, func(row [][]byte) bool { return yield(row, nil) }); err != nil && !errors.Is(err, errStop) {
			yield(nil, err)
		}
	}
}

var errStop = errors.New("stop")

// sqliteWalk goes through a tree. A damaged one could have loops and rows that share pages, so no more pages are visited
// than there are, and no more content is collected than the file has bytes.
type sqliteWalk struct {
	*sqlite
	left, content int
}

// at returns a page, which are numbered from 1.
func (s *sqlite) at(number int) ([]byte, error) {
	if number < 1 || number > len(s.data)/s.page {
		return nil, errSQLite
	}
	return s.data[(number-1)*s.page : (number-1)*s.page+s.usable], nil
}

func (w *sqliteWalk) walk(number int, row func([][]byte) bool) error {
	page, err := w.at(number)
	if w.left--; err != nil || w.left < 0 {
		return errSQLite
	}
	head := 0
	if number == 1 {
		head = 100
	}
	kind, cells := page[head], int(binary.BigEndian.Uint16(page[head+3:]))
	pointers := head + 8
	if kind == interiorPage {
		pointers += 4
	}
	if pointers+2*cells > len(page) || kind != interiorPage && kind != leafPage {
		return errSQLite
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(page[pointers+2*i:]))
		if at+4 > len(page) {
			return errSQLite
		}
		if kind == interiorPage {
			err = w.walk(int(binary.BigEndian.Uint32(page[at:])), row)
		} else {
			err = w.cell(page[at:], row)
		}
		if err != nil {
			return err
		}
	}
	if kind == interiorPage {
		return w.walk(int(binary.BigEndian.Uint32(page[head+8:])), row)
	}
	return nil
}

// cell reads one row.
func (w *sqliteWalk) cell(b []byte, row func([][]byte) bool) error {
	size, b, ok := uvarint(b)
	_, b, also := uvarint(b) // the number of the row
	if !ok || !also || size > uint64(w.content) {
		return errSQLite
	}
	w.content -= int(size)
	payload, err := w.payload(int(size), b)
	if err != nil {
		return err
	}
	columns, err := record(payload)
	if err != nil {
		return err
	}
	if !row(columns) {
		return errStop
	}
	return nil
}

// payload collects a row that may go on in other pages ("Cell Payload Overflow Pages").
func (w *sqliteWalk) payload(size int, b []byte) ([]byte, error) {
	local, most := size, w.usable-35
	if size > most {
		least := (w.usable-12)*32/255 - 23
		if local = least + (size-least)%(w.usable-4); local > most {
			local = least
		}
	}
	if local > len(b) {
		return nil, errSQLite
	}
	all := append(make([]byte, 0, size), b[:local]...)
	if local == size {
		return all, nil
	}
	if local+4 > len(b) {
		return nil, errSQLite
	}
	for next := b[local:]; len(all) < size; {
		page, err := w.at(int(binary.BigEndian.Uint32(next)))
		if err != nil {
			return nil, err
		}
		all = append(all, page[4:4+min(size-len(all), len(page)-4)]...)
		next = page
	}
	return all, nil
}

// maxColumns is how many columns SQLite allows a table to have, unless it was built otherwise.
const maxColumns = 2000

// record splits a row into its columns ("Record Format").
func record(b []byte) ([][]byte, error) {
	size, types, ok := uvarint(b)
	if !ok || size > uint64(len(b)) {
		return nil, errSQLite
	}
	types = types[:len(types)-(len(b)-int(size))]
	body := b[size:]
	var columns [][]byte
	for len(types) > 0 {
		var kind uint64
		if kind, types, ok = uvarint(types); !ok {
			return nil, errSQLite
		}
		n := columnSize(kind)
		if n > uint64(len(body)) || len(columns) == maxColumns {
			return nil, errSQLite
		}
		columns = append(columns, body[:n])
		body = body[n:]
	}
	return columns, nil
}

// columnSize is how many bytes a column of a serial type has.
func columnSize(kind uint64) uint64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return [12]uint64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}[kind]
}

// uvarint reads a number of up to nine bytes, the most significant first.
func uvarint(b []byte) (n uint64, rest []byte, ok bool) {
	for i, c := range b {
		if i == 8 {
			return n<<8 | uint64(c), b[i+1:], true
		}
		n = n<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return n, b[i+1:], true
		}
	}
	return 0, nil, false
}
