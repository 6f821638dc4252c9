package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// verdict is how a test ended. A test without one was not run.
type verdict string

const (
	passed  verdict = "passed"
	failed  verdict = "failed"
	skipped verdict = "skipped"
)

// outcome is what is known of a test's last run.
type outcome struct {
	verdict verdict
	seconds float64
	date    string // of the run, YYYY-MM-DD
	reason  string // one line; empty for a test that passed
}

// results maps a test's name to its outcome.
type results map[string]outcome

// loadResults reads a record; one that is not there yet is empty.
func loadResults(path string) (results, error) {
	rows, err := readTSV(path, 5)
	if errors.Is(err, fs.ErrNotExist) {
		return results{}, nil
	}
	if err != nil {
		return nil, err
	}
	record := results{}
	for _, r := range rows {
		seconds, err := strconv.ParseFloat(r[1], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: time of %s: %w", path, r[3], err)
		}
		record[r[3]] = outcome{verdict: verdict(r[0]), seconds: seconds, date: r[2], reason: r[4]}
	}
	return record, nil
}

// save writes the record, sorted by name.
func (r results) save(path, title string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# Written by conformance/run; the last run of each test.\n# verdict\tseconds\tdate\tname\treason\n", title)
	for _, name := range slices.Sorted(maps.Keys(r)) {
		o := r[name]
		fmt.Fprintf(&b, "%s\t%.1f\t%s\t%s\t%s\n", o.verdict, o.seconds, o.date, name, o.reason)
	}
	return replaceFile(path, b.String())
}

// tally counts tests by how they ended.
type tally struct {
	total, passed, failed, skipped int
	seconds, peerSeconds           float64 // over the tests that passed here and at the peer
}

func (t tally) notRun() int { return t.total - t.passed - t.failed - t.skipped }

// count is the tally of tests in a record, beside that of a peer.
func (r results) count(tests []test, peer results) tally {
	sum := tally{total: len(tests)}
	for _, t := range tests {
		o, ran := r[t.name]
		if !ran {
			continue
		}
		switch o.verdict {
		case passed:
			sum.passed++
			if p, ok := peer[t.name]; ok && p.verdict == passed {
				sum.seconds += o.seconds
				sum.peerSeconds += p.seconds
			}
		case failed:
			sum.failed++
		case skipped:
			sum.skipped++
		}
	}
	return sum
}

// only gives the outcomes of the given tests.
func (r results) only(tests []test) results {
	some := results{}
	for _, t := range tests {
		if o, ran := r[t.name]; ran {
			some[t.name] = o
		}
	}
	return some
}

// slowest gives the names of at most n tests of a record, longest first.
func (r results) slowest(n int) []string {
	names := slices.SortedFunc(maps.Keys(r), func(a, b string) int {
		return cmp.Or(cmp.Compare(r[b].seconds, r[a].seconds), strings.Compare(a, b))
	})
	return names[:min(n, len(names))]
}

// replaceFile writes a file whole or not at all.
func replaceFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	scratch := path + ".new"
	if err := os.WriteFile(scratch, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(scratch, path)
}
