// Package check judges a history: pure functions from what was seen to what was wrong.
//
// The revisions that a server gives are taken at their word only where they agree with
// real time: `revisions` sees that they never go back, `linearize` that each object
// behaves as if calls happened one after the other, `watches` that no change is missing,
// doubled, out of order or too early, `lists` that a listing is the state at its revision.
package check

import (
	"fmt"
	"slices"
	"sort"

	"krab.dev/conformance/faulttool/history"
)

// Violation is one thing that must not be.
type Violation struct {
	Rule, Text string
}

func (v Violation) String() string { return v.Rule + ": " + v.Text }

// Promises are what not every server gives.
type Promises struct {
	// Resumes: no watch that is up to date is ever told that its revision is gone.
	Resumes bool
}

// The rules, as they are reported.
const (
	RuleWrites    = "every acknowledged write is there, once"
	RuleLinear    = "reads and writes are linearizable"
	RuleWatches   = "watches are gap-free, in order and without duplicates"
	RuleAhead     = "no watch is ahead of reads"
	RuleResumes   = "watches resume from their revision"
	RuleRevisions = "revisions never go back"
	RuleLists     = "a list is the state at its revision"
	RulePages     = "the pages of a list are of one revision"
	RuleDurable   = "nothing is acknowledged after a failed fsync"
)

// Rules are all of them, in the order of the report.
var Rules = []string{
	RuleWrites, RuleLinear, RuleWatches, RuleAhead, RuleResumes, RuleRevisions, RuleLists, RulePages, RuleDurable,
}

// Report is the judgement: how much each rule looked at, and what it found.
type Report struct {
	Checked    map[string]int
	Violations []Violation
}

// judge gathers a report.
type judge struct {
	calls    []history.Call
	streams  []*history.Stream
	barriers []history.Barrier
	promises Promises
	line     *timeline
	report   Report
}

func (j *judge) fail(rule, format string, values ...any) {
	j.report.Violations = append(j.report.Violations, Violation{rule, fmt.Sprintf(format, values...)})
}

func (j *judge) checked(rule string, count int) { j.report.Checked[rule] += count }

// History judges a run.
func History(h *history.History, promises Promises) Report {
	j := &judge{
		calls:    h.Calls(),
		streams:  h.Streams(),
		barriers: h.Barriers(),
		promises: promises,
		report:   Report{Checked: map[string]int{}},
	}
	sort.SliceStable(j.calls, func(a, b int) bool { return j.calls[a].Begin < j.calls[b].Begin })
	j.line = j.newTimeline()
	j.writes()
	j.linearizable()
	j.watches()
	j.ahead()
	j.revisions()
	j.lists()
	j.durable()
	slices.SortStableFunc(j.report.Violations, func(a, b Violation) int {
		return slices.Index(Rules, a.Rule) - slices.Index(Rules, b.Rule)
	})
	return j.report
}

// writes: a token is at the one revision that was acknowledged for it, and one that was
// refused is nowhere.
func (j *judge) writes() {
	for _, c := range j.calls {
		if c.Token == "" {
			continue
		}
		at := j.line.tokens[c.Token]
		switch {
		case len(at) > 1:
			j.fail(RuleWrites, "%s %s of %s happened %d times, at revisions %v", c.Verb, c.Token, c.Key, len(at), at)
		case c.Result == history.Refused && len(at) > 0:
			j.fail(RuleWrites, "%s %s of %s was refused with %d, and is there at revision %d", c.Verb, c.Token, c.Key, c.Code, at[0])
		case c.Result == history.OK && c.Answer.Token != c.Token:
			j.fail(RuleWrites, "%s %s of %s was answered with %q", c.Verb, c.Token, c.Key, c.Answer.Token)
		}
		if c.Result == history.OK {
			j.checked(RuleWrites, 1)
		}
	}
}

// durable: what was asked after a sync had failed is not acknowledged.
func (j *judge) durable() {
	for _, b := range j.barriers {
		for _, c := range j.calls {
			write := c.Verb != history.Get && c.Verb != history.List
			if !write || c.Begin < b.From || c.End > b.Until {
				continue
			}
			j.checked(RuleDurable, 1)
			if c.Result == history.OK {
				j.fail(RuleDurable, "%s of %s at %v was acknowledged; a sync had failed at %v", c.Verb, c.Key, c.Begin, b.From)
			}
		}
	}
}
