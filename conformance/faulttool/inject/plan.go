// Package inject is the faults: which there are, the plan that a seed makes of them, and
// how each is done to a running target.
package inject

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Fault is one row of the table: how long it may last, and what does it. `inject` makes
// the fault and takes it away again.
type Fault struct {
	Name, Does        string
	shortest, longest time.Duration
	inject            func(*Site, Step) (string, error)
}

// NeedsDisk: made on a file system of the run's own, which takes root.
func (f *Fault) NeedsDisk() bool { return f.Name == "disk-full" || f.Name == "power" }

// NeedsShim: made between the program and libc.
func (f *Fault) NeedsShim() bool { return f.Name == "clock" || f.Name == "fsync" }

// Table is all faults.
var Table = []Fault{
	{"kill", "kill -9, started again", 0, time.Second, kill},
	{"pause", "SIGSTOP, then SIGCONT", 500 * time.Millisecond, 6 * time.Second, pause},
	{"drop", "connections closed, and refused for a while", 0, 2 * time.Second, drop},
	{"stall", "connections stay open and pass nothing", time.Second, 7 * time.Second, stall},
	{"delay", "each piece on a connection is held back", 2 * time.Second, 5 * time.Second, delay},
	{"power", "the disk loses what was not synced; kill -9 and started again", 0, time.Second, power},
	{"disk-full", "no space on the disk of the data", 3 * time.Second, 6 * time.Second, diskFull},
	{"clock", "the wall clock jumps by up to two hours, and back", 3 * time.Second, 6 * time.Second, clock},
	{"fsync", "fsync fails; then kill -9, started again", 500 * time.Millisecond, 2 * time.Second, failSync},
	{"etcd-member", "one of three members killed or stopped", 2 * time.Second, 8 * time.Second, etcdMember},
}

// How long the load is left alone between two faults.
const shortestRest, longestRest = time.Second, 4 * time.Second

// Step is one fault of a plan.
type Step struct {
	Fault *Fault
	// Rest comes before it.
	Rest, Lasts time.Duration
	// Variant is drawn from 0 to 5, Amount from 0 to 1: what they mean is the fault's.
	Variant int
	Amount  float64
}

// Choose finds faults by their names, all for none.
func Choose(names []string) ([]*Fault, error) {
	var chosen []*Fault
	for i := range Table {
		if len(names) == 0 || slices.Contains(names, Table[i].Name) {
			chosen = append(chosen, &Table[i])
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(chosen, func(f *Fault) bool { return f.Name == name }) {
			return nil, fmt.Errorf("no fault %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	return chosen, nil
}

// Names of all faults.
func Names() []string {
	var names []string
	for _, f := range Table {
		names = append(names, f.Name)
	}
	return names
}

// Plan fills a duration with faults, each once before any comes again. The same
// arguments give the same plan.
func Plan(seed uint64, duration time.Duration, faults []*Fault) []Step {
	random := rand.New(rand.NewPCG(seed, 0))
	between := func(least, most time.Duration) time.Duration {
		return (least + time.Duration(random.Int64N(int64(most-least)))).Round(time.Millisecond)
	}
	var plan []Step
	for planned := time.Duration(0); planned < duration; {
		for _, i := range random.Perm(len(faults)) {
			step := Step{
				Fault:   faults[i],
				Rest:    between(shortestRest, longestRest),
				Lasts:   between(faults[i].shortest, faults[i].longest),
				Variant: random.IntN(6),
				Amount:  random.Float64(),
			}
			if planned += step.Rest + step.Lasts; planned >= duration {
				break
			}
			plan = append(plan, step)
		}
	}
	return plan
}
