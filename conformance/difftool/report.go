package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// limit is how much of a value is shown, most how many places of one step.
const (
	limit = 600
	most  = 25
)

// report prints what differs and counts.
type report struct {
	out                    io.Writer
	showKnown, showReplies bool
	names                  [2]string

	cases, requests, differ, places, known int
}

// add counts a case and prints it if it differs.
func (r *report) add(o *outcome) {
	r.cases++
	r.requests += len(o.test.Steps)
	differs, title := false, false
	for _, s := range o.steps {
		var shown []difference
		for _, d := range s.found {
			if d.known == "" {
				r.places++
				differs = true
				shown = append(shown, d)
				continue
			}
			r.known++
			if r.showKnown {
				shown = append(shown, d)
			}
		}
		if len(shown) == 0 && !r.showReplies {
			continue
		}
		if !title {
			title = true
			fmt.Fprintf(r.out, "\n%s\n", o.test.id())
		}
		r.step(&s, shown)
	}
	if differs {
		r.differ++
	}
}

func (r *report) step(s *stepOutcome, shown []difference) {
	fmt.Fprintf(r.out, "  %d. %s\n", s.number, s.step)
	if r.showReplies {
		for i, reply := range s.replies {
			if reply != nil {
				fmt.Fprintf(r.out, "     %s: %d %s\n", r.names[i], reply.status, strings.TrimSpace(string(reply.body)))
			}
		}
	}
	width := max(len(r.names[0]), len(r.names[1]))
	for i, d := range shown {
		if i == most && !r.showReplies {
			fmt.Fprintf(r.out, "     ... and %d more places (-show prints all)\n", len(shown)-most)
			break
		}
		fmt.Fprintf(r.out, "     %s\n", d.path)
		if d.known != "" {
			fmt.Fprintf(r.out, "       known: %s\n", d.known)
		}
		fmt.Fprintf(r.out, "       %-*s  %s\n", width, r.names[0], show(d.left, d.hasLeft, limit))
		fmt.Fprintf(r.out, "       %-*s  %s\n", width, r.names[1], show(d.right, d.hasRight, limit))
	}
}

// summary prints the counts, the reasons of known differences, and entries that no longer match anything.
func (r *report) summary(took time.Duration, list []*known, whole bool) {
	fmt.Fprintf(r.out, "\n%d cases, %d requests in %.0f s: %d cases the same, %d differ in %d places\n",
		r.cases, r.requests, took.Seconds(), r.cases-r.differ, r.differ, r.places)
	if r.known > 0 {
		fmt.Fprintf(r.out, "%d differences are known:\n", r.known)
	}
	for _, k := range list {
		switch {
		case k.used > 0:
			fmt.Fprintf(r.out, "  %5d  %s\n", k.used, k.Reason)
		case whole:
			fmt.Fprintf(r.out, "  none   %s (at %s): take it out of conformance/diff-known.yaml\n", k.Reason, k.At)
		}
	}
}
