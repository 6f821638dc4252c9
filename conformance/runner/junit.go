package main

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// report is the part of a JUnit report that is read here.
type report struct {
	Suites []struct {
		Cases []testcase `xml:"testcase"`
	} `xml:"testsuite"`
}

type testcase struct {
	Name    string  `xml:"name,attr"`
	Status  string  `xml:"status,attr"`
	Time    float64 `xml:"time,attr"`
	Failure *remark `xml:"failure"`
	Error   *remark `xml:"error"`
	Skipped *remark `xml:"skipped"`
}

// remark is why a test failed or was skipped.
type remark struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// The suite ended before it could write what it did.
var errNoReport = errors.New("the suite left no JUnit report")

// readReports reads every junit_*.xml of a folder: the outcome of each test that ran, and what failed outside of tests.
func readReports(folder, date string) (results, []string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "junit_*.xml"))
	if err != nil {
		return nil, nil, err
	}
	if len(paths) == 0 {
		return nil, nil, fmt.Errorf("%w in %s: its output there says why", errNoReport, folder)
	}
	record := results{}
	var outside []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		var r report
		if err := xml.Unmarshal(text, &r); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, suite := range r.Suites {
			for _, c := range suite.Cases {
				name, isTest := testName(c.Name)
				o, ran := c.outcome(date)
				switch {
				case isTest && ran:
					record[name] = o
				case !isTest && o.verdict == failed:
					outside = append(outside, name+": "+o.reason)
				}
			}
		}
	}
	return record, outside, nil
}

// testName takes ginkgo's node type off the front of a case's name; false for what is not a test (a BeforeSuite).
func testName(name string) (string, bool) { return strings.CutPrefix(name, "[It] ") }

// outcome of a case; false when it was not selected, or when the run ended before the test did.
func (c testcase) outcome(date string) (outcome, bool) {
	o := outcome{seconds: c.Time, date: date}
	switch c.Status {
	case "passed":
		o.verdict = passed
	case "failed", "panicked", "timedout":
		o.verdict, o.reason = failed, oneLine(cmp.Or(c.Failure.said(), c.Error.said(), c.Status))
	case "skipped":
		// A test that skips itself says why; one that was not selected has no message beyond the word.
		said := strings.TrimLeft(strings.TrimPrefix(c.Skipped.said(), "skipped"), " -")
		if said == "" {
			return outcome{}, false
		}
		o.verdict, o.reason = skipped, oneLine(said)
	default:
		return outcome{}, false
	}
	return o, true
}

// said is the remark's words; ginkgo puts those of a failure into the text, those of a skip into the attribute.
func (r *remark) said() string {
	if r == nil {
		return ""
	}
	return cmp.Or(strings.TrimSpace(r.Text), strings.TrimSpace(r.Message))
}
