package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

func init() {
	// What client-go's own scheme has not.
	utilruntime.Must(metav1.AddMetaToScheme(scheme.Scheme))
	utilruntime.Must(apiregistrationv1.AddToScheme(scheme.Scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme.Scheme))
}

// difference says in a line where two answers are not the same; empty when they are.
func difference(q question, upstream, krab *answer) string {
	if upstream.status != krab.status {
		return fmt.Sprintf("upstream answers %d, krab %d: %.300s", upstream.status, krab.status, krab.body)
	}
	if upstream.media != krab.media {
		return fmt.Sprintf("upstream sends %q, krab %q", upstream.media, krab.media)
	}
	if bytes.Equal(upstream.body, krab.body) {
		return ""
	}
	if q.watch && upstream.status == 200 {
		return events(upstream, krab)
	}
	return bodies(upstream.media, upstream.body, krab.body)
}

// bodies compares two messages of one encoding.
func bodies(media string, upstream, krab []byte) string {
	left, err := decode(media, upstream)
	if err != nil {
		return fmt.Sprintf("upstream's %s is not understood: %v", media, err)
	}
	right, err := decode(media, krab)
	if err != nil {
		return fmt.Sprintf("krab's %s is not understood: %v", media, err)
	}
	if at := first("", normal(left), normal(right)); at != "" {
		return at
	}
	if isProtobuf(media) && !continues(left) {
		n := 0
		for n < min(len(upstream), len(krab)) && upstream[n] == krab[n] {
			n++
		}
		return fmt.Sprintf("the same object in other bytes, from byte %d of %d and %d on: %x, %x", n, len(upstream), len(krab),
			upstream[n:min(n+12, len(upstream))], krab[n:min(n+12, len(krab))])
	}
	return ""
}

// continues tells a page, whose token makes its bytes another's.
func continues(body any) bool {
	list, _ := body.(map[string]any)
	metadata, _ := list["metadata"].(map[string]any)
	return metadata["continue"] != nil
}

// events compares two watches, which send what was there in any order, and the bookmark behind it.
func events(upstream, krab *answer) string {
	var sides [2][]string
	for i, a := range []*answer{upstream, krab} {
		frames, err := cut(a)
		if err != nil {
			return fmt.Sprintf("a watch breaks off: %v", err)
		}
		for _, frame := range frames {
			event, err := decodeEvent(a.media, frame)
			if err != nil {
				return fmt.Sprintf("an event is not understood: %v", err)
			}
			if isRestless(event) {
				continue
			}
			text, err := json.Marshal(event)
			if err != nil {
				return err.Error()
			}
			sides[i] = append(sides[i], string(text))
		}
		slices.Sort(sides[i])
	}
	for i := range max(len(sides[0]), len(sides[1])) {
		switch {
		case i >= len(sides[0]):
			return "krab sends an event more: " + sides[1][i]
		case i >= len(sides[1]):
			return "krab sends no event: " + sides[0][i]
		case sides[0][i] != sides[1][i]:
			return fmt.Sprintf("an event is another:\n    %.400s\n    %.400s", sides[0][i], sides[1][i])
		}
	}
	return ""
}

// cut gives the events of a watch.
func cut(a *answer) ([][]byte, error) {
	if !isProtobuf(a.media) {
		if !strings.HasPrefix(a.media, "application/cbor") {
			return slices.DeleteFunc(bytes.Split(a.body, []byte("\n")), func(line []byte) bool { return len(line) == 0 }), nil
		}
		var frames [][]byte
		reader := cbor.NewFramer().NewFrameReader(io.NopCloser(bytes.NewReader(a.body)))
		buffer := make([]byte, len(a.body))
		for {
			n, err := reader.Read(buffer)
			switch {
			case errors.Is(err, io.EOF):
				return frames, nil
			case err != nil:
				return nil, err
			}
			frames = append(frames, bytes.Clone(buffer[:n]))
		}
	}
	var frames [][]byte
	for rest := a.body; len(rest) > 0; {
		if len(rest) < 4 || len(rest)-4 < int(binary.BigEndian.Uint32(rest)) {
			return nil, fmt.Errorf("%d bytes are left", len(rest))
		}
		end := 4 + int(binary.BigEndian.Uint32(rest))
		frames = append(frames, rest[4:end])
		rest = rest[end:]
	}
	return frames, nil
}

