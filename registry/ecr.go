package registry

import "regexp"

// ECR is one of Amazon's registries.
type ECR struct {
	// Account and Region are those of a private registry. Public is the public gallery, which is managed in one
	// region.
	Account, Region string
	Public          bool
	// FIPS: it is spoken to through an endpoint with validated cryptography.
	FIPS bool
}

var privateECR = regexp.MustCompile(`^([0-9]{12})\.(?:dkr\.ecr(-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?|dkr-ecr(-fips)?\.([a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.com\.cn))$`)

// ParseECR takes the name of a registry apart. It is matched as a whole, since anyone can own a name that looks
// like Amazon's.
func ParseECR(host string) (ECR, bool) {
	if host == "public.ecr.aws" {
		return ECR{Region: "us-east-1", Public: true}, true
	}
	m := privateECR.FindStringSubmatch(host)
	if m == nil {
		return ECR{}, false
	}
	return ECR{Account: m[1], Region: m[3] + m[5], FIPS: m[2]+m[4] != ""}, true
}
