package inflate

import (
	"encoding/binary"
	"io"
)

// block decompresses a block, or as much of it as there is room for. What the loop works with is held in variables,
// because that is what makes it fast.
func (d *decoder) block() error { //nolint:gocognit,funlen // one loop; calls in it would cost what it is for
	hold, count, next, written := d.hold, d.count, d.next, d.written
	defer func() { d.hold, d.count, d.next, d.written = hold, count, next, written }()
	input, output := &d.input, &d.output
	for written < outputSize {
		if next+8 > d.filled {
			d.next, d.count = next, count
			if err := d.read(); err != nil {
				return err
			}
			next = d.next
			if d.ended && next > d.filled+8 {
				return io.ErrUnexpectedEOF
			}
		}
		hold |= binary.LittleEndian.Uint64(input[next:]) << (count & 63)
		next += int((63 - count) >> 3)
		count |= 56

		e := d.symbols[hold&(1<<symbolBits-1)]
		if e&literal != 0 { // three of them use up to 33 of the bits
			hold >>= e & 0x3f
			count -= uint(e & 0xff)
			output[written] = byte(e >> 16)
			written++
			e = d.symbols[hold&(1<<symbolBits-1)]
			if e&literal != 0 {
				hold >>= e & 0x3f
				count -= uint(e & 0xff)
				output[written] = byte(e >> 16)
				written++
				e = d.symbols[hold&(1<<symbolBits-1)]
				if e&literal != 0 {
					hold >>= e & 0x3f
					count -= uint(e & 0xff)
					output[written] = byte(e >> 16)
					written++
				}
			}
			continue
		}
		if e&special != 0 {
			if e&second != 0 {
				e = d.symbols[uint(e>>16&0x7fff)+uint(hold>>symbolBits)&(1<<(e>>8&0x1f)-1)]
				if e&literal != 0 {
					hold >>= e & 0x3f
					count -= uint(e & 0xff)
					output[written] = byte(e >> 16)
					written++
					continue
				}
			}
			if e&stop != 0 {
				hold >>= e & 0x3f
				count -= uint(e & 0xff)
				d.endBlock()
				return nil
			}
		}
		if e == 0 {
			return ErrCorrupt
		}
		length := int(e>>16) + int(hold&(1<<(e&0x3f)-1)>>(e>>8&0x1f))
		hold >>= e & 0x3f
		count -= uint(e & 0xff)

		e = d.distances[hold&(1<<distanceBits-1)]
		if e&special != 0 {
			e = d.distances[uint(e>>16&0x7fff)+uint(hold>>distanceBits)&(1<<(e>>8&0x1f)-1)]
		}
		if e == 0 {
			return ErrCorrupt
		}
		distance := int(e>>16) + int(hold&(1<<(e&0x3f)-1)>>(e>>8&0x1f))
		hold >>= e & 0x3f
		count -= uint(e & 0xff)
		if distance > written-d.start {
			return ErrCorrupt
		}
		repeat(output[:], written, distance, length)
		written += length
	}
	return nil
}

// repeat writes length bytes at the position at: those from distance before. It may write up to seven more.
func repeat(output []byte, at, distance, length int) {
	from := at - distance
	if distance >= 8 {
		for end := at + length; at < end; at, from = at+8, from+8 {
			binary.LittleEndian.PutUint64(output[at:], binary.LittleEndian.Uint64(output[from:]))
		}
		return
	}
	if distance == 1 {
		word := uint64(output[from]) * 0x0101010101010101
		for end := at + length; at < end; at += 8 {
			binary.LittleEndian.PutUint64(output[at:], word)
		}
		return
	}
	to, source := output[at:at+length], output[from:at+length]
	for i := range to {
		to[i] = source[i]
	}
}
