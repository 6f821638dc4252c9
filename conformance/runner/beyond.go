package main

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// listedTest is a line of e2e.test --list-tests: where the test stands, and its name.
var listedTest = regexp.MustCompile(`^\s+(?:k8s\.io/kubernetes@[^/]+/)?(\S+):\d+: (\[sig-.*)$`)

// notByDefault are the marks of tests that nobody runs without wanting just them: they need a feature, a cloud, or the cluster alone.
var notByDefault = regexp.MustCompile(`\[(Conformance|Serial|Disruptive|Slow|Flaky|Alpha|Feature:[^\]]*|Provider:[^\]]*)\]`)

// loadBeyond asks e2e.test for the tests it runs by default beside the conformance tests. Nobody has said what each needs of
// a cluster, so each is of the class that needs most.
func loadBeyond(bin string) ([]test, error) {
	text, err := exec.Command(filepath.Join(bin, "e2e.test"), "--list-tests").Output()
	if err != nil {
		return nil, fmt.Errorf("e2e.test does not say which tests it has: %w", err)
	}
	return parseBeyond(string(text)), nil
}

func parseBeyond(text string) []test {
	most := classes[len(classes)-1].letter
	var tests []test
	for line := range strings.Lines(text) {
		m := listedTest.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil || notByDefault.MatchString(m[2]) {
			continue
		}
		tests = append(tests, test{class: most, file: m[1], name: m[2]})
	}
	slices.SortFunc(tests, func(a, b test) int { return strings.Compare(a.name, b.name) })
	return tests
}

// The records of tests that are no conformance tests, by peer.
var beyondRecords = map[string]string{"": "results/beyond-krab.tsv", "upstream": "results/beyond-upstream.tsv"}

// loadBeyondAccount is load for those tests: what each last did, and nothing that must pass.
func loadBeyondAccount(home, bin string) (a *account, err error) {
	if err := buildPrograms(home); err != nil {
		return nil, err
	}
	a = &account{home: home}
	if a.tests, err = loadBeyond(bin); err != nil {
		return nil, err
	}
	if a.krab, err = loadResults(a.path(beyondRecords[""])); err != nil {
		return nil, err
	}
	a.upstream, err = loadResults(a.path(beyondRecords["upstream"]))
	return a, err
}

// takeBeyond adds a run's outcomes to their record.
func (a *account) takeBeyond(run results, peer string) error {
	record, on := a.krab, "krab"
	if peer == "upstream" {
		record, on = a.upstream, "upstream's own components"
	}
	maps.Copy(record, run)
	return record.save(a.path(beyondRecords[peer]), "Tests of v1.37.0 beside the conformance tests, on "+on+".")
}
