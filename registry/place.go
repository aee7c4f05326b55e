package registry

import (
	"maps"
	"slices"
)

// Place is somewhere that credentials are looked for, and what is there. It holds no secrets.
type Place struct {
	// Name is a path, or a variable with its dollar sign.
	Name string
	// Err says why it cannot be used; one that is missing is fs.ErrNotExist.
	Err error
	// Servers are the keys that it has credentials for.
	Servers []string
	// Helpers are the programs that it says know others: by server, and under "" for all.
	Helpers map[string]string
}

// Places returns where [NewKeychain] looks, in its order.
func Places(getenv func(string) string) []Place {
	var places []Place
	if text := getenv("DOCKER_AUTH_CONFIG"); text != "" {
		f, err := parseAuthFile([]byte(text))
		places = append(places, f.place("$DOCKER_AUTH_CONFIG", err))
	}
	for _, path := range append([]string{getenv("REGISTRY_AUTH_FILE")}, authPaths(getenv)...) {
		if path == "" {
			continue
		}
		f, err := readAuthFile(path)
		places = append(places, f.place(path, err))
	}
	return places
}

// place tells what f has; f is nil if err is not.
func (f *authFile) place(name string, err error) Place {
	if err != nil {
		return Place{Name: name, Err: err}
	}
	p := Place{Name: name, Servers: slices.Sorted(maps.Keys(f.Auths)), Helpers: map[string]string{}}
	for server, helper := range f.CredHelpers {
		p.Helpers[server] = "docker-credential-" + helper
	}
	if f.CredsStore != "" {
		p.Helpers[""] = "docker-credential-" + f.CredsStore
	}
	return p
}
