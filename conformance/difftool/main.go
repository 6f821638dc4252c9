// Command difftool sends the same requests to upstream's API server and to krab's, in order, and shows where the answers are
// not the same: status, headers that matter, bodies. The requests are the files of conformance/cases.
//
// What may differ between two runs (uids, times, revisions, generated names, allocated addresses) is replaced by a word for
// it; everything else is compared whole. conformance/diff-known.yaml names differences that are expected, with the reason.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

type options struct {
	root, krab, only, without string
	record, recorded          string
	list, keep, check         bool
	show, known               bool
}

func main() {
	o := options{}
	flag.StringVar(&o.root, "root", "", "the checkout")
	flag.StringVar(&o.krab, "krab", "", "the krab `program` to compare")
	flag.StringVar(&o.only, "only", "", "run the cases whose \"file: name\" matches this `RE`")
	flag.StringVar(&o.without, "without", "", "leave out the cases whose \"file: name\" matches this `RE`")
	flag.StringVar(&o.record, "record", "", "write what upstream answers into this `file`, and compare nothing")
	flag.StringVar(&o.recorded, "recorded", "", "compare with what upstream answered when this `file` was recorded: its cases only")
	flag.BoolVar(&o.list, "list", false, "print the cases instead of running them")
	flag.BoolVar(&o.keep, "keep", false, "leave the servers running and say how to reach and to end them")
	flag.BoolVar(&o.check, "check", false, "compare upstream with a second upstream: what differs is noise of the cases")
	flag.BoolVar(&o.show, "show", false, "print every answer whole, too")
	flag.BoolVar(&o.known, "known", false, "print the differences that are known, too")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: conformance/diff [OPTION...]\n\nSends the requests of conformance/cases to upstream v1.37 and to krab and compares the answers.\nEnds with 1 when they differ in a way that conformance/diff-known.yaml does not name.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	same, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance/diff:", err)
		os.Exit(2)
	}
	if !same {
		os.Exit(1)
	}
}

func run(o options) (bool, error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return false, fmt.Errorf("-only: %w", err)
	}
	without, err := regexp.Compile(o.without)
	if err != nil {
		return false, fmt.Errorf("-without: %w", err)
	}
	all, err := readCases(filepath.Join(o.root, "conformance/cases"))
	if err != nil {
		return false, err
	}
	var cases []*testCase
	numbers := map[*testCase]int{}
	for i, c := range all {
		numbers[c] = i + 1
		if only.MatchString(c.id()) && (o.without == "" || !without.MatchString(c.id())) {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return false, fmt.Errorf("no case matches %q (conformance/diff -list)", o.only)
	}
	if o.list {
		for _, c := range cases {
			fmt.Println(c.id())
		}
		return true, nil
	}
	known, err := readKnown(filepath.Join(o.root, "conformance/diff-known.yaml"))
	if err != nil {
		return false, err
	}
	if o.check {
		known = nil
	}
	var past *recording
	if o.recorded != "" {
		if past, err = readRecording(o.recorded, "recorded"); err != nil {
			return false, err
		}
		cases = slices.DeleteFunc(cases, func(c *testCase) bool { return past.cases[c.id()] == nil })
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	folder, err := os.MkdirTemp("", "krab-diff-")
	if err != nil {
		return false, err
	}
	l := &lab{folder: folder, upstream: filepath.Join(o.root, "hack/upstream"), krab: o.krab}
	defer func() {
		if o.keep {
			fmt.Printf("everything is in %s; end upstream with `hack/upstream down`, krab by its process\n", folder)
			return
		}
		l.stop()
		if err := os.RemoveAll(folder); err != nil {
			fmt.Fprintln(os.Stderr, "conformance/diff:", err)
		}
	}()
	both, err := l.start(ctx, o, past)
	if err != nil {
		return false, err
	}
	if o.keep {
		for _, one := range both {
			if p, ok := one.(*peer); ok {
				fmt.Printf("%s: %s, Authorization: Bearer %s\n", p.called, p.url, p.tokens["admin"])
			}
		}
	}
	if o.record != "" {
		return true, recordInto(ctx, both[0], cases, numbers, o.record)
	}

	s := &sides{both: both, known: known, everything: o.show}
	r := &report{out: os.Stdout, showKnown: o.known, showReplies: o.show, names: [2]string{both[0].name(), both[1].name()}}
	started := time.Now()
	for _, c := range cases {
		found, err := s.run(ctx, numbers[c], c)
		if err != nil {
			return false, err
		}
		r.add(found)
	}
	r.summary(time.Since(started), known, o.only == "" && o.without == "" && past == nil)
	return r.differ == 0, nil
}

// recordInto writes a recording; a file is there only when it is whole.
func recordInto(ctx context.Context, from side, cases []*testCase, numbers map[*testCase]int, file string) error {
	var text bytes.Buffer
	if err := record(ctx, from, cases, numbers, &text); err != nil {
		return err
	}
	fmt.Printf("%d cases recorded in %s\n", len(cases), file)
	return os.WriteFile(file, text.Bytes(), 0o644)
}

// start starts the servers that are needed: upstream, unless what it said is recorded, and what it is compared with.
func (l *lab) start(ctx context.Context, o options, past *recording) (both [2]side, err error) {
	if past != nil {
		both[0] = past
	} else if both[0], err = l.startReady(ctx, "upstream"); err != nil {
		return both, err
	}
	switch {
	case o.record != "":
	case o.check:
		both[1], err = l.startReady(ctx, "second")
	default:
		both[1], err = l.startKrab(ctx, "krab")
	}
	return both, err
}

// startReady starts upstream under a name and waits for it.
func (l *lab) startReady(ctx context.Context, name string) (*peer, error) {
	p, err := l.startUpstream(ctx, name)
	if err != nil {
		return nil, err
	}
	return p, p.await(ctx, nil, filepath.Join(l.folder, name, "log/kube-apiserver.log"))
}
