package exporter

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Compared is what is compared of an image.
type Compared struct {
	// Config is the raw config, Layers are lowest first.
	Config []byte
	Layers []v1.Layer
}

// Difference says in what two images differ first: the file in the lowest layer that is not the same, or else the
// field of the config. It is empty if their layers hold the same archives and their configs are equal.
func Difference(want, got Compared) (string, error) {
	for i := range min(len(want.Layers), len(got.Layers)) {
		text, err := layerDifference(want.Layers[i], got.Layers[i])
		if err != nil {
			return "", fmt.Errorf("comparing layer %d: %w", i+1, err)
		}
		if text != "" {
			return fmt.Sprintf("layer %d%s: %s", i+1, madeBy(want.Config, i), text), nil
		}
	}
	if len(want.Layers) != len(got.Layers) {
		return fmt.Sprintf("it had %d layers and has %d", len(want.Layers), len(got.Layers)), nil
	}
	return configDifference(want.Config, got.Config), nil
}

// madeBy names the instruction that made a layer of an image, counted from 0, if that can be told.
func madeBy(config []byte, layer int) string {
	c, err := v1.ParseConfigFile(bytes.NewReader(config))
	if err != nil {
		return ""
	}
	for _, h := range c.History {
		if h.EmptyLayer {
			continue
		}
		if layer == 0 {
			return " (" + strings.TrimSuffix(h.CreatedBy, " # buildkit") + ")"
		}
		layer--
	}
	return ""
}

func layerDifference(want, got v1.Layer) (string, error) {
	a, err := want.DiffID()
	if err != nil {
		return "", err
	}
	b, err := got.DiffID()
	if err != nil || a == b {
		return "", err
	}
	before, err := listed(want)
	if err != nil {
		return "", err
	}
	now, err := listed(got)
	if err != nil {
		return "", err
	}
	names := maps.Clone(before)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if text := entryDifference(before[name], now[name]); text != "" {
			return name + ": " + text, nil
		}
	}
	return "the same files in another order or form", nil
}

// listedEntry is an entry of a layer with the digest of its content.
type listedEntry struct {
	*tar.Header
	sum [sha256.Size]byte
}

// listed reads all entries of a layer, by path.
func listed(l v1.Layer) (map[string]*listedEntry, error) {
	r, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all := map[string]*listedEntry{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, archive); err != nil {
			return nil, err
		}
		all["/"+strings.Trim(strings.TrimPrefix(h.Name, "./"), "/")] = &listedEntry{h, [sha256.Size]byte(sum.Sum(nil))}
	}
}

// entryDifference says in what two entries differ, of which one may be missing.
func entryDifference(want, got *listedEntry) string {
	switch {
	case want == nil:
		return "it was not there before"
	case got == nil:
		return "it is not there any more"
	}
	for _, field := range []struct {
		name      string
		want, got any
	}{
		{"type", string(want.Typeflag), string(got.Typeflag)},
		{"mode", fmt.Sprintf("%04o", want.Mode), fmt.Sprintf("%04o", got.Mode)},
		{"owner", fmt.Sprintf("%d:%d", want.Uid, want.Gid), fmt.Sprintf("%d:%d", got.Uid, got.Gid)},
		{"size", want.Size, got.Size},
		{"link", want.Linkname, got.Linkname},
		{"device", fmt.Sprintf("%d:%d", want.Devmajor, want.Devminor), fmt.Sprintf("%d:%d", got.Devmajor, got.Devminor)},
		{"time", want.ModTime.UTC(), got.ModTime.UTC()},
	} {
		if field.want != field.got {
			return fmt.Sprintf("the %s was %v and is %v", field.name, field.want, field.got)
		}
	}
	if want.sum != got.sum {
		return "the content is another"
	}
	if !maps.Equal(want.PAXRecords, got.PAXRecords) {
		return "the extended attributes are others"
	}
	return ""
}

// configDifference names the first line in which two configs differ.
func configDifference(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	before, now := configLines(want), configLines(got)
	for i := range min(len(before), len(now)) {
		if before[i] != now[i] {
			return fmt.Sprintf("the config: it was %s and is %s", before[i], now[i])
		}
	}
	return "the config has other fields"
}

// configLines is a config with a line for each field.
func configLines(raw []byte) []string {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", ""); err != nil {
		return []string{string(raw)}
	}
	return strings.Split(b.String(), "\n")
}
