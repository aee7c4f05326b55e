package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// addCertificates adds what a directory has for a host, by the names that docker and podman give files in certs.d:
// NAME.crt is a certificate to trust, NAME.cert and NAME.key are shown to the registry. The directory need not
// exist.
func (h *Host) addCertificates(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch filepath.Ext(path) {
		case ".crt":
			h.CA = append(h.CA, path)
		case ".cert":
			key := strings.TrimSuffix(path, ".cert") + ".key"
			if _, err := os.Stat(key); err != nil {
				return fmt.Errorf("the certificate %s has no key beside it: %w", path, err)
			}
			h.ClientCert, h.ClientKey = path, key
		}
	}
	return nil
}
