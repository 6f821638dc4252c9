package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"krab.dev/conformance/faulttool/check"
	"krab.dev/conformance/faulttool/history"
	"krab.dev/conformance/faulttool/inject"
)

// shown is how many violations of one rule are printed.
const shown = 5

func (r *runner) announce(plan []inject.Step) {
	fmt.Printf("%s, seed %d: %d faults within %v\n", r.site.Target.Name, r.seed, len(plan), r.duration)
	for _, name := range slices.Sorted(maps.Keys(r.notRun)) {
		fmt.Printf("not run: %s: %s\n", name, r.notRun[name])
	}
}

// judge prints what was done and found, and says whether it is well.
func (r *runner) judge(report check.Report, took time.Duration) (bool, error) {
	r.figures(took)
	violations := report.Violations
	if r.site.Target.Ours {
		for _, text := range r.ended {
			violations = append(violations, check.Violation{Rule: "the server goes on", Text: text})
		}
	}
	count := map[string]int{}
	for _, v := range violations {
		if count[v.Rule]++; count[v.Rule] <= shown {
			fmt.Println("WRONG", v)
		}
	}
	for _, rule := range check.Rules {
		if count[rule] == 0 && report.Checked[rule] > 0 {
			fmt.Printf("ok    %s (%d)\n", rule, report.Checked[rule])
		}
	}
	if len(violations) == 0 {
		fmt.Printf("passed in %v\n", took.Round(time.Second))
		return true, nil
	}
	return false, errors.Join(fmt.Errorf("%d violations", len(violations)), r.keep())
}

// keep writes the history, by which the folder stays; the error says where all is.
func (r *runner) keep() error {
	r.kept = true
	file, err := os.Create(filepath.Join(r.dir, historyFile))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := r.site.History.Write(file); err != nil {
		return err
	}
	return fmt.Errorf("history and logs are in %s; the same plan again: %s", r.dir, r.again())
}

// again is the command that makes the same plan.
func (r *runner) again() string {
	var names []string
	for _, f := range r.faults {
		names = append(names, f.Name)
	}
	command := fmt.Sprintf("conformance/faults --seed %d --duration %v --only %s", r.seed, r.duration, strings.Join(names, ","))
	if r.peer != "" {
		command += " --peer " + r.peer
	}
	return command
}

func (r *runner) figures(took time.Duration) {
	calls := r.site.History.Calls()
	verbs, results := map[history.Verb]int{}, map[history.Outcome]int{}
	for _, c := range calls {
		verbs[c.Verb]++
		results[c.Result]++
	}
	events, resumed, expired := 0, 0, 0
	for _, s := range r.site.History.Streams() {
		for _, step := range s.Steps {
			switch step.Kind {
			case history.Resumed:
				resumed++
			case history.Expired:
				expired++
			case history.Added, history.Modified, history.Deleted:
				events++
			}
		}
	}
	fmt.Printf("calls   %d in %v: %s; %s; %d not sent\n", len(calls), took.Round(time.Second), counts(verbs), counts(results), r.site.Load.NotSent())
	fmt.Printf("watches %d with %d events, resumed %d times, begun anew %d times\n", len(r.site.History.Streams()), events, resumed, expired)
	fmt.Printf("faults  %s\n", counts(r.made))
}

func counts[K ~string](of map[K]int) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(of)) {
		texts = append(texts, fmt.Sprintf("%d %s", of[key], key))
	}
	return strings.Join(texts, ", ")
}
