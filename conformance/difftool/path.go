package main

import (
	"strconv"
	"strings"
)

// A path names parts of a value: keys and indices with dots between; `*` is every element. A key that has dots itself is
// written with `/` for them.

func lookup(value any, path string) []any {
	return lookupParts(value, strings.Split(path, "."))
}

func lookupParts(value any, parts []string) []any {
	if len(parts) == 0 {
		return []any{value}
	}
	var found []any
	eachChild(value, parts[0], func(child any, _ func()) {
		found = append(found, lookupParts(child, parts[1:])...)
	})
	return found
}

// remove takes what a path names out of a value and says whether there was something.
func remove(value any, parts []string) bool {
	found := false
	eachChild(value, parts[0], func(child any, drop func()) {
		if len(parts) == 1 {
			drop()
			found = true
			return
		}
		found = remove(child, parts[1:]) || found
	})
	return found
}

// eachChild calls visit for the children a part of a path names; drop takes the child away.
func eachChild(value any, part string, visit func(child any, drop func())) {
	switch value := value.(type) {
	case map[string]any:
		if part == "*" {
			for key, child := range value {
				visit(child, func() { delete(value, key) })
			}
			return
		}
		for _, key := range []string{part, strings.ReplaceAll(part, "/", ".")} {
			if child, ok := value[key]; ok {
				visit(child, func() { delete(value, key) })
				return
			}
		}
	case []any:
		for i, child := range value {
			if part == "*" || part == strconv.Itoa(i) {
				visit(child, func() { value[i] = nil })
			}
		}
	}
}
