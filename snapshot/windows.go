package snapshot

import (
	"archive/tar"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Form is how the entries of a layer stand in its tar archive.
type Form string

// The forms of layers.
const (
	// Unix is that of the OCI image specification.
	Unix Form = ""
	// Windows has all files below "Files", beside a directory "Hives", with attributes and security
	// descriptors in PAX records, as Windows' own tools write it (hcsshim's backuptar).
	Windows Form = "windows"
	// unixDated and windowsDated are the same, of layers of which the times count as content.
	unixDated    Form = "dated"
	windowsDated Form = "windows dated"
)

// Dated returns f for a layer whose times are part of its content: two that differ only in them are not the same
// layer. That is for layers whose times are as reproducible as all else in them.
func (f Form) Dated() Form {
	if f.IsWindows() {
		return windowsDated
	}
	return unixDated
}

// IsDated reports whether times count as content.
func (f Form) IsDated() bool { return f == unixDated || f == windowsDated }

// IsWindows reports whether the archive is one for Windows.
func (f Form) IsWindows() bool { return f == Windows || f == windowsDated }

const (
	windowsFiles = "Files"
	windowsHives = "Hives"
	// Attributes of files: directory and archive.
	windowsDirectory = "16"
	windowsArchive   = "32"
	// Security descriptors, binary in base64: full control for administrators and the system, the users may
	// read; of a directory, the users may also add to it.
	windowsDirectorySecurity = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA"
	windowsFileSecurity      = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA=="
)

// headers returns the tar headers of an entry in the form f.
func (f Form) headers(e *Entry) iter.Seq[*tar.Header] {
	if !f.IsWindows() {
		return headers(e)
	}
	return func(yield func(*tar.Header) bool) {
		for h := range headers(e) {
			h.Name = windowsFiles + "/" + h.Name
			if h.Linkname != "" {
				h.Linkname = windowsFiles + "/" + h.Linkname
			}
			windowsAttributes(h)
			switch h.Typeflag {
			case tar.TypeDir:
				h.PAXRecords["MSWINDOWS.rawsd"] = windowsDirectorySecurity
			case tar.TypeReg:
				h.PAXRecords["MSWINDOWS.rawsd"] = windowsFileSecurity
			}
			if !yield(h) {
				return
			}
		}
	}
}

// preamble returns the headers before those of the first entry.
func (f Form) preamble() []*tar.Header {
	if !f.IsWindows() {
		return nil
	}
	// A time that does not depend on when, so that the bytes do not either.
	hives := &tar.Header{Name: windowsHives, Typeflag: tar.TypeDir, ModTime: time.Unix(0, 0)}
	files := &tar.Header{Name: windowsFiles, Typeflag: tar.TypeDir, ModTime: time.Unix(0, 0)}
	windowsAttributes(hives)
	windowsAttributes(files)
	return []*tar.Header{hives, files}
}

func windowsAttributes(h *tar.Header) {
	h.PAXRecords = map[string]string{}
	h.Format = tar.FormatPAX
	switch h.Typeflag {
	case tar.TypeDir:
		h.Mode |= 1 << 14
		h.PAXRecords["MSWINDOWS.fileattr"] = windowsDirectory
	case tar.TypeReg:
		h.Mode |= 1 << 15
		h.PAXRecords["MSWINDOWS.fileattr"] = windowsArchive
	}
	h.PAXRecords["LIBARCHIVE.creationtime"] = fmt.Sprintf("%d.%d", h.ModTime.Unix(), h.ModTime.Nanosecond())
}

// strip takes the form off the names of a header. A header that is not of a file is dropped.
func (f Form) strip(h *tar.Header) bool {
	if !f.IsWindows() {
		return true
	}
	name, ok := strings.CutPrefix(h.Name, windowsFiles+"/")
	h.Name, h.Linkname = name, strings.TrimPrefix(h.Linkname, windowsFiles+"/")
	return ok && name != ""
}
