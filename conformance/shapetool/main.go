// Command shapetool prints the shape of upstream's internal types, which users see in one place: the difference that a refused
// change of an immutable spec is answered with is one of internal structs, printed as JSON without tags.
//
// The table is apiserver/src/registry/internal/types.txt. To make it again:
//
//	cd conformance && go run ./shapetool > ../apiserver/src/registry/internal/types.txt
//
// A line is a type and its fields in Go's order, each `GoName=jsonName:TYPE`. The JSON name is that of v1.
// Types: s, b, i (text, truth, number), q (quantity), n (number or text), j (as v1 prints
// it), a name, and before them * (pointer), [ (list) and { (map). `=metadata:~` is metadata, whose fields stand among the others.
package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/apis/core"
)

// roots are the types that are compared, each beside its type in v1.
var roots = [][2]any{
	{core.PodSpec{}, v1.PodSpec{}},
	{core.EphemeralContainer{}, v1.EphemeralContainer{}},
	{core.PersistentVolumeClaimSpec{}, v1.PersistentVolumeClaimSpec{}},
	{core.PersistentVolumeSource{}, v1.PersistentVolumeSource{}},
}

func main() {
	var waiting [][2]reflect.Type
	seen := map[string]bool{}
	add := func(internal, versioned reflect.Type) {
		if !seen[internal.Name()] {
			seen[internal.Name()] = true
			waiting = append(waiting, [2]reflect.Type{internal, versioned})
		}
	}
	for _, root := range roots {
		add(reflect.TypeOf(root[0]), reflect.TypeOf(root[1]))
	}
	var lines []string
	for len(waiting) > 0 {
		next := waiting[0]
		waiting = waiting[1:]
		lines = append(lines, shape(next[0], next[1], add))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
}

func shape(internal, versioned reflect.Type, add func(_, _ reflect.Type)) string {
	line := internal.Name()
	for _, field := range flattened(internal) {
		if field.Type == reflect.TypeFor[metav1.ObjectMeta]() {
			line += " =metadata:~"
			continue
		}
		own, found := versioned.FieldByName(field.Name)
		if !found {
			fmt.Fprintf(os.Stderr, "%s.%s has no counterpart in v1\n", internal.Name(), field.Name)
			os.Exit(1)
		}
		name, _, _ := strings.Cut(own.Tag.Get("json"), ",")
		line += fmt.Sprintf(" %s=%s:%s", field.Name, name, code(field.Type, own.Type, add))
	}
	return line
}

// flattened are the fields as encoding/json shows them: those of embedded structs among the others.
func flattened(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for field := range t.Fields() {
		embedded := field.Anonymous && field.Type.Kind() == reflect.Struct && field.Tag.Get("json") == ""
		if embedded && field.Type != reflect.TypeFor[metav1.ObjectMeta]() {
			fields = append(fields, flattened(field.Type)...)
		} else {
			fields = append(fields, field)
		}
	}
	return fields
}

func code(internal, versioned reflect.Type, add func(_, _ reflect.Type)) string {
	switch internal {
	case reflect.TypeFor[resource.Quantity]():
		return "q"
	case reflect.TypeFor[intstr.IntOrString]():
		return "n"
	}
	// Whatever else marshals itself, or has tags, is as in v1.
	if internal.Implements(reflect.TypeFor[interface{ MarshalJSON() ([]byte, error) }]()) ||
		reflect.PointerTo(internal).Implements(reflect.TypeFor[interface{ MarshalJSON() ([]byte, error) }]()) {
		return "j"
	}
	switch internal.Kind() {
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "b"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64, reflect.Float64:
		return "i"
	case reflect.Pointer:
		return "*" + code(internal.Elem(), indirect(versioned), add)
	case reflect.Slice:
		if internal.Elem().Kind() == reflect.Uint8 {
			return "*s"
		}
		return "[" + code(internal.Elem(), indirect(versioned).Elem(), add)
	case reflect.Map:
		return "{" + code(internal.Elem(), indirect(versioned).Elem(), add)
	case reflect.Struct:
		if internal.PkgPath() == reflect.TypeFor[metav1.LabelSelector]().PkgPath() {
			return "j"
		}
		add(internal, indirect(versioned))
		return internal.Name()
	}
	panic(internal.String())
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
