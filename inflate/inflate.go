package inflate

import (
	"encoding/binary"
	"errors"
	"io"
)

// ErrCorrupt says that what is read is not a valid stream.
var ErrCorrupt = errors.New("the gzip stream is damaged")

const (
	// window is how far back a distance can reach.
	window = 32 << 10
	// outputSize is the room for what is decompressed and not read yet, and the window before it.
	outputSize = window + 256<<10
	// inputSize is the room for what is to be decompressed.
	inputSize = 64 << 10
	// longest is the longest match; slack is what copying in words may write beyond it.
	longest = 258
	slack   = 16
	// padding stands behind the end of the input, so that eight bytes can always be looked at.
	padding = 16
)

// decoder decompresses one deflate stream (RFC 1951) after the other.
type decoder struct {
	source io.Reader
	// input[next:filled] has not been looked at yet; ended: nothing comes after it but padding.
	input        [inputSize + padding]byte
	next, filled int
	ended        bool
	// hold are bits that have been looked at, count of them have not been consumed. More may stand above those.
	hold  uint64
	count uint
	// output[start:written] is what the stream has given so far, as far back as it can matter.
	output         [outputSize + longest + slack]byte
	start, written int
	// in is what of a block comes next, last whether it is the last one.
	in   part
	last bool
	// left are the bytes of a stored block that remain.
	left      int
	symbols   [symbolTable]entry
	distances [distanceTable]entry
}

// part is a part of a stream.
type part int

const (
	header part = iota
	stored
	compressed
	end
)

// refill sees to it that at least 56 bits are held.
func (d *decoder) refill() error {
	if d.next+8 > d.filled {
		if err := d.read(); err != nil {
			return err
		}
	}
	d.hold |= binary.LittleEndian.Uint64(d.input[d.next:]) << d.count
	d.next += int((63 - d.count) >> 3)
	d.count |= 56
	return nil
}

