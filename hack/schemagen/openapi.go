package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// sample is the document that is kept whole, so that a difference can be read.
const sample = "apis/scheduling.k8s.io/v1"

// recordOpenAPI keeps a hash of each OpenAPI v3 document of a kube-apiserver, and one of them whole, without texts for
// people. The test in crates/api brings ours into the same form.
func recordOpenAPI(server, testdata string) error {
	var index struct {
		Paths map[string]struct {
			URL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	if err := get(server+"/openapi/v3", &index); err != nil {
		return err
	}
	hashes := map[string]string{}
	for path, document := range index.Paths {
		var content any
		if err := get(server+document.URL, &content); err != nil {
			return err
		}
		text, err := marshal(canonical(content, false), "")
		if err != nil {
			return err
		}
		hash := fnv.New64a()
		hash.Write(text)
		hashes[path] = fmt.Sprintf("%016x", hash.Sum64())
		if path == sample {
			whole, err := marshal(canonical(content, false), " ")
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(testdata, "openapi-scheduling.json"), append(whole, '\n'), 0o644); err != nil {
				return err
			}
		}
	}
	text, err := marshal(hashes, " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(testdata, "openapi.json"), append(text, '\n'), 0o644)
}

func get(url string, into any) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func marshal(value any, indent string) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	err := encoder.Encode(value)
	return bytes.TrimSpace(buffer.Bytes()), err
}

// canonical leaves descriptions out (but not properties of that name) and wraps each reference alike.
func canonical(value any, named bool) any {
	switch value := value.(type) {
	case map[string]any:
		if _, reference := value["$ref"]; reference && len(value) == 1 {
			return map[string]any{"allOf": []any{value}}
		}
		result := map[string]any{}
		for key, member := range value {
			if _, isText := member.(string); isText && key == "description" && !named {
				continue
			}
			if key == "allOf" && !named {
				result[key] = member
				continue
			}
			result[key] = canonical(member, !named && (key == "properties" || key == "schemas"))
		}
		return result
	case []any:
		for i := range value {
			value[i] = canonical(value[i], false)
		}
		return value
	default:
		return value
	}
}
