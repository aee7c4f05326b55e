// The ociregistry program serves the in-memory registry of cuelabs.dev/go/oci/ociregistry, to be pushed to by tests.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

func main() {
	address := flag.String("address", "", "where to listen")
	immutable := flag.Bool("immutable", false, "do not let tags be moved")
	flag.Parse()
	registry := ocimem.NewWithConfig(&ocimem.Config{ImmutableTags: *immutable})
	server := &http.Server{
		Addr:              *address,
		Handler:           ociserver.New(registry, nil),
		ReadHeaderTimeout: time.Minute,
	}
	log.Fatal(server.ListenAndServe())
}