// read gets more input. After the end there are zeros, of which some may be looked at but not consumed.
func (d *decoder) read() error {
	if d.ended {
		if d.next-int(d.count>>3) > d.filled {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	keep := max(0, d.next-8) // what is held may be given back
	copy(d.input[:], d.input[keep:d.filled])
	d.next, d.filled = d.next-keep, d.filled-keep
	for d.filled < d.next+8 {
		n, err := d.source.Read(d.input[d.filled:inputSize])
		d.filled += n
		if errors.Is(err, io.EOF) {
			d.ended = true
			clear(d.input[d.filled:])
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take consumes n bits, at most 32 after a refill.
func (d *decoder) take(n uint) uint {
	bits := uint(d.hold & (1<<n - 1))
	d.hold >>= n
	d.count -= n
	return bits
}

// align gives back whole bytes that are held, and drops what is left of the byte before.
func (d *decoder) align() error {
	d.next -= int(d.count >> 3)
	d.hold, d.count = 0, 0
	if d.next > d.filled {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// reset makes the decoder ready for another stream.
func (d *decoder) reset() { d.start, d.in, d.last = d.written, header, false }

// decode decompresses until there is no more room or the stream ends, which it reports.
func (d *decoder) decode() (done bool, err error) {
	for d.in != end && d.written < outputSize {
		switch d.in {
		case header:
			err = d.blockHeader()
		case stored:
			err = d.copyStored()
		case compressed:
			err = d.block()
		case end:
		}
		if errors.Is(err, ErrCorrupt) && d.ended && d.next-int(d.count>>3) >= d.filled {
			err = io.ErrUnexpectedEOF // it is what is missing that makes no sense
		}
		if err != nil {
			return false, err
		}
	}
	return d.in == end, nil
}

// endBlock goes on to what follows a block.
func (d *decoder) endBlock() {
	d.in = header
	if d.last {
		d.in = end
	}
}

// blockHeader reads what stands before a block (RFC 1951, section 3.2.3).
func (d *decoder) blockHeader() error {
	if err := d.refill(); err != nil {
		return err
	}
	d.last = d.take(1) == 1
	switch d.take(2) {
	case 0:
		return d.storedHeader()
	case 1:
		d.in = compressed
		return d.fixedCodes()
	case 2:
		d.in = compressed
		return d.ownCodes()
	}
	return ErrCorrupt
}

func (d *decoder) storedHeader() error {
	if err := d.align(); err != nil {
		return err
	}
	if err := d.refill(); err != nil {
		return err
	}
	size, inverse := d.take(16), d.take(16)
	if size != inverse^0xffff {
		return ErrCorrupt
	}
	d.in, d.left = stored, int(size)
	return d.align()
}

// copyStored copies as much of a stored block as there is room for.
func (d *decoder) copyStored() error {
	for d.left > 0 && d.written < outputSize {
		if d.next == d.filled {
			if err := d.read(); err != nil {
				return err
			}
			if d.next == d.filled {
				return io.ErrUnexpectedEOF
			}
		}
		n := copy(d.output[d.written:min(outputSize, d.written+d.left)], d.input[d.next:d.filled])
		d.next, d.written, d.left = d.next+n, d.written+n, d.left-n
	}
	if d.left == 0 {
		d.endBlock()
	}
	return nil
}

// fixedCodes makes the tables that a stream need not describe (RFC 1951, section 3.2.6).
func (d *decoder) fixedCodes() error {
	var l [numSymbols + numDistances]uint8
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		case i < numSymbols:
			l[i] = 8
		default:
			l[i] = 5
		}
	}
	return d.makeTables(l[:numSymbols], l[numSymbols:])
}

func (d *decoder) makeTables(s, dist []uint8) error {
	if s[endOfBlock] == 0 || !symbols.build(d.symbols[:], s) || !distances.build(d.distances[:], dist) {
		return ErrCorrupt
	}
	return nil
}

// The alphabet of the lengths of codes (RFC 1951, section 3.2.7).
const (
	numLengths = 19
	lengthBits = 7

	repeatLast  = 16
	repeatZero  = 17
	repeatZeros = 18
)

// ownCodes reads the codes of a block and makes the tables.
func (d *decoder) ownCodes() error {
	numSymbol, numDistance, numLength := d.take(5)+257, d.take(5)+1, d.take(4)+4
	if numSymbol > 286 || numDistance > 30 {
		return ErrCorrupt
	}
	table, err := d.lengthCodes(numLength)
	if err != nil {
		return err
	}
	var l [numSymbols + numDistances]uint8
	total := int(numSymbol + numDistance)
	for i := 0; i < total; {
		if err := d.refill(); err != nil {
			return err
		}
		e := table[d.hold&(1<<lengthBits-1)]
		if e == 0 {
			return ErrCorrupt
		}
		d.take(uint(e & 0xff))
		value, repeat := uint8(e>>16), uint(1)
		switch value {
		case repeatLast:
			if i == 0 {
				return ErrCorrupt
			}
			value, repeat = l[i-1], 3+d.take(2)
		case repeatZero:
			value, repeat = 0, 3+d.take(3)
		case repeatZeros:
			value, repeat = 0, 11+d.take(7)
		}
		if i+int(repeat) > total {
			return ErrCorrupt
		}
		for range repeat {
			l[i] = value
			i++
		}
	}
	return d.makeTables(l[:numSymbol], l[numSymbol:total])
}

// lengthCodes reads the codes that the lengths of the codes are compressed with.
func (d *decoder) lengthCodes(n uint) (*[1 << lengthBits]entry, error) {
	var l [numLengths]uint8
	for i, s := range [numLengths]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		if i == int(n) {
			break
		}
		if err := d.refill(); err != nil {
			return nil, err
		}
		l[s] = uint8(d.take(3))
	}
	var table [1 << lengthBits]entry
	if !lengths.build(table[:], l[:]) {
		return nil, ErrCorrupt
	}
	return &table, nil
}
