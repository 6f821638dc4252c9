package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"slices"
	"sort"
	"strings"
)

// recording is one object and what upstream made of it on a dry-run create.
type recording struct {
	Resource string          `json:"resource"`
	Body     json.RawMessage `json:"body"`
	Answer   json.RawMessage `json:"answer,omitempty"`
}

// setByServer are metadata fields that differ from run to run.
var setByServer = []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "namespace"}

// record sends the stub objects of upstream's storage test and those of the extra file (one recording a line, without
// an answer) to a kube-apiserver behind `kubectl proxy`, and writes body and answer one a line.
func record(server, dataFile, extraFile, outFile string, versions []groupVersion) error {
	inputs, err := readStubs(dataFile)
	if err != nil {
		return err
	}
	extra, err := os.ReadFile(extraFile)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(strings.TrimSpace(string(extra)), "\n") {
		var input recording
		if err := json.Unmarshal([]byte(line), &input); err != nil {
			return fmt.Errorf("%s: %w", extraFile, err)
		}
		inputs = append(inputs, input)
	}
	var out bytes.Buffer
	for _, input := range inputs {
		path, ok := collection(input.Resource, versions)
		if !ok {
			continue
		}
		answer, err := post(server+path+"?dryRun=All&fieldValidation=Ignore", input.Body)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", input.Resource, err)
			continue
		}
		input.Answer = answer
		line, err := json.Marshal(input)
		if err != nil {
			return err
		}
		out.Write(append(line, '\n'))
	}
	return os.WriteFile(outFile, out.Bytes(), 0o644)
}

// collection is the path to create objects of GROUP/VERSION/PLURAL at, if it is served.
func collection(resource string, versions []groupVersion) (string, bool) {
	parts := strings.Split(resource, "/")
	for _, gv := range versions {
		if len(parts) != 3 || gv.group != parts[0] || gv.version != parts[1] {
			continue
		}
		for _, served := range gv.resources {
			if served.Name != parts[2] {
				continue
			}
			path := "/apis/" + gv.String()
			if gv.group == "" {
				path = "/api/" + gv.version
			}
			if served.Namespaced {
				path += "/namespaces/default"
			}
			return path + "/" + served.Name, true
		}
	}
	return "", false
}

func post(url string, body []byte) (json.RawMessage, error) {
	response, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%d %s", response.StatusCode, data)
	}
	return rewrite(data, func(name string, value json.RawMessage) (json.RawMessage, error) {
		if name != "metadata" {
			return value, nil
		}
		return rewrite(value, func(name string, value json.RawMessage) (json.RawMessage, error) {
			if slices.Contains(setByServer, name) {
				return nil, nil
			}
			return value, nil
		})
	})
}

// rewrite gives a JSON object with its members changed or, where change gives nothing, left out. Their order stays.
func rewrite(object []byte, change func(string, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	var members []string
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		if value, err = change(fmt.Sprint(name), value); err != nil {
			return nil, err
		}
		if value != nil {
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
	}
	return json.RawMessage("{" + strings.Join(members, ",") + "}"), nil
}

// readStubs takes the Stub of each entry of GetEtcdStorageData.
func readStubs(path string) ([]recording, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	var stubs []recording
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
		for _, element := range literal.Elts {
			field, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			if name, _ := field.Key.(*ast.Ident); name.Name == "Stub" {
				body := strings.ReplaceAll(concatenated(field.Value), "\x00", "busybox")
				if json.Valid([]byte(body)) {
					stubs = append(stubs, recording{Resource: strings.Join(resource, "/"), Body: json.RawMessage(body)})
				}
			}
		}
		return false
	})
	sort.SliceStable(stubs, func(i, j int) bool { return stubs[i].Resource < stubs[j].Resource })
	return stubs, nil
}
