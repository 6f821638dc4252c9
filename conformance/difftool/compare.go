package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// difference is one place where two answers are not the same.
type difference struct {
	// path is where: status, headers.NAME, form, body.PATH.
	path string
	// left is upstream's value, right krab's; nil with the flag unset where there is none.
	left, right       any
	hasLeft, hasRight bool
	// known is the reason the difference is expected, if it is.
	known string
}

// identities are the fields that tell the elements of a list apart, so that one more element does not shift the others.
var identities = []string{"name", "resource", "subresource", "groupVersion", "version", "manager", "key", "type", "metadata"}

// compareAnswers compares two answers. Where status or form are not the same the bodies are different things: one difference
// says so.
func compareAnswers(left, right map[string]any) []difference {
	if !reflect.DeepEqual(left["status"], right["status"]) || !reflect.DeepEqual(kind(left), kind(right)) {
		l, r := maps.Clone(left), maps.Clone(right)
		delete(l, "body")
		delete(r, "body")
		found := compare("", l, r)
		if !reflect.DeepEqual(left["body"], right["body"]) {
			found = append(found, difference{path: "body", left: left["body"], right: right["body"], hasLeft: true, hasRight: true})
		}
		return found
	}
	return compare("", left, right)
}

// kind is the media type of an answer as its form has it.
func kind(answer map[string]any) string {
	form, _ := answer["form"].(string)
	kind, _, _ := strings.Cut(form, ",")
	return kind
}

// compare lists all differences between two trees, in a fixed order.
func compare(path string, left, right any) []difference {
	switch left := left.(type) {
	case map[string]any:
		if right, ok := right.(map[string]any); ok {
			return compareMaps(path, left, right)
		}
	case []any:
		if right, ok := right.([]any); ok {
			return compareLists(path, left, right)
		}
	}
	if reflect.DeepEqual(left, right) {
		return nil
	}
	return []difference{{path: path, left: left, right: right, hasLeft: true, hasRight: true}}
}

func compareMaps(path string, left, right map[string]any) []difference {
	var out []difference
	for _, key := range sortedKeys(left, right) {
		l, hasLeft := left[key]
		r, hasRight := right[key]
		below := join(path, key)
		if hasLeft && hasRight {
			out = append(out, compare(below, l, r)...)
		} else {
			out = append(out, difference{path: below, left: l, right: r, hasLeft: hasLeft, hasRight: hasRight})
		}
	}
	return out
}

func compareLists(path string, left, right []any) []difference {
	leftNames, rightNames := identify(left), identify(right)
	if leftNames != nil && rightNames != nil && !slices.Equal(leftNames, rightNames) {
		return compareNamed(path, left, right, leftNames, rightNames)
	}
	var out []difference
	for i := range max(len(left), len(right)) {
		below := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(left):
			out = append(out, difference{path: below, right: right[i], hasRight: true})
		case i >= len(right):
			out = append(out, difference{path: below, left: left[i], hasLeft: true})
		default:
			out = append(out, compare(below, left[i], right[i])...)
		}
	}
	return out
}

// compareNamed compares element by element of the same name, and then the order of those both have.
func compareNamed(path string, left, right []any, leftNames, rightNames []string) []difference {
	var out []difference
	var leftOrder, rightOrder []any
	for i, name := range leftNames {
		below := fmt.Sprintf("%s[%s]", path, name)
		if at := slices.Index(rightNames, name); at >= 0 {
			leftOrder = append(leftOrder, name)
			out = append(out, compare(below, left[i], right[at])...)
		} else {
			out = append(out, difference{path: below, left: left[i], hasLeft: true})
		}
	}
	for i, name := range rightNames {
		if slices.Contains(leftNames, name) {
			rightOrder = append(rightOrder, name)
		} else {
			out = append(out, difference{path: fmt.Sprintf("%s[%s]", path, name), right: right[i], hasRight: true})
		}
	}
	if !reflect.DeepEqual(leftOrder, rightOrder) {
		out = append(out, difference{path: path + "[order]", left: leftOrder, right: rightOrder, hasLeft: true, hasRight: true})
	}
	return out
}

// identify names the elements of a list; nil where they cannot be told apart.
func identify(list []any) []string {
	names := make([]string, len(list))
	for i, element := range list {
		switch element := element.(type) {
		case string:
			names[i] = element
		case map[string]any:
			names[i] = identity(element)
		}
		if names[i] == "" || slices.Contains(names[:i], names[i]) {
			return nil
		}
	}
	return names
}

func identity(element map[string]any) string {
	var words []string
	for _, field := range identities {
		switch value := element[field].(type) {
		case string:
			words = append(words, value)
		case map[string]any:
			if name, ok := value["name"].(string); ok {
				words = append(words, name)
			}
		}
	}
	return strings.Join(words, " ")
}

func sortedKeys(maps ...map[string]any) []string {
	var keys []string
	for _, m := range maps {
		for key := range m {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// show renders a value for people: short ones whole, long ones cut.
func show(value any, has bool, limit int) string {
	if !has {
		return "(nothing)"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	out := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))
	if limit > 0 && len(out) > limit {
		return fmt.Sprintf("%s... (%d characters)", out[:limit], len(out))
	}
	return out
}
