package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// test is one conformance test of upstream.
type test struct {
	class byte   // what it needs of a cluster, see classes
	since string // the releases that made or changed it
	file  string // upstream's source, below k8s.io/kubernetes
	name  string
}

// class is a set of tests that need the same of a cluster.
type class struct {
	letter byte
	nodes  int // the smallest cluster they can run on
	needs  string
}

// Classes in the order in which a cluster that grows can run them.
var classes = []class{
	{'A', 0, "API server, the framework's controllers"},
	{'B', 0, "one controller more"},
	{'C', 1, "scheduler, nodes, pods Running in status"},
	{'D', 1, "containers on one node"},
	{'E', 1, "pod network, proxy through the API server"},
	{'F', 1, "Services, DNS, webhooks, aggregation"},
	{'G', 2, "two nodes"},
}

var sigPattern = regexp.MustCompile(`^\[sig-([a-z-]+)\]`)

// sig is the special interest group that owns the test.
func (t test) sig() string {
	if m := sigPattern.FindStringSubmatch(t.name); m != nil {
		return m[1]
	}
	return "unknown"
}

// loadCatalog reads tests.tsv.
func loadCatalog(path string) ([]test, error) {
	rows, err := readTSV(path, 4)
	if err != nil {
		return nil, err
	}
	var tests []test
	for _, r := range rows {
		if len(r[0]) != 1 || classOf(r[0][0]) == nil {
			return nil, fmt.Errorf("%s: no class %q (test %s)", path, r[0], r[3])
		}
		tests = append(tests, test{class: r[0][0], since: r[1], file: r[2], name: r[3]})
	}
	return tests, nil
}

func classOf(letter byte) *class {
	for i := range classes {
		if classes[i].letter == letter {
			return &classes[i]
		}
	}
	return nil
}

// selection says which tests of the catalog are meant. Its zero value means all.
type selection struct {
	focus   *regexp.Regexp
	skip    *regexp.Regexp
	sig     string
	classes string          // letters
	only    map[string]bool // names, nil for no limit
}

// pick gives the selected tests in the catalog's order.
func (s selection) pick(tests []test) []test {
	var picked []test
	for _, t := range tests {
		switch {
		case s.focus != nil && !s.focus.MatchString(t.name):
		case s.skip != nil && s.skip.MatchString(t.name):
		case s.sig != "" && t.sig() != s.sig:
		case s.classes != "" && strings.IndexByte(s.classes, t.class) < 0:
		case s.only != nil && !s.only[t.name]:
		default:
			picked = append(picked, t)
		}
	}
	return picked
}

// nodesFor is the size of the smallest cluster that can run all of tests.
func nodesFor(tests []test) int {
	nodes := 0
	for _, t := range tests {
		nodes = max(nodes, classOf(t.class).nodes)
	}
	return nodes
}

// sigs gives the groups that occur, sorted.
func sigs(tests []test) []string {
	var names []string
	for _, t := range tests {
		if !slices.Contains(names, t.sig()) {
			names = append(names, t.sig())
		}
	}
	slices.Sort(names)
	return names
}

// readTSV reads a table of exactly that many columns; empty lines and lines that begin with # are left out.
func readTSV(path string, columns int) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows [][]string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(line, "\t")
		if len(row) != columns {
			return nil, fmt.Errorf("%s line %d: %d columns where %d belong", path, number, len(row), columns)
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}
