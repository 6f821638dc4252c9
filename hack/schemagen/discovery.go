package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// groupVersion is one served group-version with its discovery document.
type groupVersion struct {
	group, version string
	resources      []discoveryResource
}

type discoveryResource struct {
	Name               string   `json:"name"`
	SingularName       string   `json:"singularName"`
	Namespaced         bool     `json:"namespaced"`
	Group              string   `json:"group"`
	Version            string   `json:"version"`
	Kind               string   `json:"kind"`
	Verbs              []string `json:"verbs"`
	ShortNames         []string `json:"shortNames"`
	Categories         []string `json:"categories"`
	StorageVersionHash string   `json:"storageVersionHash"`
	// returned: a deletion answers with the object. From OpenAPI.
	returned bool
}

func (gv groupVersion) String() string { return gv.group + "/" + gv.version }

// stable is what v1.37 serves with no --runtime-config: every GA version, no beta or alpha one. Compared with a
// running kube-apiserver of this version.
var stable = regexp.MustCompile(`^v[0-9]+$`)

// readDiscovery gives the group-versions in the order aggregated discovery shows them, the core group first.
func readDiscovery(dir string) ([]groupVersion, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Versions []struct {
				Version string `json:"version"`
			} `json:"versions"`
		} `json:"items"`
	}
	if err := readJSON(filepath.Join(dir, "aggregated_v2.json"), &list); err != nil {
		return nil, err
	}
	versions := []groupVersion{{group: "", version: "v1"}}
	for _, item := range list.Items {
		for _, version := range item.Versions {
			if stable.MatchString(version.Version) {
				versions = append(versions, groupVersion{group: item.Metadata.Name, version: version.Version})
			}
		}
	}
	for i := range versions {
		gv := &versions[i]
		file := fmt.Sprintf("apis__%s__%s.json", gv.group, gv.version)
		if gv.group == "" {
			file = "api__v1.json"
		}
		var document struct {
			Resources []discoveryResource `json:"resources"`
		}
		if err := readJSON(filepath.Join(dir, file), &document); err != nil {
			return nil, err
		}
		gv.resources = document.Resources
	}
	return versions, nil
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// storagePath is where upstream's integration test finds an object, and the group-version it is stored in.
type storagePath struct {
	prefix, group, version string
}

// readStoragePaths reads the composite literal of GetEtcdStorageData: gvr(group, version, resource) to the path in
// etcd, written as a concatenation of literals and the namespace, and the kind it is stored as when that differs.
func readStoragePaths(path string) (map[string]storagePath, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	found := map[string]storagePath{}
	ast.Inspect(file, func(node ast.Node) bool {
		pair, ok := node.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		resource, ok := callArguments(pair.Key, "gvr")
		literal, isLiteral := pair.Value.(*ast.CompositeLit)
		if !ok || !isLiteral {
			return true
		}
		stored := storagePath{group: resource[0], version: resource[1]}
		for _, element := range literal.Elts {
			field, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			switch name, _ := field.Key.(*ast.Ident); name.Name {
			case "ExpectedEtcdPath":
				stored.prefix = prefixOf(concatenated(field.Value))
			case "ExpectedGVK":
				if kind, ok := callArguments(field.Value, "gvkP"); ok && stable.MatchString(kind[1]) {
					stored.group, stored.version = kind[0], kind[1]
				}
			}
		}
		found[strings.Join(resource, "/")] = stored
		return false
	})
	if len(found) < 80 {
		return nil, fmt.Errorf("%s: only %d storage paths found", path, len(found))
	}
	return found, nil
}

func callArguments(expression ast.Expr, function string) ([]string, bool) {
	call, ok := expression.(*ast.CallExpr)
	if !ok {
		return nil, false
	}
	if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != function {
		return nil, false
	}
	var arguments []string
	for _, argument := range call.Args {
		arguments = append(arguments, concatenated(argument))
	}
	return arguments, len(arguments) == 3
}

// concatenated joins string literals; a variable (the namespace) becomes a marker.
func concatenated(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(expression.Value)
		if err != nil {
			return ""
		}
		return text
	case *ast.BinaryExpr:
		return concatenated(expression.X) + concatenated(expression.Y)
	default:
		return "\x00"
	}
}

// prefixOf cuts the namespace and name off a path.
func prefixOf(path string) string {
	if prefix, _, namespaced := strings.Cut(path, "/\x00"); namespaced {
		return prefix
	}
	return path[:strings.LastIndex(path, "/")]
}

// resourcesTable writes
//
//	gv GROUP/VERSION
//	r PLURAL SINGULAR KIND [namespaced] [returned] [short=A,B] [in=CATEGORIES] [verbs=...] [stored=GROUP/VERSION] [hash=...] [key=PREFIX]
//	s SUBRESOURCE GROUP/VERSION/KIND VERBS
//
// A resource without verbs is there for its subresources only.
func resourcesTable(versions []groupVersion, storage map[string]storagePath) []byte {
	var b strings.Builder
	b.WriteString("# Generated by hack/schemagen from upstream v1.37.0; the format is described in its discovery.go.\n")
	for _, gv := range versions {
		fmt.Fprintf(&b, "gv %s\n", gv)
		for _, resource := range gv.topLevel() {
			fmt.Fprintf(&b, "r %s %s %s", resource.Name, orDash(resource.SingularName), resource.Kind)
			if resource.Namespaced {
				b.WriteString(" namespaced")
			}
			if resource.returned {
				b.WriteString(" returned")
			}
			list(&b, "short", resource.ShortNames)
			list(&b, "in", resource.Categories)
			list(&b, "verbs", resource.Verbs)
			if stored, ok := storage[gv.group+"/"+gv.version+"/"+resource.Name]; ok {
				fmt.Fprintf(&b, " stored=%s/%s hash=%s key=%s", stored.group, stored.version, resource.StorageVersionHash, stored.prefix)
			}
			b.WriteString("\n")
			for _, sub := range gv.resources {
				name, found := strings.CutPrefix(sub.Name, resource.Name+"/")
				if !found || strings.Contains(name, "/") {
					continue
				}
				group, version := gv.group, gv.version
				if sub.Version != "" {
					group, version = sub.Group, sub.Version
				}
				fmt.Fprintf(&b, "s %s %s/%s/%s %s\n", name, group, version, sub.Kind, strings.Join(sub.Verbs, ","))
			}
		}
	}
	return []byte(b.String())
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func list(b *strings.Builder, key string, values []string) {
	if len(values) > 0 {
		fmt.Fprintf(b, " %s=%s", key, strings.Join(values, ","))
	}
}

// topLevel gives the resources, with one made up for a subresource that has no parent in the document.
func (gv groupVersion) topLevel() []discoveryResource {
	var top []discoveryResource
	seen := map[string]bool{}
	for _, resource := range gv.resources {
		if !strings.Contains(resource.Name, "/") {
			top = append(top, resource)
			seen[resource.Name] = true
		}
	}
	for _, resource := range gv.resources {
		parent, _, nested := strings.Cut(resource.Name, "/")
		if nested && !seen[parent] {
			seen[parent] = true
			top = append(top, discoveryResource{Name: parent, Kind: resource.Kind, Namespaced: resource.Namespaced})
		}
	}
	sort.SliceStable(top, func(i, j int) bool { return top[i].Name < top[j].Name })
	return top
}
