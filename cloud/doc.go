// Package cloud finds the credentials for registries that clouds and CI systems give to what runs in them, and
// creates repositories in Amazon's registry.
//
// No program need be installed and no file written for that: what the environment says is enough. A credential
// goes to hosts of the very service that it is for and to no other; anyone can own a name that only looks like one
// of them, so hosts are matched as a whole. Where there is nothing to be found the answer is no credentials, and
// the registry is asked without any.
package cloud
