package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Document says of what an SPDX document is, and by whom.
type Document struct {
	// Name is what the document is about, Digest the digest of that.
	Name, Digest string
	// Tool has written it, such as "builder-1.2".
	Tool string
	// Created is when.
	Created time.Time
}

// SPDX returns the inventory as an SPDX 2.3 document in JSON (https://spdx.github.io/spdx-spec/v2.3/).
func (i *Inventory) SPDX(d Document) ([]byte, error) {
	const document, root = "SPDXRef-DOCUMENT", "SPDXRef-DocumentRoot-Image"
	doc := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: document, Name: d.Name,
		Namespace: "https://github.com/seed-298d225e/builder/spdx/" + strings.ReplaceAll(d.Digest, ":", "-"),
		Creation:  spdxCreation{Created: d.Created.UTC().Format(time.RFC3339), Creators: []string{"Tool: " + d.Tool}},
	}
	image := spdxPackage{
		ID: root, Name: d.Name, Version: d.Digest, Download: noAssertion, Declared: noAssertion, Concluded: noAssertion,
		Copyright: noAssertion, Supplier: noAssertion, Purpose: "CONTAINER",
	}
	doc.Packages = append(doc.Packages, image)
	doc.Relationships = append(doc.Relationships, spdxRelationship{document, "DESCRIBES", root})
	if i.Distribution != "" {
		os := spdxPackage{
			ID: "SPDXRef-OperatingSystem", Name: i.Distribution, Version: i.Release, Summary: i.Title, Download: noAssertion,
			Declared: noAssertion, Concluded: noAssertion, Copyright: noAssertion, Supplier: noAssertion, Purpose: "OPERATING-SYSTEM",
		}
		doc.Packages = append(doc.Packages, os)
		doc.Relationships = append(doc.Relationships, spdxRelationship{root, "CONTAINS", os.ID})
	}
	for _, p := range i.Packages {
		one := i.spdxPackage(p)
		doc.Packages = append(doc.Packages, one)
		doc.Relationships = append(doc.Relationships, spdxRelationship{root, "CONTAINS", one.ID})
	}
	return json.MarshalIndent(doc, "", " ")
}

// noAssertion is how SPDX says that nothing is said.
const noAssertion = "NOASSERTION"

func (i *Inventory) spdxPackage(p Package) spdxPackage {
	u := i.URL(p)
	sum := sha256.Sum256([]byte(u))
	one := spdxPackage{
		ID:   fmt.Sprintf("SPDXRef-Package-%s-%s", p.Kind, hex.EncodeToString(sum[:8])),
		Name: p.Name, Version: p.Version, Download: noAssertion, Concluded: noAssertion, Declared: noAssertion,
		Copyright: noAssertion, Supplier: noAssertion, Homepage: homepage(p.Homepage),
		SourceInfo: "found in /" + p.Found,
		References: []spdxReference{{"PACKAGE-MANAGER", "purl", u}},
	}
	if p.Supplier != "" {
		one.Supplier = "Person: " + strings.ReplaceAll(p.Supplier, "\n", " ")
	}
	if p.License != "" {
		one.LicenseComments = "declared as: " + p.License // not always the name of a license that SPDX knows
	}
	if p.Source != "" && p.Source != p.Name {
		one.SourceInfo += ", built from " + p.Source
	}
	return one
}

// homepage returns what SPDX takes for one.
func homepage(u string) string {
	if strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://") {
		return u
	}
	return ""
}

type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	License       string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID              string          `json:"SPDXID"`
	Name            string          `json:"name"`
	Version         string          `json:"versionInfo,omitempty"`
	Supplier        string          `json:"supplier"`
	Download        string          `json:"downloadLocation"`
	Analyzed        bool            `json:"filesAnalyzed"`
	Homepage        string          `json:"homepage,omitempty"`
	SourceInfo      string          `json:"sourceInfo,omitempty"`
	Concluded       string          `json:"licenseConcluded"`
	Declared        string          `json:"licenseDeclared"`
	LicenseComments string          `json:"licenseComments,omitempty"`
	Copyright       string          `json:"copyrightText"`
	Summary         string          `json:"summary,omitempty"`
	References      []spdxReference `json:"externalRefs,omitempty"`
	Purpose         string          `json:"primaryPackagePurpose,omitempty"`
}

type spdxReference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}
