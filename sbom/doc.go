// Package sbom finds out which packages a file tree holds, and writes that down as SPDX.
//
// It reads what package managers leave behind: the databases of dpkg, apk and rpm, the build information in
// programs made by Go, the package.json files below node_modules, and the metadata of Python distributions. It
// runs nothing and needs no network. What is in the tree without such a trace is not in the list.
package sbom
