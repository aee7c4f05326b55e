package sbom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"slices"
	"testing"
)

// greedy are small databases that say they hold far more than they are long, because the same bytes are named again and
// again, by what their files are called.
func greedy() map[string][]byte {
	return map[string][]byte{"Packages.db": greedyNDB(), "Packages": greedyBerkeley(), "rpmdb.sqlite": greedySQLite()}
}

// greedyNDB is a database whose slots all name one blob, that of a package without a name.
func greedyNDB() []byte {
	const blob = 1024
	little := binary.LittleEndian
	b := append([]byte("RpmP"), make([]byte, ndbPage+blob-4)...)
	little.PutUint32(b[12:], 1)
	for slot := range slices.Chunk(b[ndbIntro:ndbPage], ndbSlot) {
		copy(slot, "Slot")
		little.PutUint32(slot[8:], ndbPage/ndbBlock)
		little.PutUint32(slot[12:], blob/ndbBlock)
	}
	area := b[ndbPage:]
	copy(area, "BlbS")
	little.PutUint32(area[12:], blob-ndbHead-ndbTail)
	little.PutUint32(area[blob-ndbTail:], adler32.Checksum(area[:blob-ndbTail]))
	return b
}

// greedyBerkeley is a database of two pairs, whose values are both in one page that goes on in itself.
func greedyBerkeley() []byte {
	const page, content = 512, 512 - berkeleyHead
	little := binary.LittleEndian
	b := make([]byte, 3*page)
	little.PutUint32(b[12:], berkeleyMagic)
	little.PutUint32(b[20:], page)
	little.PutUint32(b[32:], 2)

	pairs, end := b[page:2*page], page
	pairs[25] = hashPage
	for i, item := range [][]byte{{itemHere, 1}, nil, {itemHere, 2}, nil} {
		if item == nil {
			item = little.AppendUint32(little.AppendUint32([]byte{itemElsewhere, 0, 0, 0}, 2), 3*content)
		}
		end -= len(item)
		copy(pairs[end:], item)
		little.PutUint16(pairs[berkeleyHead+2*i:], uint16(end))
		little.PutUint16(pairs[20:], uint16(i+1))
	}

	value := b[2*page:]
	value[25] = overflowPage
	little.PutUint32(value[16:], 2)
	little.PutUint16(value[22:], content)
	return b
}

// greedySQLite is a database whose table has the same row twice, in a page that goes on in itself.
func greedySQLite() []byte {
	const page = 512
	big := binary.BigEndian
	b := append([]byte(sqliteMagic), make([]byte, 3*page-len(sqliteMagic))...)
	big.PutUint16(b[16:], page)

	// The row of the table: five columns, of which the fourth, a byte, is the page of its root.
	const names = "tablePackagesPackages"
	row := append([]byte{6, 13 + 2*5, 13 + 2*8, 13 + 2*8, 1, 0}, names+"\x02"...)
	b[100], b[104] = leafPage, 1
	big.PutUint16(b[108:], 200)
	copy(b[200:], append([]byte{byte(len(row)), 1}, row...))

	// The rows of packages: no number, and a header of 1100 zeros.
	rows := b[page:]
	rows[0], rows[4] = leafPage, 2
	big.PutUint16(rows[8:], 20)
	big.PutUint16(rows[10:], 20)
	const size = 4 + 1100
	copy(rows[20:], []byte{0x80 | size>>7, size & 0x7f, 1, 4, 0, 0x80 | (12+2*1100)>>7, (12 + 2*1100) & 0x7f})
	local := (page-12)*32/255 - 23
	local += (size - local) % (page - 4)
	big.PutUint32(rows[20+3+local:], 3)
	big.PutUint32(b[2*page:], 3)
	return b
}

// What is read of a database is no more than there is of it.
func TestGreedy(t *testing.T) {
	want := map[string]error{"Packages.db": errNDB, "Packages": errBerkeley, "rpmdb.sqlite": errSQLite}
	for name, content := range greedy() {
		read := 0
		var err error
		for value, e := range headers(name, content) {
			read, err = read+len(value), e
		}
		if !errors.Is(err, want[name]) || read == 0 || read > len(content) {
			t.Errorf("%s: %d of %d bytes are read, got %v", name, read, len(content), err)
		}
	}
}

// Tags of a header that share a value do not multiply it.
func TestGreedyHeader(t *testing.T) {
	text := bytes.Repeat([]byte("x"), 1000)
	var index []byte
	for _, tag := range []uint32{tagName, tagVersion, tagRelease, tagVendor} {
		index = append(binary.BigEndian.AppendUint32(index, tag), make([]byte, 12)...)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(index)/16))
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	if _, err := parseHeader(slices.Concat(b, index, text)); !errors.Is(err, errHeader) {
		t.Errorf("got %v", err)
	}
}
