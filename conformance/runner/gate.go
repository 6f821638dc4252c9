package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

const passedHeader = `# The conformance tests that pass on krab. conformance/run adds to this list and never takes from it;
# conformance/run --gate fails when one of them no longer passes.
`

// loadPassed reads the list of tests that must pass; none yet is an empty list.
func loadPassed(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]bool{}, nil
	}
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			names[line] = true
		}
	}
	return names, nil
}

// grow adds what passed in a run, and gives how many were new.
func grow(names map[string]bool, run results) int {
	before := len(names)
	for name, o := range run {
		if o.verdict == passed {
			names[name] = true
		}
	}
	return len(names) - before
}

func savePassed(path string, names map[string]bool) error {
	return replaceFile(path, passedHeader+strings.Join(slices.Sorted(maps.Keys(names)), "\n")+"\n")
}

// broken gives a line for each test that had to pass and did not, one that was not run included.
func broken(due []test, run results) []string {
	var lines []string
	for _, t := range due {
		switch o, ran := run[t.name]; {
		case !ran:
			lines = append(lines, t.name+"\n    was not run")
		case o.verdict != passed:
			lines = append(lines, fmt.Sprintf("%s\n    %s: %s", t.name, o.verdict, o.reason))
		}
	}
	return lines
}
