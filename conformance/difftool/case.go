package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// testCase is a claim and the requests that show whether it holds for both servers.
type testCase struct {
	// Name is the claim; with the file's name it is what -only matches.
	Name string `json:"case"`
	// Steps are sent in order.
	Steps []step `json:"steps"`
	// file is where the case is from, without folder and extension.
	file string
}

// id names a case in reports and in the file of known differences.
func (c *testCase) id() string { return c.file + ": " + c.Name }

// step is one request, what is kept of its answer, and how much of the answer is compared. In files it is either this, or
// only the text of Do.
type step struct {
	// Do is the method and the path with its query. `$name` stands for a variable.
	Do string `json:"do"`
	// As is the user who asks: admin if nothing is said; nobody sends no credentials.
	As string `json:"as,omitempty"`
	// Accept and Type are the headers Accept and Content-Type.
	Accept string `json:"accept,omitempty"`
	Type   string `json:"type,omitempty"`
	// Headers are further ones.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is sent as JSON; a text is sent as it is.
	Body json.RawMessage `json:"body,omitempty"`
	// Base64 is a body that is no text.
	Base64 []byte `json:"base64,omitempty"`
	// Pad is the length of the variable `$pad` in this step: that many letters.
	Pad int `json:"pad,omitempty"`
	// Save keeps values of the answer's body as variables: name to path.
	Save map[string]string `json:"save,omitempty"`
	// Read ends the reading of a stream after so many lines or frames.
	Read int `json:"read,omitempty"`
	// Until is a path of the body: the step is sent again for some seconds until what is there is true. Upstream's authorizer
	// hears of roles a moment after they are written.
	Until string `json:"until,omitempty"`
	// Pick compares only these paths of the body.
	Pick []string `json:"pick,omitempty"`
	// Ignore leaves these paths of the body out.
	Ignore []string `json:"ignore,omitempty"`
	// Unordered are lists of the body whose order says nothing.
	Unordered []string `json:"unordered,omitempty"`
	// Compare is how much counts: see comparisons.
	Compare string `json:"compare,omitempty"`
}

// comparisons are the ways two answers are compared.
var comparisons = []string{
	"",        // everything
	"status",  // code and headers
	"hash",    // everything, a body by its hash: for documents too long to show
	"lines",   // the body's lines, in any order
	"metrics", // names, types and help texts of a page of metrics
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace,
}

// UnmarshalJSON reads both forms of a step.
func (s *step) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &s.Do)
	}
	type plain step
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode((*plain)(s))
}

// String is a step in a line.
func (s *step) String() string {
	out := s.Do
	if s.As != "" {
		out += " as: " + s.As
	}
	if s.Accept != "" {
		out += " accept: " + s.Accept
	}
	return out
}

func (s *step) method() string {
	method, _, _ := strings.Cut(s.Do, " ")
	return method
}

func (s *step) path() string {
	_, path, _ := strings.Cut(s.Do, " ")
	return strings.TrimSpace(path)
}

// check says what is wrong with a step as it is written.
func (s *step) check() error {
	switch {
	case !slices.Contains(methods, s.method()) && strings.ToUpper(s.method()) == s.method():
		if !regexp.MustCompile(`^[A-Z]+$`).MatchString(s.method()) {
			return fmt.Errorf("%q does not begin with a method", s.Do)
		}
	case strings.ToUpper(s.method()) != s.method():
		return fmt.Errorf("%q does not begin with a method", s.Do)
	}
	if !strings.HasPrefix(s.path(), "/") {
		return fmt.Errorf("%q has no path after the method", s.Do)
	}
	if !slices.Contains(comparisons, s.Compare) {
		return fmt.Errorf("%q: compare: %s is none of%s", s.Do, s.Compare, strings.Join(comparisons, " "))
	}
	if s.Body != nil && s.Base64 != nil {
		return fmt.Errorf("%q has both body and base64", s.Do)
	}
	return nil
}

// readCases reads every case of a folder: files in the order of their names.
func readCases(folder string) ([]*testCase, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var all []*testCase
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		cases, err := parseCases(strings.TrimSuffix(filepath.Base(file), ".yaml"), text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, c := range cases {
			if seen[c.id()] {
				return nil, fmt.Errorf("%s: two cases are named %q", file, c.Name)
			}
			seen[c.id()] = true
		}
		all = append(all, cases...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no cases in %s", folder)
	}
	return all, nil
}

func parseCases(file string, text []byte) ([]*testCase, error) {
	var cases []*testCase
	if err := yaml.UnmarshalStrict(text, &cases); err != nil {
		return nil, err
	}
	for _, c := range cases {
		c.file = file
		if c.Name == "" || len(c.Steps) == 0 {
			return nil, fmt.Errorf("case %q: a case has a name and steps", c.Name)
		}
		for i := range c.Steps {
			if err := c.Steps[i].check(); err != nil {
				return nil, fmt.Errorf("case %q: %w", c.Name, err)
			}
		}
	}
	return cases, nil
}

// usesNamespace says whether a namespace of its own is to be made for the case.
func (c *testCase) usesNamespace() bool {
	for _, s := range c.Steps {
		if strings.Contains(s.Do, "$ns") || bytes.Contains(s.Body, []byte("$ns")) {
			return true
		}
	}
	return false
}

// namespace is the value of $ns: from the case's name, so that it is the same in each run.
func (c *testCase) namespace(number int) string {
	return fmt.Sprintf("diff-%s-%d", strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(c.file, "-"), "-"), number)
}
