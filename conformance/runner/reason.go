package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
)

const reasonLength = 220

// ginkgo ends a failure with the place it was seen at.
var placePattern = regexp.MustCompile(`(?s)\s*\bIn \[[^\]]+\] at: k8s\.io/kubernetes@[^/]+/(\S+)( @ .*)?$`)

// What differs from run to run in a message although its cause is the same.
var volatile = []struct {
	pattern *regexp.Regexp
	stands  string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "UID"},
	{regexp.MustCompile(`\b(127\.0\.0\.1|localhost|10\.99\.0\.\d+):\d{2,5}\b`), "HOST:PORT"},
	{regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?( ?(Z|\+0000 UTC))?`), "TIME"},
	{regexp.MustCompile(`\b0x[0-9a-f]{6,}\b`), "0xN"},
	{regexp.MustCompile(`\b(\d+)\.\d{2,}s\b`), "${1}s"},
	{regexp.MustCompile(`-\d{2,5}\b`), "-N"},
	// A program and its files lie elsewhere on another machine.
	{regexp.MustCompile(`(^|[\s=])/\S*/(kubectl|admin\.kubeconfig)\b`), "${1}${2}"},
	{regexp.MustCompile(`\s+`), " "},
}

// oneLine makes a failure's message short, of one line, and the same from run to run; the place in upstream's sources ends it.
func oneLine(message string) string {
	line, place := message, ""
	if m := placePattern.FindStringSubmatchIndex(line); m != nil {
		place = " (" + strings.TrimPrefix(line[m[2]:m[3]], "test/e2e/") + ")"
		line = line[:m[0]]
	}
	line = strings.TrimPrefix(strings.TrimSpace(line), "[FAILED] ")
	for _, v := range volatile {
		line = v.pattern.ReplaceAllString(line, v.stands)
	}
	if len(line) > reasonLength {
		line = strings.ToValidUTF8(line[:reasonLength], "") + "…"
	}
	return line + place
}

// cause is why tests fail, said once for all that fail so.
type cause struct {
	pattern *regexp.Regexp // found in "NAME | REASON"
	text    string
}

// loadCauses reads causes.tsv: a pattern and a text a line. The first that matches is a test's cause.
func loadCauses(path string) ([]cause, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var causes []cause
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, text, found := strings.Cut(line, "\t")
		if !found {
			return nil, fmt.Errorf("%s line %d: a pattern, a tab and a text belong here", path, number)
		}
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, number, err)
		}
		causes = append(causes, cause{compiled, text})
	}
	return causes, lines.Err()
}

// causeOf gives the cause of a failure, or nothing when none is known.
func causeOf(causes []cause, name, reason string) string {
	for _, c := range causes {
		if c.pattern.MatchString(name + " | " + reason) {
			return c.text
		}
	}
	return ""
}
