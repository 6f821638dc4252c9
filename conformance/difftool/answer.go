package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const protobufType = "application/vnd.kubernetes.protobuf"

// protobufMagic is in front of every object.
var protobufMagic = []byte("k8s\x00")

// headers whose values are compared.
var headers = []string{
	"Allow", "Cache-Control", "Content-Encoding", "Content-Type", "Location", "Retry-After", "Vary", "Warning",
	"Www-Authenticate", "X-Content-Type-Options",
}

// present are headers of which only the presence is compared.
var present = []string{
	"Audit-Id", "Etag", "Last-Modified", "X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid",
}

// tree makes of an answer what is compared: one value of status, headers and body.
func tree(r *reply, s *step) (map[string]any, error) {
	out := map[string]any{"status": float64(r.status), "headers": headerTree(r.headers)}
	if s.Compare == "status" {
		return out, nil
	}
	form, body := bodyTree(r)
	switch s.Compare {
	case "hash":
		sum := sha256.Sum256(r.body)
		out["body"], out["form"] = hex.EncodeToString(sum[:]), form
		return out, nil
	case "lines":
		lines := strings.Split(string(r.body), "\n")
		slices.Sort(lines)
		out["body"] = lines
		return out, nil
	case "metrics":
		out["body"] = metricsTree(r.body)
		return out, nil
	}
	if len(s.Pick) > 0 {
		picked := map[string]any{}
		for _, path := range s.Pick {
			picked[path] = lookup(body, path)
		}
		body = picked
	}
	for _, path := range s.Ignore {
		if !remove(body, strings.Split(path, ".")) {
			return nil, fmt.Errorf("ignore: the answer has no %s", path)
		}
	}
	for _, path := range s.Unordered {
		for _, list := range lookup(body, path) {
			if list, ok := list.([]any); ok {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(show(a, true, 0), show(b, true, 0)) })
			}
		}
	}
	out["body"], out["form"] = body, form
	return out, nil
}

// holds: is what a path of the body names true? No path holds always.
func (r *reply) holds(path string) bool {
	if path == "" {
		return true
	}
	_, body := bodyTree(r)
	return slices.Equal(lookup(body, path), []any{true})
}

func headerTree(from http.Header) map[string]any {
	out := map[string]any{}
	for _, name := range headers {
		values := slices.Clone(from.Values(name))
		if name == "Vary" {
			// One line or two is the same.
			values = strings.FieldsFunc(strings.Join(values, ","), func(r rune) bool { return r == ',' || r == ' ' })
			slices.Sort(values)
		}
		if len(values) > 0 {
			out[name] = strings.Join(values, " | ")
		}
	}
	for _, name := range present {
		if from.Get(name) != "" {
			out[name] = "is there"
		}
	}
	return out
}

// bodyTree reads a body by its content type and says in words which form it has.
func bodyTree(r *reply) (string, any) {
	kind := r.headers.Get("Content-Type")
	switch {
	case len(r.body) == 0:
		return "empty", nil
	case strings.HasPrefix(kind, protobufType):
		if frames, ok := protobufFrames(r.body); ok {
			return fmt.Sprintf("%d protobuf frames", len(frames)), frames
		}
		return "protobuf", protobufTree(r.body)
	case strings.HasPrefix(kind, "application/json"), json.Valid(r.body):
		// Some JSON is sent as text.
		return jsonTree(r.body)
	}
	if strings.HasPrefix(kind, "application/yaml") {
		// What it says counts, not in which of YAML's many ways.
		var whole any
		if yaml.Unmarshal(r.body, &whole) == nil {
			return "YAML, " + ending(r.body), whole
		}
	}
	return "text, " + ending(r.body), textTree(string(r.body))
}

// textTree is a text by lines.
func textTree(text string) []any {
	out := []any{}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		out = append(out, line)
	}
	return out
}

