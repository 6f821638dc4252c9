package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	updated = "[sig-node] Pods should be updated [Conformance]"
	runs    = "[sig-node] Pods should run [Conformance]"
	hangs   = "[sig-apps] Job should hang [Conformance]"
	cutOff  = "[sig-apps] Job should be cut off [Conformance]"
	twoUp   = "[sig-architecture] Conformance Tests should have at least two untainted nodes [Conformance]"
)

var few = []test{
	{class: 'C', name: updated},
	{class: 'D', name: runs},
	{class: 'D', name: hangs},
	{class: 'D', name: cutOff},
	{class: 'G', name: twoUp},
}

func reported(t *testing.T) results {
	t.Helper()
	run, _, err := readReports("testdata", "2026-11-21")
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestOnlyWhatRanToItsEndHasAnOutcome(t *testing.T) {
	run := reported(t)
	want := []string{hangs, runs, updated, twoUp}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(run)); !slices.Equal(got, want) {
		t.Fatalf("outcomes of %q", got)
	}
	for name, verdict := range map[string]verdict{updated: passed, runs: failed, hangs: failed, twoUp: skipped} {
		if run[name].verdict != verdict {
			t.Errorf("%s: %s", name, run[name].verdict)
		}
	}
	if run[updated].seconds != 2.5 {
		t.Errorf("took %v", run[updated].seconds)
	}
}

func TestAReasonIsOneLineThatStaysTheSame(t *testing.T) {
	run := reported(t)
	want := `Get "https://HOST:PORT/api/v1/namespaces/pods-N/pods": refused after 30s (common/node/pods.go:72)`
	if run[runs].reason != want {
		t.Errorf("%s", run[runs].reason)
	}
	if run[twoUp].reason != "needs 2 nodes, there is 1" {
		t.Errorf("%s", run[twoUp].reason)
	}
	place := oneLine("error running /home/me/.cache/krab/bin/kubectl --kubeconfig=/tmp/c/admin.kubeconfig exec p -- cat /etc/hosts")
	if place != "error running kubectl --kubeconfig=admin.kubeconfig exec p -- cat /etc/hosts" {
		t.Errorf("%s", place)
	}
	long := oneLine(strings.Repeat("é", 400))
	if !strings.HasSuffix(long, "é…") || len(long) > reasonLength+len("…") {
		t.Errorf("%d bytes: %s", len(long), long)
	}
}

func TestWhatFailsOutsideOfTestsIsSaid(t *testing.T) {
	_, outside, err := readReports("testdata", "")
	if err != nil || len(outside) != 1 || !strings.Contains(outside[0], "[SynchronizedAfterSuite]: no such host") {
		t.Errorf("%v %q", err, outside)
	}
	if _, _, err := readReports(t.TempDir(), ""); err == nil {
		t.Error("a folder without a report was taken")
	}
}

func TestATestThatWasNotRunIsNotCounted(t *testing.T) {
	sum := reported(t).count(few, nil)
	if sum != (tally{total: 5, passed: 1, failed: 2, skipped: 1}) || sum.notRun() != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestTimeIsComparedOverWhatPassesAtBoth(t *testing.T) {
	upstream := results{updated: {verdict: passed, seconds: 5}, runs: {verdict: passed, seconds: 7}}
	sum := reported(t).count(few, upstream)
	if sum.seconds != 2.5 || sum.peerSeconds != 5 {
		t.Errorf("%+v", sum)
	}
}

func TestTheGateNamesWhatFailedAndWhatWasNotRun(t *testing.T) {
	lines := broken(few[:4], reported(t))
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	if !strings.Contains(lines[2], cutOff) || !strings.Contains(lines[2], "was not run") {
		t.Errorf("%q", lines[2])
	}
}

func TestTheListOfPassedTestsOnlyGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passed.txt")
	names, err := loadPassed(path)
	if err != nil || len(names) != 0 {
		t.Fatal(names, err)
	}
	names[runs] = true
	if added := grow(names, reported(t)); added != 1 {
		t.Errorf("%d added", added)
	}
	if err := savePassed(path, names); err != nil {
		t.Fatal(err)
	}
	again, err := loadPassed(path)
	if err != nil || !maps.Equal(again, map[string]bool{runs: true, updated: true}) {
		t.Errorf("%v %v", again, err)
	}
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "krab.tsv")
	run := reported(t)
	if err := run.save(path, "Title."); err != nil {
		t.Fatal(err)
	}
	again, err := loadResults(path)
	if err != nil {
		t.Fatal(err)
	}
	again[runs] = outcome{failed, run[runs].seconds, again[runs].date, again[runs].reason} // written with one decimal
	if !maps.Equal(again, run) {
		t.Errorf("%v", again)
	}
	if err := os.WriteFile(path, []byte("passed\t1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadResults(path); err == nil || !strings.Contains(err.Error(), "line 1: 2 columns where 5 belong") {
		t.Error(err)
	}
}

