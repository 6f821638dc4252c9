package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// enums finds the values of string types marked +enum in their source. The published documents in the module leave
// them out; a running server shows them.
type enums struct {
	folders map[string]string
	known   map[string]map[string][]string
}

func newEnums() (*enums, error) {
	output, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Dir}}", ".").Output()
	if err != nil {
		return nil, fmt.Errorf("listing packages: %w", err)
	}
	folders := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(output)), "\n") {
		path, dir, _ := strings.Cut(line, " ")
		folders[path] = dir
	}
	return &enums{folders: folders, known: map[string]map[string][]string{}}, nil
}

// values gives the sorted values of a type, nothing for types that are no enumeration.
func (e *enums) values(t reflect.Type) ([]string, error) {
	if t.Kind() != reflect.String || t.PkgPath() == "" {
		return nil, nil
	}
	types, seen := e.known[t.PkgPath()]
	if !seen {
		var err error
		if types, err = readEnums(e.folders[t.PkgPath()]); err != nil {
			return nil, err
		}
		e.known[t.PkgPath()] = types
	}
	return types[t.Name()], nil
}

func readEnums(folder string) (map[string][]string, error) {
	notTests := func(info fs.FileInfo) bool { return !strings.HasSuffix(info.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), folder, notTests, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	marked := map[string]bool{}
	values := map[string][]string{}
	for _, pkg := range packages {
		for _, file := range pkg.Files {
			for _, declaration := range file.Decls {
				group, ok := declaration.(*ast.GenDecl)
				if !ok {
					continue
				}
				for _, spec := range group.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if hasMarker(group.Doc, "+enum") || hasMarker(spec.Doc, "+enum") {
							marked[spec.Name.Name] = true
						}
					case *ast.ValueSpec:
						if len(spec.Values) != 1 || hasMarker(spec.Doc, "+k8s:enumExclude") {
							continue
						}
						name, _ := spec.Type.(*ast.Ident)
						expression := spec.Values[0]
						if call, ok := expression.(*ast.CallExpr); ok && name == nil && len(call.Args) == 1 {
							name, _ = call.Fun.(*ast.Ident)
							expression = call.Args[0]
						}
						if value, ok := constant(expression); ok && name != nil {
							values[name.Name] = append(values[name.Name], value)
						}
					}
				}
			}
		}
	}
	for name := range values {
		if !marked[name] {
			delete(values, name)
			continue
		}
		slices.Sort(values[name])
		values[name] = slices.Compact(values[name])
	}
	return values, nil
}

// constant gives the text of a literal, or of one of the few constants of other packages that are converted.
func constant(expression ast.Expr) (string, bool) {
	switch expression := expression.(type) {
	case *ast.BasicLit:
		value, err := strconv.Unquote(expression.Value)
		return value, err == nil
	case *ast.SelectorExpr:
		switch expression.Sel.Name {
		case "IPv4Protocol":
			return string(corev1.IPv4Protocol), true
		case "IPv6Protocol":
			return string(corev1.IPv6Protocol), true
		}
	}
	return "", false
}

func hasMarker(comment *ast.CommentGroup, marker string) bool {
	if comment == nil {
		return false
	}
	for _, line := range comment.List {
		if text := strings.TrimSpace(strings.TrimPrefix(line.Text, "//")); text == marker || strings.HasPrefix(text, marker+"=") {
			return true
		}
	}
	return false
}
