package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// normal is an answer without what is another every time.
func (s *sequence) normal(side int, a *answer) map[string]any {
	body, _ := copied(a.Body).(map[string]any)
	moved := "no object"
	if metadata, ok := body["metadata"].(map[string]any); ok && body["kind"] != "Status" {
		version, _ := metadata["resourceVersion"].(string)
		moved = fmt.Sprint(version != s.versions[side])
		if body["kind"] != "Scale" {
			s.versions[side] = version
		} else {
			moved = "scale"
		}
		if entries, ok := metadata["managedFields"].([]any); ok {
			// Entries are sorted by time first, and the two servers' seconds differ.
			sort.Slice(entries, func(i, j int) bool { return owner(entries[i]) < owner(entries[j]) })
		}
		for _, field := range []string{"uid", "resourceVersion"} {
			if _, has := metadata[field]; has {
				metadata[field] = "<" + field + ">"
			}
		}
	}
	if message, _ := body["message"].(string); strings.Contains(message, "not declared in schema") {
		// Upstream looks at fields in any order, and no further than the first unknown one of a map.
		at := strings.LastIndex(message[:strings.Index(message, "not declared in schema")], ": errors:")
		if at < 0 {
			at = strings.Index(message, ": .")
		}
		body["message"] = message[:max(at, 0)]
	}
	if details, ok := body["details"].(map[string]any); ok {
		if causes, ok := details["causes"].([]any); ok {
			// Upstream lists the managers of conflicts in any order.
			sort.Slice(causes, func(i, j int) bool { return text(causes[i]) < text(causes[j]) })
			if len(causes) > 1 && body["reason"] == "Invalid" {
				// And what is invalid: the message is the causes in that order.
				body["message"] = "<causes>"
			}
		}
	}
	return map[string]any{"code": float64(a.Code), "moved": moved, "warnings": a.Warnings, "body": masked("", body)}
}

// owner is what tells an entry of managedFields from the others.
func owner(entry any) string {
	fields, _ := entry.(map[string]any)
	return fmt.Sprint(fields["operation"], fields["manager"], fields["apiVersion"], fields["subresource"], fields["time"] == nil)
}

func text(value any) string {
	encoded, _ := json.Marshal(value)
	return string(encoded)
}

func masked(key string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, inner := range value {
			out[name] = masked(name, inner)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, inner := range value {
			out[i] = masked(key, inner)
		}
		return out
	case string:
		if len(value) == len("2006-01-02T15:04:05Z") && strings.HasSuffix(value, "Z") && value[4] == '-' && value > "2025" {
			return "<time>"
		}
		if ip := net.ParseIP(value); ip != nil && strings.HasPrefix(value, "10.") && (key == "clusterIP" || key == "clusterIPs") {
			return "<address>"
		}
		return value
	case float64:
		if key == "nodePort" || key == "healthCheckNodePort" {
			return "<port>"
		}
	}
	return value
}

// differences lists what is not the same, a line each.
func differences(path string, left, right any) []string {
	if reflect.DeepEqual(left, right) {
		return nil
	}
	switch l := left.(type) {
	case map[string]any:
		if r, ok := right.(map[string]any); ok {
			keys := slices.Sorted(maps.Keys(l))
			for key := range r {
				if _, has := l[key]; !has {
					keys = append(keys, key)
				}
			}
			var out []string
			for _, key := range keys {
				out = append(out, differences(path+"."+key, l[key], r[key])...)
			}
			return out
		}
	case []any:
		if r, ok := right.([]any); ok && len(l) == len(r) {
			var out []string
			for i := range l {
				out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), l[i], r[i])...)
			}
			return out
		}
	}
	return []string{fmt.Sprintf("    %s\n      upstream %s\n      krab     %s\n", path, text(left), text(right))}
}

// recorded is the sequence with what upstream answered of ownership, as krab's own test reads it.
func (s *sequence) recorded() any {
	type step struct {
		*request
		Code int `json:"code"`
		// Message is why the request was refused; Owners are the entries of managedFields otherwise.
		Message any `json:"message,omitempty"`
		Owners  any `json:"owners,omitempty"`
	}
	steps := []step{}
	for i, r := range s.done {
		body, _ := s.normal(0, s.told[i])["body"].(map[string]any)
		metadata, _ := body["metadata"].(map[string]any)
		steps = append(steps, step{request: r, Code: s.told[i].Code, Message: body["message"], Owners: metadata["managedFields"]})
	}
	return steps
}
