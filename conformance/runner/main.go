// Command runner runs upstream's conformance tests against a cluster, all or a part, and keeps the account of what passes.
//
// The tests are those of tests.tsv; what each needs of a cluster is its class. A run's outcomes go into results/krab.tsv or
// results/upstream.tsv, from which scoreboard.md is rendered; passed.txt only grows. It never judges a test it has not run.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: conformance/run [FLAGS] [-- FLAGS OF e2e.test]

Runs upstream's conformance tests on a cluster it starts with conformance/cluster (or on yours, with --kubeconfig), prints what
passed and how long it took beside upstream, and writes results/, passed.txt and scoreboard.md. A part updates only what it ran.

Which tests (each narrows; without any, all 462):
  --class LETTERS   what they need: A API server, B controllers, C scheduler and nodes, D containers, E pod network,
                    F Services and DNS, G two nodes; AB means both
  --sig NAME        those of one group: api-machinery, apps, node, ...
  --focus RE        those whose name matches
  --skip RE         those whose name does not match
  --failed          those that did not pass in their last run, or were never run
  --beyond          not the 462, but what e2e.test runs by default beside them (no [Feature:...], [Serial], [Disruptive], [Slow],
                    [Flaky], [Alpha], no cloud); the account is in results/beyond-*.tsv, without scoreboard and gate

What to do:
  --list            print them with class and last outcome, and run nothing
  --gate            run those of passed.txt; exit 1 when one does not pass; write nothing
  --under SECONDS   leave out those that took longer in their last run (for a quick gate)
  --scoreboard      render scoreboard.md anew from results/ and causes.tsv, and run nothing
  --read DIR        take the outcomes from the reports of an earlier run's --out, and run nothing

On what:
  --peer upstream   on upstream's own components, whose outcomes are kept beside krab's
  --nodes N         nodes of the cluster (default: what the tests need)
  --krab PATH       a krab to use; without it this checkout is built
  --port P          of the API server
  --cluster DIR     use the cluster that 'conformance/cluster up --dir DIR' started
  --kubeconfig FILE use this cluster, reached from this network
  --keep            leave the cluster running
  --parallel N      test processes (default 4)
  --timeout D       end after this time, for example 10m; a test that runs then has failed (default 24h: a few wait for ever)
  --out DIR         reports and output (default conformance/out/DATE-TIME)
