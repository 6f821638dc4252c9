// Command loadgen puts load on an API server through client-go, as programs of users do.
//
// It reads the names of works from standard input, one a line, does each to its end, and answers with one line of JSON on
// standard output. Between two lines the server has nothing to do, so that whoever holds the other end of the pipes can read the
// server's CPU time around exactly one work. What a work needs from an earlier one (the pods that are read are those that "create"
// made) is the caller's order to keep.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"
)

// options are the flags.
type options struct {
	kubeconfig  string
	protobuf    bool
	objects     int
	clients     int
	watchers    int
	connections int
	nodes       int
	padding     int
}

// work does one thing many times and says how it went.
type work func(context.Context, *load) (*result, error)

var works = map[string]work{
	"create":        createPods,
	"get":           getPods,
	"merge-patch":   mergePatchPods,
	"apply":         applyPods,
	"delete":        deletePods,
	"list":          listAll,
	"page":          listPages,
	"list-by-label": listByLabel,
	"list-by-node":  listByNode,
	"watch":         watchUpdates,
	"secrets":       createSecrets,
	"list-secrets":  listSecrets,
	"hold-secrets":  holdSecrets,
	"hold-watches":  holdSecretWatches,
	"nodes":         createNodes,
	"schedule":      schedulePods,
	"definitions":   createDefinitions,
	"custom":        createCustomObjects,
}

func main() {
	var o options
	var contentType string
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "the cluster to put load on")
	flag.StringVar(&contentType, "content-type", "json", "json or protobuf")
	flag.IntVar(&o.objects, "objects", 10000, "pods, or definitions of custom resources")
	flag.IntVar(&o.clients, "clients", 16, "clients at the same time")
	flag.IntVar(&o.watchers, "watchers", 50, "watchers at the same time")
	flag.IntVar(&o.connections, "connections", 1, "connections the clients share, and as many that the watchers share; client-go shares one by default")
	flag.IntVar(&o.nodes, "nodes", 100, "nodes the pods are spread over (by name), or that are made for the scheduler")
	flag.IntVar(&o.padding, "padding", 0, "bytes of an annotation that makes each pod larger")
	flag.Usage = func() {
		names := make([]string, 0, len(works))
		for name := range works {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Fprintf(flag.CommandLine.Output(),
			"usage: loadgen --kubeconfig FILE [FLAGS]\nReads works from standard input, one a line: %s.\n", strings.Join(names, ", "))
		flag.PrintDefaults()
	}
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		fatal(fmt.Errorf("unexpected argument %q; works are read from standard input", flag.Arg(0)))
	case o.kubeconfig == "":
		fatal(fmt.Errorf("--kubeconfig is needed"))
	case contentType != "json" && contentType != "protobuf":
		fatal(fmt.Errorf("--content-type is json or protobuf, not %q", contentType))
	case o.objects < 1 || o.clients < 1 || o.watchers < 1 || o.connections < 1 || o.nodes < 1:
		fatal(fmt.Errorf("--objects, --clients, --watchers, --connections and --nodes are at least 1"))
	}
	o.protobuf = contentType == "protobuf"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, o); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "loadgen:", err)
	os.Exit(1)
}

// serve answers each line of standard input with one line.
func serve(ctx context.Context, o options) error {
	load, err := newLoad(ctx, o)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		name := strings.TrimSpace(lines.Text())
		do, known := works[name]
		if !known {
			return fmt.Errorf("no work %q (loadgen --help)", name)
		}
		result, err := do(ctx, load)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		result.Work = name
		result.AnswerType = load.answerType()
		if err := answers.Encode(result); err != nil {
			return err
		}
	}
	return lines.Err()
}
