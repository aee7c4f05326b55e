package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// contentVersion begins every content ID, so that IDs of another format are never equal.
const contentVersion = "builder content 1"

// ContentHash computes a content ID: a digest over what a layer holds, whatever way it is packed. In it
// are the paths, kinds, modes, owners, device numbers, link targets, extended attributes and bytes of
// all entries, in their order; not in it are times, unless the form says so. Every string is preceded by its length.
type ContentHash struct {
	h hash.Hash
	// dated: times count.
	dated bool
	// buffer collects one entry.
	buffer []byte
}

// NewContentHash returns a ContentHash of nothing yet, of a layer of a form.
func NewContentHash(form Form) *ContentHash {
	c := &ContentHash{h: sha256.New(), dated: form.IsDated()}
	c.text(contentVersion)
	if form != Unix {
		c.text(string(form))
	}
	c.flush()
	return c
}

// Add adds an entry. The Sum of a regular file must be set.
func (c *ContentHash) Add(e *Entry) {
	c.text(e.Path)
	c.buffer = append(c.buffer, byte(e.Kind), flag(e.Opaque))
	for _, n := range []uint32{e.Mode, e.UID, e.GID, e.Major, e.Minor} {
		c.buffer = binary.BigEndian.AppendUint32(c.buffer, n)
	}
	c.text(e.Link)
	c.buffer = binary.BigEndian.AppendUint32(c.buffer, uint32(len(e.Xattrs)))
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		c.text(name)
		c.text(e.Xattrs[name])
	}
	if e.Sum != nil {
		c.buffer = append(c.buffer, e.Sum[:]...)
	}
	if c.dated {
		c.buffer = binary.BigEndian.AppendUint64(c.buffer, uint64(e.ModTime.Unix())) // as archives have it
	}
	c.flush()
}

// ID returns the content ID of what was added.
func (c *ContentHash) ID() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(c.h.Sum(nil))}
}

func (c *ContentHash) text(s string) {
	c.buffer = binary.BigEndian.AppendUint32(c.buffer, uint32(len(s)))
	c.buffer = append(c.buffer, s...)
}

func (c *ContentHash) flush() {
	c.h.Write(c.buffer)
	c.buffer = c.buffer[:0]
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// ContentID reads what has no Sum yet and returns the content ID of a stream, as that of a layer of a form.
func ContentID(entries Entries, form Form) (v1.Hash, error) {
	c := NewContentHash(form)
	for e, err := range entries {
		if err != nil {
			return v1.Hash{}, err
		}
		if e, err = Summed(e); err != nil {
			return v1.Hash{}, err
		}
		c.Add(e)
	}
	return c.ID(), nil
}

// Summed returns e with its Sum, for which it reads a regular file that has none.
func Summed(e *Entry) (*Entry, error) {
	if e.Kind != Regular || e.Sum != nil {
		return e, nil
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := sha256.New()
	n, err := copyTo(h, r)
	if err != nil {
		return nil, err
	}
	if n != e.Size {
		return nil, fmt.Errorf("%s changed while it was read: %d bytes instead of %d", e.Path, n, e.Size)
	}
	return e.withSum(h.Sum(nil)), nil
}

// withSum returns e with its Sum, and tells who wants to know it.
func (e *Entry) withSum(sum []byte) *Entry {
	summed := *e
	summed.Sum = (*[32]byte)(sum)
	if e.Learn != nil {
		e.Learn(*summed.Sum)
	}
	return &summed
}
