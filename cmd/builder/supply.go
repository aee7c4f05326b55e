//go:build linux

package main

import "github.com/spf13/pflag"

// supplyFlags are the flags of build about what goes into the image and what is said of it.
type supplyFlags struct {
	provenance, sbom string
	attests          []string
	sign             string
	policies         []string
	locked           bool
}

func (f *supplyFlags) add(s *pflag.FlagSet) {
	s.StringArrayVar(&f.attests, "attest", nil, "attest something of the image: type=provenance|sbom[,KEY=VALUE]...")
	s.StringVar(&f.provenance, "provenance", "", "attest how the image was made: true, false, mode=min|max (short for --attest type=provenance)")
	s.StringVar(&f.sbom, "sbom", "", "attest what the image holds: true, false, generator=IMAGE (short for --attest type=sbom)")
	s.StringVar(&f.sign, "sign", "", "sign what is pushed, and what is attested of it, as cosign does, with this key file or env://VARIABLE; $COSIGN_PASSWORD decrypts it")
	s.StringArrayVar(&f.policies, "source-policy-file", nil, "rules about what may be fetched, in BuildKit's format")
	s.BoolVar(&f.locked, "locked", false, "use only sources that Dockerfile.lock pins, as \"builder lock\" writes it")
	s.Lookup("provenance").NoOptDefVal, s.Lookup("sbom").NoOptDefVal = "true", "true"
}