func TestRunsBesideEachOtherLoseNothing(t *testing.T) {
	home := t.TempDir()
	for name, text := range map[string]string{"tests.tsv": "C\tv1.0\tf.go\t" + updated + "\n", "causes.tsv": ""} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	for _, name := range []string{updated, runs, hangs, twoUp} {
		go func() { done <- options{home: home}.keepAccount(results{name: {verdict: passed, date: "2026-11-21"}}) }()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	record, err := loadResults(filepath.Join(home, "results/krab.tsv"))
	if err != nil || len(record) != 4 {
		t.Errorf("%d outcomes, %v", len(record), err)
	}
}

func TestTheCatalogHoldsEveryTestOnceInItsClass(t *testing.T) {
	tests, err := loadCatalog("../tests.tsv")
	if err != nil {
		t.Fatal(err)
	}
	counts, names := map[byte]int{}, map[string]bool{}
	for _, t := range tests {
		counts[t.class]++
		names[t.name] = true
	}
	want := map[byte]int{'A': 115, 'B': 33, 'C': 64, 'D': 181, 'E': 18, 'F': 49, 'G': 2}
	if !maps.Equal(counts, want) || len(names) != 462 {
		t.Errorf("%v, %d names", counts, len(names))
	}
	if got := sigs(tests); len(got) != 10 {
		t.Errorf("groups %q", got)
	}
}

func TestSelectionsNarrowEachOther(t *testing.T) {
	for _, c := range []struct {
		selection selection
		want      int
	}{
		{selection{}, 5},
		{selection{classes: "DG"}, 4},
		{selection{sig: "apps"}, 2},
		{selection{focus: regexp.MustCompile("Pods"), classes: "D"}, 1},
		{selection{skip: regexp.MustCompile("."), classes: "D"}, 0},
		{selection{only: map[string]bool{runs: true}, sig: "apps"}, 0},
	} {
		if got := c.selection.pick(few); len(got) != c.want {
			t.Errorf("%+v picks %d", c.selection, len(got))
		}
	}
	if nodesFor(few) != 2 || nodesFor(few[:2]) != 1 || nodesFor(nil) != 0 {
		t.Error("the cluster has another size than the tests need")
	}
}

func TestTheSuiteIsGivenExactNamesInArgumentsThatFit(t *testing.T) {
	tests, err := loadCatalog("../tests.tsv")
	if err != nil {
		t.Fatal(err)
	}
	s := suite{bin: "/bin", out: "/out", kubeconfig: "/k", parallel: 2, enter: []string{"enter"}, extra: []string{"--flag"}}
	line := s.command(tests)
	var patterns []*regexp.Regexp
	for _, word := range line {
		if len(word) > 100<<10 {
			t.Errorf("an argument of %d bytes", len(word))
		}
		if focus, ok := strings.CutPrefix(word, "--focus="); ok {
			patterns = append(patterns, regexp.MustCompile(focus))
		}
	}
	for _, test := range tests {
		if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString("Kubernetes e2e suite " + test.name) }) {
			t.Errorf("not in focus: %s", test.name)
		}
	}
	if line[0] != "enter" || !slices.Contains(line, "--minStartupPods=-1") || line[len(line)-1] != "--flag" {
		t.Errorf("%q", line)
	}
	if s.nodes = 1; slices.Contains(s.command(tests), "--minStartupPods=-1") {
		t.Error("the flags for no nodes are given where there are nodes")
	}
}

func TestTheScoreboardNamesFailuresByCause(t *testing.T) {
	causes := []cause{{regexp.MustCompile(`refused after`), "nobody listens"}}
	text := scoreboard(few, reported(t), results{updated: {verdict: passed, seconds: 5}}, causes)
	for _, want := range []string{
		"**1 of 5 conformance tests of Kubernetes v1.37.0 pass on krab**; 2 fail, 1 were skipped, 1 were not run.",
		"| D: containers on one node | 3 | 0 | 2 | 0 | 1 | - |",
		"| node | 2 | 1 | 1 | 0 | 0 | 2 s of 5 s (0.50) |",
		"| 1 | nobody listens |",
		"| 1 | not looked into |",
		"| Pods should run | D | failed | **nobody listens**: Get ",
		"| Conformance Tests should have at least two untainted nodes | G | skipped | needs 2 nodes, there is 1 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range []string{"--class X", "--peer mars", "--gate --failed", "--parallel 0", "--nope"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
	o, err := parse(strings.Fields("--class ab --focus Pods -- --kube-api-content-type=application/json"))
	if err != nil || o.class != "AB" || !slices.Equal(o.extra, []string{"--kube-api-content-type=application/json"}) {
		t.Errorf("%+v %v", o, err)
	}
}

func TestBeyondAreTheTestsThatRunByDefaultAndAreNoConformanceTests(t *testing.T) {
	const at = "    k8s.io/kubernetes@v1.37.0/test/e2e/apps/job.go:12: "
	text := "The following spec names can be used with 'ginkgo run --focus/skip':\n" +
		at + "[sig-apps] Job should fail\n" +
		at + "[sig-apps] Job should pass [Conformance]\n" +
		at + "[sig-api-machinery] Watch [FeatureGate:WatchList] streams [Beta]\n" +
		at + "[sig-apps] Job is odd [Feature:Odd]\n" +
		at + "[sig-apps] Job is alone [Serial]\n" +
		at + "[sig-apps] Job in a cloud [Provider:gce]\n"
	tests := parseBeyond(text)
	var names []string
	for _, one := range tests {
		names = append(names, one.name)
	}
	want := []string{"[sig-api-machinery] Watch [FeatureGate:WatchList] streams [Beta]", "[sig-apps] Job should fail"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if tests[1].file != "test/e2e/apps/job.go" || nodesFor(tests) != 2 {
		t.Errorf("got %+v on %d nodes", tests[1], nodesFor(tests))
	}
}
