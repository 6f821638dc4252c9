// Command wiretool asks two API servers on one etcd for every resource, in every encoding and shape: lists, single objects
// and watches. They hold the same objects, so the answers have to be the same; protobuf byte for byte.
//
// conformance/wire starts the servers and makes the objects.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"os/signal"
	"regexp"
	"sync"
	"syscall"
)

// errDiffer is an outcome, not a fault.
var errDiffer = errors.New("the answers are not the same")

func main() {
	upstream := flag.String("upstream", "", "upstream's `kubeconfig`")
	krab := flag.String("krab", "", "krab's `kubeconfig`")
	only := flag.String("only", "", "the resources whose path matches this `RE`")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, *upstream, *krab, *only)
	switch {
	case errors.Is(err, errDiffer):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "wiretool:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, upstream, krab, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	var pair [2]*server
	for i, path := range []string{upstream, krab} {
		if pair[i], err = connect(path); err != nil {
			return err
		}
	}
	resources, err := pair[0].resources(ctx)
	if err != nil {
		return err
	}
	revision, err := pair[0].revision(ctx)
	if err != nil {
		return err
	}
	compared, objects, differ := 0, 0, 0
	for _, r := range resources {
		if !wanted.MatchString(r.path) {
			continue
		}
		asked, err := questions(ctx, pair[0], r, revision)
		if err != nil {
			return err
		}
		objects += asked.objects
		for q, found := range compareAll(ctx, pair, asked.questions) {
			compared++
			if found != "" {
				differ++
				fmt.Printf("GET %s\n  Accept: %s\n  %s\n", q.path, q.accept, found)
			}
		}
	}
	fmt.Printf("%d answers about %d objects of %d resources compared: %d differ\n", compared, objects, len(resources), differ)
	if differ > 0 {
		return errDiffer
	}
	return nil
}

// atOnce is how many questions are under way.
const atOnce = 12

// compareAll asks both servers and gives what differs, or nothing, in the order of the questions.
func compareAll(ctx context.Context, pair [2]*server, asked []question) iter.Seq2[question, string] {
	found := make([]string, len(asked))
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, q := range asked {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			upstream, err := pair[0].ask(ctx, q)
			if err != nil {
				found[i] = err.Error()
				return
			}
			krab, err := pair[1].ask(ctx, q)
			if err != nil {
				found[i] = err.Error()
				return
			}
			found[i] = difference(q, upstream, krab)
		})
	}
	all.Wait()
	return func(yield func(question, string) bool) {
		for i, q := range asked {
			if !yield(q, found[i]) {
				return
			}
		}
	}
}
