package inflate

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Reader decompresses a gzip stream: one member or several.
type Reader struct {
	d decoder
	// given is how much of the output has been read, summed how much is in the checksum.
	given, summed int
	// crc and size are those of the member.
	crc, size uint32
	err       error
}

// NewReader returns a reader of what is compressed in r. It reads ahead in r.
func NewReader(r io.Reader) (*Reader, error) {
	z := &Reader{d: decoder{source: r}}
	if err := z.header(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return z, nil
}

// Read implements io.Reader. The last bytes come only if the checksum is right.
func (z *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for z.given == z.d.written {
		if z.err != nil {
			return 0, z.err
		}
		z.err = z.more()
	}
	n := copy(p, z.d.output[z.given:z.d.written])
	z.given += n
	return n, nil
}

// more decompresses some more. All that was decompressed has been read.
func (z *Reader) more() error {
	z.slide()
	done, err := z.d.decode()
	fresh := z.d.output[z.summed:z.d.written]
	z.crc = crc32.Update(z.crc, crc32.IEEETable, fresh)
	z.size += uint32(len(fresh))
	z.summed = z.d.written
	if err != nil || !done {
		return err
	}
	if err := z.trailer(); err != nil {
		z.given = z.d.written // not to be trusted
		return err
	}
	return z.header()
}

// slide makes room and keeps what the stream can refer to.
func (z *Reader) slide() {
	d := &z.d
	if d.written < outputSize {
		return
	}
	gone := d.written - window
	copy(d.output[:window], d.output[gone:d.written])
	d.start, d.written = max(0, d.start-gone), window
	z.given, z.summed = window, window
}

// The flags of a member (RFC 1952, section 2.3.1).
const (
	flagHeaderCRC = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
)

// header reads what stands before a member. The end of all input is io.EOF.
func (z *Reader) header() error {
	h := headerReader{d: &z.d}
	first, err := h.byte()
	if err != nil {
		return err
	}
	fixed := [10]byte{first}
	for i := 1; i < len(fixed); i++ {
		fixed[i] = h.must()
	}
	if h.err == nil && (fixed[0] != 0x1f || fixed[1] != 0x8b || fixed[2] != 8) {
		return ErrCorrupt
	}
	flags := fixed[3]
	if flags&flagExtra != 0 {
		for range int(h.must()) | int(h.must())<<8 {
			h.must()
		}
	}
	for _, text := range []byte{flagName, flagComment} {
		for flags&text != 0 && h.err == nil && h.must() != 0 {
			continue
		}
	}
	if sum := uint16(h.crc); flags&flagHeaderCRC != 0 && h.err == nil && (h.must() != byte(sum) || h.must() != byte(sum>>8)) {
		return ErrCorrupt
	}
	z.d.reset()
	z.crc, z.size = 0, 0
	return h.err
}

// trailer checks a member.
func (z *Reader) trailer() error {
	if err := z.d.align(); err != nil {
		return err
	}
	h := headerReader{d: &z.d}
	var want [8]byte
	for i := range want {
		want[i] = h.must()
	}
	if h.err == nil && (binary.LittleEndian.Uint32(want[:]) != z.crc || binary.LittleEndian.Uint32(want[4:]) != z.size) {
		return ErrCorrupt
	}
	return h.err
}

// headerReader reads single bytes of the input and remembers that there was none.
type headerReader struct {
	d   *decoder
	crc uint32
	err error
}

func (h *headerReader) byte() (byte, error) {
	d := h.d
	if d.next >= d.filled {
		if err := d.read(); err != nil {
			return 0, err
		}
		if d.next >= d.filled {
			return 0, io.EOF
		}
	}
	b := d.input[d.next]
	d.next++
	h.crc = crc32.Update(h.crc, crc32.IEEETable, []byte{b})
	return b, nil
}

// must reads a byte that has to be there.
func (h *headerReader) must() byte {
	if h.err != nil {
		return 0
	}
	b, err := h.byte()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	h.err = err
	return b
}