// decodeEvent gives an event with its object as JSON would have it. What a bookmark's revision is nobody has said.
func decodeEvent(media string, frame []byte) (map[string]any, error) {
	event := map[string]any{}
	if isProtobuf(media) {
		var e metav1.WatchEvent
		if err := e.Unmarshal(frame); err != nil {
			return nil, err
		}
		object, err := decode(media, e.Object.Raw)
		if err != nil {
			return nil, err
		}
		event["type"], event["object"] = e.Type, object
	} else {
		value, err := decode(media, frame)
		if err != nil {
			return nil, err
		}
		event, _ = value.(map[string]any)
	}
	if object, ok := event["object"].(map[string]any); ok {
		// The first table has them, whichever object it is of.
		delete(object, "columnDefinitions")
		if event["type"] == "BOOKMARK" {
			forgetRevision(object)
		}
	}
	normalEvent, _ := normal(event).(map[string]any)
	return normalEvent, nil
}

// isRestless tells what the servers write while they are asked: by which each says that it lives and where. A bookmark that
// ends nothing comes when it likes.
func isRestless(event map[string]any) bool {
	text, err := json.Marshal(event["object"])
	has := func(word string) bool { return err == nil && bytes.Contains(text, []byte(word)) }
	return has(`"apiserver.kubernetes.io/identity"`) || has(`"endpointslice.kubernetes.io/skip-mirror":"true"`) ||
		event["type"] == "BOOKMARK" && !has(`"k8s.io/initial-events-end"`)
}

func forgetRevision(object map[string]any) {
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "resourceVersion")
	}
	rows, _ := object["rows"].([]any)
	for _, row := range rows {
		if row, ok := row.(map[string]any); ok {
			delete(row, "cells")
			if inner, ok := row["object"].(map[string]any); ok {
				forgetRevision(inner)
			}
		}
	}
}

// decode gives a body as JSON would have it.
func decode(media string, body []byte) (any, error) {
	var value any
	switch {
	case isProtobuf(media):
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		err = json.Unmarshal(text, &value)
		return value, err
	case strings.HasPrefix(media, "application/cbor"):
		err := direct.Unmarshal(body, &value)
		return value, err
	case strings.HasPrefix(media, "application/yaml"):
		text, err := yaml.ToJSON(body)
		if err != nil {
			return nil, err
		}
		body = text
	}
	err := json.Unmarshal(body, &value)
	return value, err
}

func isProtobuf(media string) bool {
	return strings.HasPrefix(media, "application/vnd.kubernetes.protobuf")
}

// age is a cell that is another a moment later.
var age = regexp.MustCompile(`^(\d+[smhdy])+$`)

// normal leaves out what is no fault: ages, and the descriptions of columns, which krab has none of.
func normal(value any) any {
	switch value := value.(type) {
	case map[string]any:
		if columns, ok := value["columnDefinitions"].([]any); ok {
			for _, column := range columns {
				if column, ok := column.(map[string]any); ok {
					delete(column, "description")
				}
			}
		}
		for key, inner := range value {
			value[key] = normal(inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = normal(inner)
		}
	case string:
		if age.MatchString(value) {
			return "AGE"
		}
		return token(value)
	}
	return value
}

// token takes a continue token apart; what krab alone has in it is left out.
func token(value string) any {
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || !bytes.HasPrefix(text, []byte(`{"`)) {
		return value
	}
	var parts map[string]any
	if err := json.Unmarshal(text, &parts); err != nil {
		return value
	}
	delete(parts, "sent")
	// Some of upstream's prefixes end in a slash, some of its keys begin with one; it reads both.
	if start, ok := parts["start"].(string); ok {
		parts["start"] = strings.TrimPrefix(start, "/")
	}
	return parts
}

// first gives the first place where two trees are not the same, in a fixed order.
func first(path string, left, right any) string {
	switch left := left.(type) {
	case map[string]any:
		if right, ok := right.(map[string]any); ok {
			keys := map[string]bool{}
			for key := range left {
				keys[key] = true
			}
			for key := range right {
				keys[key] = true
			}
			for _, key := range sorted(keys) {
				_, l := left[key]
				_, r := right[key]
				if l != r {
					return fmt.Sprintf("%s.%s: upstream %s, krab %s", path, key, text(left[key], l), text(right[key], r))
				}
				if at := first(path+"."+key, left[key], right[key]); at != "" {
					return at
				}
			}
			return ""
		}
	case []any:
		if right, ok := right.([]any); ok {
			if len(left) != len(right) {
				return fmt.Sprintf("%s: upstream has %d elements, krab %d", path, len(left), len(right))
			}
			for i := range left {
				if at := first(fmt.Sprintf("%s[%d]", path, i), left[i], right[i]); at != "" {
					return at
				}
			}
			return ""
		}
	}
	if reflect.DeepEqual(left, right) {
		return ""
	}
	return fmt.Sprintf("%s: upstream %s, krab %s", path, text(left, true), text(right, true))
}

func sorted(keys map[string]bool) []string {
	var names []string
	for key := range keys {
		names = append(names, key)
	}
	slices.Sort(names)
	return names
}

func text(value any, is bool) string {
	if !is {
		return "has none"
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("%.200s", encoded)
}