`

// errUnmet is an outcome, not a fault: the tests ran and not all passed.
var errUnmet = errors.New("not all tests passed")

type options struct {
	home                                            string
	focus, skip, sig, class                         string
	onlyFailed                                      bool
	list, gate, render, keep, beyond                bool
	under                                           float64
	peer, kubeconfig, cluster, krab, bin, out, read string
	nodes, parallel, port                           int
	timeout                                         time.Duration
	extra                                           []string
}

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = o.run()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case errors.Is(err, errUnmet):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "conformance/run:", err)
		os.Exit(2)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("conformance/run", flag.ContinueOnError)
	flags.SetOutput(os.Stderr)
	flags.Usage = func() {}
	flags.StringVar(&o.home, "home", ".", "")
	flags.StringVar(&o.bin, "bin", "", "")
	flags.StringVar(&o.focus, "focus", "", "")
	flags.StringVar(&o.skip, "skip", "", "")
	flags.StringVar(&o.sig, "sig", "", "")
	flags.StringVar(&o.class, "class", "", "")
	flags.BoolVar(&o.onlyFailed, "failed", false, "")
	flags.BoolVar(&o.beyond, "beyond", false, "")
	flags.BoolVar(&o.list, "list", false, "")
	flags.BoolVar(&o.gate, "gate", false, "")
	flags.BoolVar(&o.render, "scoreboard", false, "")
	flags.BoolVar(&o.keep, "keep", false, "")
	flags.Float64Var(&o.under, "under", 0, "")
	flags.StringVar(&o.peer, "peer", "", "")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "")
	flags.StringVar(&o.out, "out", "", "")
	flags.StringVar(&o.read, "read", "", "")
	flags.StringVar(&o.cluster, "cluster", "", "")
	flags.StringVar(&o.krab, "krab", "", "")
	flags.IntVar(&o.port, "port", 0, "")
	flags.IntVar(&o.nodes, "nodes", -1, "")
	flags.DurationVar(&o.timeout, "timeout", 24*time.Hour, "")
	flags.IntVar(&o.parallel, "parallel", 4, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.extra = flags.Args()
	o.class = strings.ToUpper(o.class)
	for _, letter := range []byte(o.class) {
		if classOf(letter) == nil {
			return o, fmt.Errorf("--class %s: there is no class %c; they are A to G", o.class, letter)
		}
	}
	if o.peer != "" && o.peer != "upstream" {
		return o, fmt.Errorf("--peer %s: the only peer is upstream", o.peer)
	}
	if o.gate && (o.peer != "" || o.onlyFailed) {
		return o, errors.New("--gate is about what passed on krab: it goes with neither --peer nor --failed")
	}
	if o.beyond && (o.gate || o.render || o.class != "") {
		return o, errors.New("--beyond goes with neither --gate, --scoreboard nor --class: only conformance tests have them")
	}
	if o.parallel < 1 {
		return o, errors.New("--parallel wants at least 1")
	}
	return o, nil
}

// account is all that is kept from run to run.
type account struct {
	home           string
	tests          []test
	krab, upstream results
	passed         map[string]bool
	causes         []cause
}

func (a *account) path(name string) string { return filepath.Join(a.home, name) }

func load(home string) (a *account, err error) {
	a = &account{home: home}
	if a.tests, err = loadCatalog(a.path("tests.tsv")); err != nil {
		return nil, err
	}
	if a.krab, err = loadResults(a.path("results/krab.tsv")); err != nil {
		return nil, err
	}
	if a.upstream, err = loadResults(a.path("results/upstream.tsv")); err != nil {
		return nil, err
	}
	if a.passed, err = loadPassed(a.path("passed.txt")); err != nil {
		return nil, err
	}
	a.causes, err = loadCauses(a.path("causes.tsv"))
	return a, err
}

// load reads the account of the tests that are meant.
func (o options) load() (*account, error) {
	if o.beyond {
		return loadBeyondAccount(o.home, o.bin)
	}
	return load(o.home)
}

func (a *account) writeScoreboard() error {
	return replaceFile(a.path("scoreboard.md"), scoreboard(a.tests, a.krab, a.upstream, a.causes))
}

// take adds a run's outcomes to the account.
func (a *account) take(run results, peer string) error {
	record, file, title := a.krab, "results/krab.tsv", "Conformance tests of v1.37.0 on krab."
	if peer == "upstream" {
		record, file, title = a.upstream, "results/upstream.tsv", "Conformance tests of v1.37.0 on upstream's own components, in the same set-up."
	}
	for name, o := range run {
		record[name] = o
	}
	if err := record.save(a.path(file), title); err != nil {
		return err
	}
	if peer == "" {
		if added := grow(a.passed, run); added > 0 {
			fmt.Printf("%d tests pass for the first time\n", added)
		}
		if err := savePassed(a.path("passed.txt"), a.passed); err != nil {
			return err
		}
	}
	return a.writeScoreboard()
}

// keepAccount adds a run's outcomes to the account as it is now: other runs may have added theirs since this one began.
func (o options) keepAccount(run results) error {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "krab-conformance-account.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("cannot lock the account of what passes: %w", err)
	}
	a, err := o.load()
	if err != nil {
		return err
	}
	if o.beyond {
		return a.takeBeyond(run, o.peer)
	}
	return a.take(run, o.peer)
}

func (o options) run() error {
	a, err := o.load()
	if err != nil {
		return err
	}
	if o.render {
		return a.writeScoreboard()
	}
	record := a.krab
	if o.peer == "upstream" {
		record = a.upstream
	}
	chosen, err := o.choose(a, record)
	if err != nil {
		return err
	}
	if o.list {
		for _, t := range chosen {
			fmt.Printf("%c %-8s %s\n", t.class, orNotRun(string(record[t.name].verdict)), t.name)
		}
		return nil
	}
	if len(chosen) == 0 {
		return errors.New("no test is meant: conformance/run --list shows what a selection holds")
	}
	run, err := o.runOn(chosen)
	if err != nil {
		return err
	}
	printRun(chosen, run, a.upstream)
	if o.gate {
		return gateVerdict(chosen, run)
	}
	// A report may hold more than was asked for, but only what was chosen is counted.
	run = run.only(chosen)
	if err := o.keepAccount(run); err != nil {
		return err
	}
	if sum := run.count(chosen, nil); sum.passed < sum.total {
		return errUnmet
	}
	return nil
}

// choose gives the tests the flags mean.
func (o options) choose(a *account, record results) ([]test, error) {
	s := selection{sig: strings.TrimPrefix(o.sig, "sig-"), classes: o.class}
	var err error
	if o.focus != "" {
		if s.focus, err = regexp.Compile(o.focus); err != nil {
			return nil, fmt.Errorf("--focus: %w", err)
		}
	}
	if o.skip != "" {
		if s.skip, err = regexp.Compile(o.skip); err != nil {
			return nil, fmt.Errorf("--skip: %w", err)
		}
	}
	if o.gate {
		s.only = a.passed
	}
	var chosen []test
	for _, t := range s.pick(a.tests) {
		last := record[t.name]
		if (o.onlyFailed && last.verdict == passed) || (o.under > 0 && last.seconds > o.under) {
			continue
		}
		chosen = append(chosen, t)
	}
	return chosen, nil
}

// runOn runs tests on the cluster the flags name.
func (o options) runOn(tests []test) (results, error) {
	if o.read != "" {
		run, _, err := readReports(o.read, today())
		return run, err
	}
	out := o.out
	if out == "" {
		out = filepath.Join(o.home, "out", time.Now().UTC().Format("20060102-150405"))
	}
	out, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	s := suite{bin: o.bin, out: out, parallel: o.parallel, timeout: o.timeout, extra: o.extra}
	if err := buildPrograms(o.home); err != nil {
		return nil, err
	}
	switch {
	case o.kubeconfig != "":
		err = s.useCluster(o.kubeconfig)
	case o.cluster != "":
		err = s.enterCluster(filepath.Join(o.home, "cluster"), o.cluster)
	default:
		var end func()
		if end, err = s.startCluster(o, tests); err == nil {
			defer end()
		}
	}
	if err != nil {
		return nil, err
	}
	fmt.Printf("running %d tests on %d nodes; output in %s\n", len(tests), s.nodes, filepath.Join(out, "ginkgo.log"))
	start := time.Now()
	run, outside, err := s.run(tests)
	if err != nil {
		return nil, err
	}
	for _, line := range outside {
		fmt.Println("outside of tests:", line)
	}
	fmt.Printf("%s on the clock\n", time.Since(start).Round(time.Second))
	return run, nil
}

// printRun says what a run gave.
func printRun(chosen []test, run, upstream results) {
	for _, t := range chosen {
		if o := run[t.name]; o.verdict == failed || o.verdict == skipped {
			fmt.Printf("%s %s\n    %s\n", strings.ToUpper(string(o.verdict)), t.name, o.reason)
		}
	}
	sum := run.count(chosen, upstream)
	fmt.Printf("%d passed, %d failed, %d skipped, %d not run, of %d\n", sum.passed, sum.failed, sum.skipped, sum.notRun(), sum.total)
	if sum.peerSeconds > 0 {
		fmt.Printf("those that pass at both: %.0f s, upstream %.0f s (%.2f)\n", sum.seconds, sum.peerSeconds, sum.seconds/sum.peerSeconds)
	}
	for _, name := range run.slowest(3) {
		fmt.Printf("slow: %4.0f s %s\n", run[name].seconds, name)
	}
}

func gateVerdict(due []test, run results) error {
	lines := broken(due, run)
	if len(lines) == 0 {
		fmt.Printf("gate: all %d pass\n", len(due))
		return nil
	}
	fmt.Printf("gate: %d of %d no longer pass:\n%s\n", len(lines), len(due), strings.Join(lines, "\n"))
	return errUnmet
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }

func orNotRun(text string) string {
	if text == "" {
		return "not run"
	}
	return text
}
