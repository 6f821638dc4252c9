// Command goldens asks upstream again what the goldens of crates/api/testdata hold: it keeps their inputs and rewrites the
// answers. `git diff` then shows what a new version of upstream changes.
//
//	kubectl proxy --port 8001 &     # of a kube-apiserver with its controllers, which may be thrown away afterwards
//	go run . -server http://127.0.0.1:8001 -data ../../crates/api/testdata [name ...]
//
// strategic-merge and quantity are computed by upstream's packages and need no server.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
)

// goldens are the files and what makes each again from its present content.
var goldens = []struct {
	name   string
	server bool
	again  func(*client, []byte) ([]byte, error)
}{
	{"strategic-merge", false, strategicMerge},
	{"quantity", false, quantities},
	{"selectors", true, selectors},
	{"patches", true, patches},
	{"names", true, names},
	{"table-columns", true, tableColumns},
	{"tables", true, tables},
}

func main() {
	log.SetFlags(0)
	server := flag.String("server", "", "URL of a kube-apiserver that asks for no credentials")
	data := flag.String("data", "../../crates/api/testdata", "folder of the goldens")
	flag.Parse()
	for _, golden := range goldens {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), golden.name) {
			continue
		}
		if golden.server && *server == "" {
			log.Printf("%s: needs -server, left as it is", golden.name)
			continue
		}
		file := filepath.Join(*data, golden.name+".json")
		before, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		after, err := golden.again(&client{server: *server}, before)
		if err != nil {
			log.Fatalf("%s: %v", golden.name, err)
		}
		if err := os.WriteFile(file, after, 0o644); err != nil {
			log.Fatal(err)
		}
		log.Printf("%s: written", golden.name)
	}
}

// lines writes a list of values one a line, so that differences are readable.
func lines[T any](out *bytes.Buffer, values []T) error {
	out.WriteString("[\n")
	for i, value := range values {
		if i > 0 {
			out.WriteString(",\n")
		}
		if err := compact(out, value); err != nil {
			return err
		}
	}
	out.WriteString("\n]")
	return nil
}

// compact writes a value on one line, without the escapes for HTML.
func compact(out *bytes.Buffer, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	out.Write(bytes.TrimSpace(text.Bytes()))
	return nil
}

// object writes named lists as one JSON object, one element a line.
func object(names []string, parts map[string][][]any) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("{\n")
	for i, name := range names {
		if i > 0 {
			out.WriteString(",\n")
		}
		fmt.Fprintf(&out, "%q: ", name)
		if err := lines(&out, parts[name]); err != nil {
			return nil, err
		}
	}
	out.WriteString("\n}\n")
	return out.Bytes(), nil
}
