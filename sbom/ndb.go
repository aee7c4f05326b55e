package sbom

import (
	"encoding/binary"
	"errors"
	"hash/adler32"
	"iter"
)

var errNDB = errors.New("the ndb database is damaged")

const (
	// ndbPage is the size of a page of slots, ndbSlot that of one, ndbBlock the unit in which they count, in bytes.
	ndbPage, ndbSlot, ndbBlock = 4096, 16, 16
	// ndbIntro is the header of the file, which is in the place of the first two slots.
	ndbIntro = 32
	// ndbHead and ndbTail are around every value.
	ndbHead, ndbTail = 16, 12
)

// ndbValues streams the values of a Packages.db: rpm's own form, which SUSE uses (lib/backend/ndb/rpmpkg.c). A table of
// slots says where the values are; together they have no more blocks than the file. All numbers have their lowest byte
// first.
func ndbValues(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		slots, err := ndbSlots(data)
		if err != nil {
			yield(nil, err)
			return
		}
		left := uint64(len(data))
		for ; len(slots) > 0; slots = slots[ndbSlot:] {
			if string(slots[:4]) != "Slot" {
				yield(nil, errNDB)
				return
			}
			if binary.LittleEndian.Uint32(slots[8:]) == 0 { // it is free
				continue
			}
			size := uint64(binary.LittleEndian.Uint32(slots[12:])) * ndbBlock
			if size > left {
				yield(nil, errNDB)
				return
			}
			left -= size
			value, err := ndbValue(data, slots)
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}

// ndbSlots returns the table of slots.
func ndbSlots(data []byte) ([]byte, error) {
	if len(data) < ndbPage || string(data[:4]) != "RpmP" {
		return nil, errNDB
	}
	if version := binary.LittleEndian.Uint32(data[4:]); version != 0 {
		return nil, errors.New("the ndb database is of a version that is not known")
	}
	pages := uint64(binary.LittleEndian.Uint32(data[12:]))
	if pages == 0 || pages*ndbPage > uint64(len(data)) {
		return nil, errNDB
	}
	return data[ndbIntro : pages*ndbPage], nil
}

// ndbValue returns what a slot refers to.
func ndbValue(data, slot []byte) ([]byte, error) {
	number, block, blocks := slot[4:8], uint64(binary.LittleEndian.Uint32(slot[8:])), uint64(binary.LittleEndian.Uint32(slot[12:]))
	if (block+blocks)*ndbBlock > uint64(len(data)) || blocks*ndbBlock < ndbHead+ndbTail {
		return nil, errNDB
	}
	area := data[block*ndbBlock : (block+blocks)*ndbBlock]
	size := uint64(binary.LittleEndian.Uint32(area[12:]))
	if string(area[:4]) != "BlbS" || string(area[4:8]) != string(number) || ndbHead+size+ndbTail > uint64(len(area)) {
		return nil, errNDB
	}
	tail := area[len(area)-ndbTail:]
	if adler32.Checksum(area[:len(area)-ndbTail]) != binary.LittleEndian.Uint32(tail) {
		return nil, errNDB
	}
	return area[ndbHead : ndbHead+size], nil
}