// ending says how a text ends.
func ending(body []byte) string {
	if bytes.HasSuffix(body, []byte("\n")) {
		return "end of line"
	}
	return "no end of line"
}

// jsonTree reads one JSON value, or a stream of them, one a line.
func jsonTree(body []byte) (string, any) {
	end := ending(body)
	var whole any
	if json.Unmarshal(body, &whole) == nil {
		form := "compact"
		if bytes.Count(body, []byte("\n")) > 1 {
			form = "indented"
		}
		return fmt.Sprintf("JSON, %s, %s", form, end), whole
	}
	var values []any
	decoder := json.NewDecoder(bytes.NewReader(body))
	for decoder.More() {
		var value any
		if err := decoder.Decode(&value); err != nil {
			return "broken JSON", textTree(string(body))
		}
		values = append(values, value)
	}
	return "JSON stream, " + end, values
}

// protobufFrames takes a watch apart: each frame has its length in front.
func protobufFrames(body []byte) ([]any, bool) {
	var frames []any
	for len(body) > 0 {
		if len(body) < 4 {
			return nil, false
		}
		length := int(binary.BigEndian.Uint32(body))
		if length > len(body)-4 {
			return nil, false
		}
		frames = append(frames, protobufTree(body[4:4+length]))
		body = body[4+length:]
	}
	return frames, true
}

// protobufTree shows bytes after the envelope `k8s\0` field by field. Which fields are messages is not known here: what can be
// read as one is shown as one.
func protobufTree(body []byte) any {
	rest, enveloped := bytes.CutPrefix(body, protobufMagic)
	fields, ok := message(rest)
	switch {
	case !ok:
		return hex.EncodeToString(body)
	case enveloped:
		return map[string]any{"k8s": fields}
	}
	return fields
}

// message reads a protobuf message as a list of "number" and value.
func message(from []byte) ([]any, bool) {
	fields := []any{}
	for len(from) > 0 {
		tag, n := binary.Uvarint(from)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<20 {
			return nil, false
		}
		from = from[n:]
		var value any
		switch tag & 7 {
		case 0:
			number, n := binary.Uvarint(from)
			if n <= 0 {
				return nil, false
			}
			value, from = float64(number), from[n:]
		case 1, 5:
			width := 8
			if tag&7 == 5 {
				width = 4
			}
			if len(from) < width {
				return nil, false
			}
			value, from = hex.EncodeToString(from[:width]), from[width:]
		case 2:
			length, n := binary.Uvarint(from)
			if n <= 0 || length > uint64(len(from)-n) {
				return nil, false
			}
			value, from = bytesTree(from[n:n+int(length)]), from[n+int(length):]
		default:
			return nil, false
		}
		fields = append(fields, map[string]any{fmt.Sprint(tag >> 3): value})
	}
	return fields, true
}

// bytesTree tells texts from messages: a message has control characters where its tags are.
func bytesTree(from []byte) any {
	isControl := func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == '�' }
	text := string(from)
	if bytes.HasPrefix(from, protobufMagic) {
		return protobufTree(from)
	}
	if len(from) > 1 && (from[0] < ' ' || strings.ContainsFunc(text, isControl)) {
		if fields, ok := message(from); ok {
			return fields
		}
	}
	if strings.ContainsFunc(text, isControl) {
		return "hex " + hex.EncodeToString(from)
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var inner any
		if json.Unmarshal(from, &inner) == nil {
			return inner
		}
	}
	return text
}

// metricsTree is a page of metrics by name: type, help, and which labels it has.
func metricsTree(page []byte) map[string]any {
	out := map[string]any{}
	for line := range strings.Lines(string(page)) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(words) < 4 || words[0] != "#" {
			continue
		}
		metric, _ := out[words[2]].(map[string]any)
		if metric == nil {
			metric = map[string]any{}
			out[words[2]] = metric
		}
		metric[strings.ToLower(words[1])] = words[3]
	}
	return out
}
