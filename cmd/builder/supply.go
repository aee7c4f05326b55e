//go:build linux

package main

import "github.com/spf13/pflag"

// supplyFlags are the flags of build about what goes into the image and what is said of it.
type supplyFlags struct {
	provenance, sbom string
	attests          []string
}

func (f *supplyFlags) add(s *pflag.FlagSet) {
	s.StringArrayVar(&f.attests, "attest", nil, "attest something of the image: type=provenance|sbom[,KEY=VALUE]...")
	s.StringVar(&f.provenance, "provenance", "", "attest how the image was made: true, false, mode=min|max (short for --attest type=provenance)")
	s.StringVar(&f.sbom, "sbom", "", "attest what the image holds: true, false, generator=IMAGE (short for --attest type=sbom)")
	s.Lookup("provenance").NoOptDefVal, s.Lookup("sbom").NoOptDefVal = "true", "true"
}
