package sbom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"path"
	"strconv"
	"strings"
)

// isRPM: rpm keeps its database in one of three places, in one of three forms.
func isRPM(f File) bool {
	switch path.Dir(f.Path) {
	case "var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm":
	default:
		return false
	}
	switch path.Base(f.Path) {
	case "rpmdb.sqlite", "Packages", "Packages.db":
		return true
	}
	return false
}

// readRPM reads the database of rpm.
func readRPM(f File, i *Inventory) error {
	b, err := f.content()
	if err != nil {
		return err
	}
	for blob, err := range headers(path.Base(f.Path), b) {
		if err != nil {
			return err
		}
		h, err := parseHeader(blob)
		if err != nil {
			return err
		}
		if h.text(tagName) == "gpg-pubkey" { // a key that is trusted, and no package
			continue
		}
		i.Packages = append(i.Packages, h.pack(f.Path))
	}
	return nil
}

// headers streams the headers of a database, whose file is called name.
func headers(name string, data []byte) iter.Seq2[[]byte, error] {
	switch name {
	case "Packages":
		db, err := openBerkeley(data)
		if err != nil {
			return func(yield func([]byte, error) bool) { yield(nil, err) }
		}
		return db.values()
	case "Packages.db":
		return ndbValues(data)
	default:
		return sqliteHeaders(data)
	}
}

// sqliteHeaders streams the headers of a database as rpm has written it since 4.16 on most systems.
func sqliteHeaders(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		db, err := openSQLite(data)
		if err != nil {
			yield(nil, err)
			return
		}
		for row, err := range db.table("Packages") {
			if err == nil && len(row) != 2 {
				err = errSQLite
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(row[1], nil) {
				return
			}
		}
	}
}

// The tags of a header that are read (rpmtag.h).
const (
	tagName    = 1000
	tagVersion = 1001
	tagRelease = 1002
	tagEpoch   = 1003
	tagVendor  = 1011
	tagLicense = 1014
	tagURL     = 1020
	tagArch    = 1022
	tagSource  = 1044
)

// header is what the database has of a package: the values that are read, by tag
// (https://rpm-software-management.github.io/rpm/manual/format_header.html). Together they are no longer than it is.
type header map[uint32][]byte

var errHeader = errors.New("the header of a package is damaged")

func parseHeader(b []byte) (header, error) {
	const intro, entry = 8, 16
	if len(b) < intro {
		return nil, errHeader
	}
	entries, size := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	if intro+entries*entry+size > uint64(len(b)) {
		return nil, errHeader
	}
	index, store := b[intro:intro+entries*entry], b[intro+entries*entry:]
	h := header{}
	for ; len(index) > 0; index = index[entry:] {
		tag, offset := binary.BigEndian.Uint32(index), binary.BigEndian.Uint32(index[8:])
		if uint64(offset) > uint64(len(store)) {
			return nil, errHeader
		}
		if isRead(tag) {
			h[tag] = store[offset:]
		}
	}
	if h.trim() > len(b) {
		return nil, errHeader
	}
	return h, nil
}

func isRead(tag uint32) bool {
	switch tag {
	case tagName, tagVersion, tagRelease, tagEpoch, tagVendor, tagLicense, tagURL, tagArch, tagSource:
		return true
	}
	return false
}

// trim ends every value where it does, rather than where the header does, and returns how long all are, in bytes.
func (h header) trim() int {
	size := 0
	for tag, value := range h {
		if tag == tagEpoch {
			value = value[:min(4, len(value))]
		} else {
			value, _, _ = bytes.Cut(value, []byte{0})
		}
		h[tag] = value
		size += len(value)
	}
	return size
}

// text returns the value of a tag that is a string, "" if there is none.
func (h header) text(tag uint32) string { return string(h[tag]) }

func (h header) pack(found string) Package {
	version := h.text(tagVersion) + "-" + h.text(tagRelease)
	if epoch := h[tagEpoch]; len(epoch) == 4 {
		version = strconv.FormatUint(uint64(binary.BigEndian.Uint32(epoch)), 10) + ":" + version
	}
	return Package{
		Kind: RPM, Name: h.text(tagName), Version: version, Architecture: h.text(tagArch), License: h.text(tagLicense),
		Supplier: h.text(tagVendor), Homepage: h.text(tagURL), Source: strings.TrimSuffix(h.text(tagSource), ".src.rpm"), Found: found,
	}
}
