// Command schemagen writes the fact tables of crates/api/data from upstream's Go types (struct tags), published
// OpenAPI v3 and discovery documents, and the storage paths of upstream's integration test.
//
// It writes names and numbers, never a sentence. The output depends on the pinned modules only.
//
//	go run . [--out DIR]      write the tables
//	go run . --check [...]    compare with what is committed, exit 1 when they differ
//	go run . --record URL     ask a kube-apiserver of the same version behind `kubectl proxy` (hack/upstream) what it
//	                          makes of the objects in crates/api/testdata/objects.jsonl, into defaults.jsonl there; what it answers to the bodies in
//	                          decode.jsonl; and what OpenAPI it publishes
//	go run . --samples N      print N random objects of each kind as JSON and as protobuf, for the tests of crates/api
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	out := flag.String("out", "../../crates/api/data", "folder of the tables")
	check := flag.Bool("check", false, "compare instead of writing")
	server := flag.String("record", "", "address of a kube-apiserver behind kubectl proxy")
	samples := flag.Int("samples", 0, "how many objects of each kind to print")
	flag.Parse()
	if err := run(*out, *check, *server, *samples); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

func run(out string, check bool, server string, samples int) error {
	source, err := kubernetesSource()
	if err != nil {
		return err
	}
	versions, err := readDiscovery(filepath.Join(source, "api", "discovery"))
	if err != nil {
		return err
	}
	if samples > 0 {
		return writeSamples(os.Stdout, versions, samples)
	}
	dataFile := filepath.Join(source, "test", "integration", "etcd", "data.go")
	if server != "" {
		testdata := filepath.Join(out, "..", "testdata")
		if err := recordOpenAPI(server, testdata); err != nil {
			return err
		}
		if err := recordDecode(server, filepath.Join(testdata, "decode.jsonl")); err != nil {
			return err
		}
		return record(server, dataFile, filepath.Join(testdata, "objects.jsonl"), filepath.Join(testdata, "defaults.jsonl"), versions)
	}
	models, err := readModels(filepath.Join(source, "api", "openapi-spec", "v3"), versions)
	if err != nil {
		return err
	}
	storage, err := readStoragePaths(dataFile)
	if err != nil {
		return err
	}
	types, err := typesTable(versions, models)
	if err != nil {
		return err
	}
	tables := map[string][]byte{
		"types.txt":     types,
		"resources.txt": resourcesTable(versions, storage),
	}
	for name, want := range tables {
		path := filepath.Join(out, name)
		if !check {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				return err
			}
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(have, want) {
			return fmt.Errorf("%s is not what the pinned modules give: run `go run .` in hack/schemagen", path)
		}
	}
	return nil
}

// kubernetesSource is the folder of k8s.io/kubernetes in the module cache. The module is downloaded, not required:
// only its data files are read, and its own requirements would not resolve outside its repository.
func kubernetesSource() (string, error) {
	output, err := exec.Command("go", "mod", "download", "-json", "k8s.io/kubernetes@v1.37.0").Output()
	if err != nil {
		return "", fmt.Errorf("downloading k8s.io/kubernetes: %w", err)
	}
	_, rest, found := strings.Cut(string(output), `"Dir": "`)
	dir, _, closed := strings.Cut(rest, `"`)
	if !found || !closed {
		return "", fmt.Errorf("go mod download named no folder: %s", output)
	}
	return dir, nil
}
