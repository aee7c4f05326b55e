//go:build !e2e

package e2e

import "context"

// prepareDebian prepares nothing: only the scripts are run.
func prepareDebian(context.Context, string) error { return nil }
