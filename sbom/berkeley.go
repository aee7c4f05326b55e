package sbom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
)

// berkeley is a hash database of Berkeley DB in memory, to read all of: rpm's form up to 4.15, so that of CentOS and
// RHEL up to 8 (the layout of pages is that of dbinc/db_page.h of Berkeley DB 5.3).
type berkeley struct {
	data  []byte
	page  int
	order binary.ByteOrder
}

var errBerkeley = errors.New("the Berkeley DB is damaged")

const (
	berkeleyMagic = 0x061561
	// berkeleyHead is how many bytes of a page come before the places of its items.
	berkeleyHead = 26

	// The kinds of pages that have content, and of items on them.
	unsortedHashPage, overflowPage, hashPage = 2, 7, 13
	itemHere, itemElsewhere                  = 1, 3
)

func openBerkeley(data []byte) (*berkeley, error) {
	const meta = 512
	if len(data) < meta {
		return nil, errBerkeley
	}
	b := &berkeley{data: data}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if order.Uint32(data[12:]) == berkeleyMagic {
			b.order = order
		}
	}
	if b.order == nil {
		return nil, errors.New("it is not a hash database of Berkeley DB")
	}
	size := b.order.Uint32(data[20:])
	if size < meta || size > 1<<16 || size&(size-1) != 0 {
		return nil, errBerkeley
	}
	b.page = int(size)
	if last := uint64(b.order.Uint32(data[32:])); (last+1)*uint64(size) > uint64(len(data)) {
		return nil, errBerkeley
	}
	return b, nil
}

// values streams the value of every pair but that whose key is 0, in which rpm keeps a counter. Every page of the
// file is looked at once: those that no bucket uses any more say so themselves. Pairs that share a value, or a chain
// with a loop, would make more of the file than there is of it, which is an error.
func (b *berkeley) values() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		left := len(b.data)
		for number := 1; (number+1)*b.page <= len(b.data); number++ {
			page := b.at(number)
			if kind := page[25]; kind != hashPage && kind != unsortedHashPage {
				continue
			}
			for i := 0; i+1 < int(b.order.Uint16(page[20:])); i += 2 {
				value, err := b.pair(page, i)
				if left -= len(value); left < 0 {
					value, err = nil, errBerkeley
				}
				if (value != nil || err != nil) && !yield(value, err) || err != nil {
					return
				}
			}
		}
	}
}

func (b *berkeley) at(number int) []byte { return b.data[number*b.page : (number+1)*b.page] }

// pair returns the value whose key is the i-th item of a page, nil if it is rpm's counter.
func (b *berkeley) pair(page []byte, i int) ([]byte, error) {
	key, err := b.item(page, i)
	if err != nil {
		return nil, err
	}
	if len(key) == 5 && bytes.Equal(key[1:], make([]byte, 4)) {
		return nil, nil
	}
	value, err := b.item(page, i+1)
	if err != nil {
		return nil, err
	}
	switch {
	case value[0] == itemHere:
		return value[1:], nil
	case value[0] == itemElsewhere && len(value) == 12:
		return b.overflow(b.order.Uint32(value[4:]), b.order.Uint32(value[8:]))
	}
	return nil, errBerkeley
}

// item returns the i-th item of a page, its kind first. Items lie from the end of the page towards its head.
func (b *berkeley) item(page []byte, i int) ([]byte, error) {
	place := func(i int) int { return int(b.order.Uint16(page[berkeleyHead+2*i:])) }
	if berkeleyHead+2*(i+1) > len(page) {
		return nil, errBerkeley
	}
	end := len(page)
	if i > 0 {
		end = place(i - 1)
	}
	start := place(i)
	if start < berkeleyHead || start >= end || end > len(page) {
		return nil, errBerkeley
	}
	return page[start:end], nil
}

// overflow collects a value of size bytes from a chain of pages.
func (b *berkeley) overflow(number, size uint32) ([]byte, error) {
	if uint64(size) > uint64(len(b.data)) {
		return nil, errBerkeley
	}
	all := make([]byte, 0, size)
	for len(all) < int(size) {
		if number == 0 || uint64(number) >= uint64(len(b.data)/b.page) {
			return nil, errBerkeley
		}
		page := b.at(int(number))
		n := int(b.order.Uint16(page[22:]))
		if page[25] != overflowPage || n == 0 || n > min(len(page)-berkeleyHead, int(size)-len(all)) {
			return nil, errBerkeley
		}
		all = append(all, page[berkeleyHead:berkeleyHead+n]...)
		number = b.order.Uint32(page[16:])
	}
	return all, nil
}
