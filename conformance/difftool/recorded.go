package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// answered is a line of a recording: what a server answered to one step, as it is compared.
type answered struct {
	Case string `json:"case"`
	// Step is the request in a line; a case that was changed since shows by it.
	Step   string         `json:"step"`
	Answer map[string]any `json:"answer"`
}

// recording is what a server answered at another time, by case.
type recording struct {
	server string
	cases  map[string][]answered
}

// errChanged says that a recording is of other cases than there are now.
var errChanged = errors.New("was changed since it was recorded: record again (conformance/diff -record)")

func readRecording(file, server string) (*recording, error) {
	from, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	r := &recording{server: server, cases: map[string][]answered{}}
	decoder := json.NewDecoder(bufio.NewReader(from))
	for {
		var line answered
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		r.cases[line.Case] = append(r.cases[line.Case], line)
	}
}

func (r *recording) name() string { return r.server }

// play gives the recorded answers of a case.
func (r *recording) play(_ context.Context, _ int, c *testCase) (*playing, error) {
	lines := r.cases[c.id()]
	if len(lines) != len(c.Steps) {
		return nil, errChanged
	}
	out := &playing{}
	for i, line := range lines {
		if line.Step != c.Steps[i].String() {
			return nil, errChanged
		}
		out.trees = append(out.trees, line.Answer)
	}
	return out, nil
}

// record plays cases on one server and writes what it answered. A case that does not run to its end there has no place in a
// recording.
func record(ctx context.Context, from side, cases []*testCase, numbers map[*testCase]int, to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	for _, c := range cases {
		played, err := from.play(ctx, numbers[c], c)
		if err == nil {
			err = played.stopped
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", from.name(), c.id(), err)
		}
		for i := range c.Steps {
			if err := encoder.Encode(answered{c.id(), c.Steps[i].String(), played.tree(i)}); err != nil {
				return err
			}
		}
	}
	return nil
}
