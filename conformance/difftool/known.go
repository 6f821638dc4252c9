package main

import (
	"fmt"
	"os"
	"regexp"

	"sigs.k8s.io/yaml"
)

// known is a difference that is expected, and why. It is counted and can be shown, but is no failure.
type known struct {
	// Case and At are regular expressions: on "file: name" of the case, on the path of the difference.
	Case string `json:"case,omitempty"`
	At   string `json:"at"`
	// Step is one on the text of the step and on what it accepts: "GET /api accept: application/yaml".
	Step string `json:"step,omitempty"`
	// Upstream and Krab are on the values, as they are shown.
	Upstream string `json:"upstream,omitempty"`
	Krab     string `json:"krab,omitempty"`
	// Reason is why.
	Reason string `json:"reason"`

	patterns [5]*regexp.Regexp
	used     int
}

func readKnown(file string) ([]*known, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	list, err := parseKnown(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}

func parseKnown(text []byte) ([]*known, error) {
	var list []*known
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		return nil, err
	}
	for i, k := range list {
		if k.At == "" || k.Reason == "" {
			return nil, fmt.Errorf("entry %d: `at` and `reason` are needed", i+1)
		}
		for j, source := range []string{k.Case, k.At, k.Step, k.Upstream, k.Krab} {
			if j == 1 {
				source = "^(?:" + source + ")$"
			}
			pattern, err := regexp.Compile(source)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", i+1, err)
			}
			k.patterns[j] = pattern
		}
	}
	return list, nil
}

// mark fills in the reasons of differences that are known.
func mark(list []*known, c *testCase, s *step, found []difference) {
	for i := range found {
		d := &found[i]
		texts := []string{c.id(), d.path, s.String(), show(d.left, d.hasLeft, 0), show(d.right, d.hasRight, 0)}
		for _, k := range list {
			if k.matches(texts) {
				d.known = k.Reason
				k.used++
				break
			}
		}
	}
}

func (k *known) matches(texts []string) bool {
	for i, text := range texts {
		if !k.patterns[i].MatchString(text) {
			return false
		}
	}
	return true
}
