// Command applytool sends random sequences of creates, updates, patches and applies by several managers to upstream's API server
// and to krab's, and compares the answers whole: status, body, managedFields, conflicts, and whether the revision moved.
//
// A sequence is one object and a few requests; its number and the seed make it again. Uids, revisions, addresses and the value
// of times are no part of the comparison, that there is a time is.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type options struct {
	upstream, krab, kinds, record string
	seed                          int64
	first, sequences, steps       int
	parallel, show                int
}

func main() {
	o := options{}
	flag.StringVar(&o.upstream, "upstream", "", "`kubeconfig` of upstream's server")
	flag.StringVar(&o.krab, "krab", "", "`kubeconfig` of krab's server")
	flag.StringVar(&o.kinds, "kinds", "", "only these `resources`, separated by commas, or built-in or custom ones")
	flag.StringVar(&o.record, "record", "", "write what upstream answered to this `file`, a line a sequence")
	flag.Int64Var(&o.seed, "seed", time.Now().UnixNano()%1_000_000, "seed of the sequences")
	flag.IntVar(&o.first, "first", 0, "number of the first sequence")
	flag.IntVar(&o.sequences, "sequences", 1000, "how many")
	flag.IntVar(&o.steps, "steps", 8, "most requests a sequence")
	flag.IntVar(&o.parallel, "parallel", 4, "how many at once")
	flag.IntVar(&o.show, "show", 10, "print so many sequences that differ")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "usage: applytool -upstream KUBECONFIG -krab KUBECONFIG [OPTION...]\n\nSends random writes to two API servers and compares the answers. Both must run without controllers.\nEnds with 1 when an answer differs.\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || o.upstream == "" || (o.krab == "" && o.record == "") {
		flag.Usage()
		os.Exit(2)
	}
	same, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "applytool:", err)
		os.Exit(2)
	}
	if !same {
		os.Exit(1)
	}
}

func run(o options) (bool, error) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	chosen, err := chooseKinds(o.kinds)
	if err != nil {
		return false, err
	}
	var peers []*peer
	for _, config := range []struct{ name, path string }{{"upstream", o.upstream}, {"krab", o.krab}} {
		if config.path == "" {
			continue
		}
		p, err := connect(config.name, config.path)
		if err != nil {
			return false, err
		}
		if err := p.prepare(ctx, chosen); err != nil {
			return false, err
		}
		peers = append(peers, p)
	}
	var out *bufio.Writer
	if o.record != "" {
		file, err := os.Create(o.record)
		if err != nil {
			return false, err
		}
		defer file.Close()
		out = bufio.NewWriter(file)
		defer out.Flush()
		if steps := definitions(chosen); len(steps) > 0 {
			line, _ := json.Marshal(steps)
			fmt.Fprintf(out, "%s\n", line)
		}
	}

	fmt.Printf("seed %d, sequences %d to %d\n", o.seed, o.first, o.first+o.sequences-1)
	var next, requests, differ atomic.Int64
	next.Store(int64(o.first))
	var lock sync.Mutex
	var wait sync.WaitGroup
	var failed error
	for range o.parallel {
		wait.Go(func() {
			for {
				number := int(next.Add(1)) - 1
				if number >= o.first+o.sequences || ctx.Err() != nil {
					return
				}
				s := newSequence(o, chosen, number)
				found, err := s.play(ctx, peers)
				requests.Add(int64(len(s.done)))
				lock.Lock()
				if err != nil && failed == nil {
					failed = err
					cancel()
				}
				if len(found) > 0 {
					if differ.Add(1) <= int64(o.show) {
						fmt.Printf("\nsequence %d (%s)\n%s", number, s.kind.resource, strings.Join(found, ""))
					}
				}
				if out != nil && err == nil {
					line, _ := json.Marshal(s.recorded())
					fmt.Fprintf(out, "%s\n", line)
				}
				lock.Unlock()
			}
		})
	}
	wait.Wait()
	if failed != nil {
		return false, failed
	}
	fmt.Printf("%d requests in %d sequences, %d sequences differ (seed %d)\n", requests.Load(), next.Load()-int64(o.first)-int64(o.parallel), differ.Load(), o.seed)
	return differ.Load() == 0, ctx.Err()
}

func chooseKinds(names string) ([]*kind, error) {
	kinds := slices.Concat(builtInKinds, customKinds)
	switch names {
	case "":
		return kinds, nil
	case "built-in":
		return builtInKinds, nil
	case "custom":
		return customKinds, nil
	}
	var chosen []*kind
	for _, name := range strings.Split(names, ",") {
		before := len(chosen)
		for _, k := range kinds {
			if k.resource == name {
				chosen = append(chosen, k)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("no resource %q here", name)
		}
	}
	return chosen, nil
}

func newSequence(o options, chosen []*kind, number int) *sequence {
	r := rand.New(rand.NewSource(o.seed*1_000_003 + int64(number)))
	k := chosen[r.Intn(len(chosen))]
	return &sequence{r: r, kind: k, name: fmt.Sprintf("s%d-%d", o.seed, number), steps: 2 + r.Intn(max(1, o.steps-1))}
}
